import torch

from gancolor.color import Lab, rgb_to_lab
from gancolor.data import Scenes
from gancolor.guides import ProfileGuide
from gancolor.palette import Profiles, descriptors, histograms


def scenes(count: int) -> Lab:
    source = Scenes(train=count, val=0, size=32)
    return rgb_to_lab(torch.stack([source.read(name) for name in source.names("train")]))


def guide(real: Lab) -> ProfileGuide:
    """One whose profiles are the pictures themselves, each."""
    centers = descriptors(histograms(real.ab)).tolist()
    return ProfileGuide(Profiles([f"scene {i}" for i in range(len(centers))], centers))


def test_a_picture_s_own_profile_is_a_plane_of_ones_and_the_others_are_zeros():
    real = scenes(4)
    planes = guide(real)(real)
    assert torch.equal(planes, torch.eye(4)[:, :, None, None].expand(4, 4, 32, 32))
    assert guide(real).channels == len(guide(real).names) == 4


def test_autocast_finds_the_same_profiles():
    """Each picture lies between two profiles, a little nearer to the first: what bfloat16 rounds off decides."""
    real = scenes(10)
    points = descriptors(histograms(real.ab))
    for i, point in enumerate(points):
        way = points[i - 1] - point
        between = ProfileGuide(Profiles(["near", "far"], [(point + s * way).tolist() for s in (0.010, -0.011)]))
        with torch.autocast("cpu", torch.bfloat16):
            [found] = between(Lab(real.light[i : i + 1], real.ab[i : i + 1]))
        assert found.dtype == torch.float32
        assert found.mean((1, 2)).tolist() == [1, 0]
