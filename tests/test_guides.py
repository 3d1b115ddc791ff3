import torch
from test_profiles import SIDE, centers, flat

from gancolor.color import Lab, rgb_to_lab
from gancolor.data import Scenes
from gancolor.guides import ProfileGuide
from gancolor.palette import Profiles, descriptors, histograms

COLORS = {"gray": (0, 0), "green": (-40, 40), "blue": (10, -50)}


def scenes(count: int) -> Lab:
    source = Scenes(train=count, val=0, size=32)
    return rgb_to_lab(torch.stack([source.read(name) for name in source.names("train")]))


def guide():
    return ProfileGuide(Profiles([*COLORS], centers(*COLORS.values()).tolist()))


def real(*names):
    ab = flat(*(COLORS[name] for name in names))
    return Lab(torch.zeros_like(ab[:, :1]), ab)


def test_a_plane_of_ones_for_the_pictures_own_profile():
    planes = guide()(real("blue", "gray", "blue", "green"))
    assert planes.shape == (4, 3, SIDE, SIDE)
    assert planes.dtype == torch.float32
    assert torch.equal(planes.amin((2, 3)), planes.amax((2, 3)))
    assert torch.equal(planes[:, :, 0, 0], torch.eye(3)[[2, 0, 2, 1]])


def test_channels_are_the_profiles_and_are_called_so():
    assert guide().channels == 3
    assert guide().names == ("gray", "green", "blue")


def test_nothing_is_learned_and_nothing_is_kept_but_the_argument():
    assert not guide().state_dict()
    assert not [*guide().parameters()]
    assert guide().profiles == Profiles([*COLORS], centers(*COLORS.values()).tolist())


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
