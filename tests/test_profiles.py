"""Profiles as a value, and the descriptors that they are points among."""

import json

import numpy as np
import pytest
import torch
from pictures import scenes

from gancolor.color import rgb_to_lab
from gancolor.errors import InputError
from gancolor.palette import CELLS, Profiles, descriptors, histograms, nearest, smooth

SIDE = 16
BAD = {
    "no JSON": "{",
    "no object": "[1, 2]",
    "no centers": '{"names": ["a"]}',
    "no numbers": '{"names": ["a"], "centers": 3}',
}


def flat(*colors):
    """Pictures of one color each, (a, b) in Lab units."""
    return torch.tensor(colors, dtype=torch.float32)[:, :, None, None].expand(-1, -1, SIDE, SIDE) / 110


def shares(*colors):
    return histograms(flat(*colors))


def centers(*colors):
    return descriptors(shares(*colors))


def paint(rgb, seed=0):
    """A noisy picture of about one color."""
    noise = 40 * torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return (torch.tensor(rgb).view(3, 1, 1) + noise).clamp(0, 255).to(torch.uint8)


def test_a_flat_picture_has_one_cell():
    found = shares((0, 0), (-40, 30), (60, -20))
    assert torch.equal(found.sum(1), torch.ones(3))
    cells = [(11 + a) * CELLS + 11 + b for a, b in ((0, 0), (-4, 3), (6, -2))]
    assert found.argmax(1).tolist() == cells
    assert torch.equal(found.max(1).values, torch.ones(3))


def test_histograms_are_numpys_of_each_picture():
    ab = rgb_to_lab(torch.stack(scenes(3))).ab
    edges = [np.arange(-115, 116, 10)] * 2
    for picture, found in zip(ab, histograms(ab), strict=True):
        expected = np.histogram2d(*picture.flatten(1).double().numpy() * 110, bins=edges)[0] / picture[0].numel()
        assert np.abs(found.view(CELLS, CELLS).numpy() - expected).sum() < 0.01  # a color at an edge may round over it


def test_halves_of_two_colors_are_halves():
    half = torch.cat([flat((20, 0)), flat((-20, 0))], dim=3)
    assert sorted(histograms(half)[0].unique().tolist()) == [0.0, 0.5]


def test_a_descriptor_is_the_root_of_the_smoothed_shares():
    found = descriptors(shares((0, 0), (-40, 30)))
    expected = smooth(shares((0, 0), (-40, 30)).view(2, CELLS, CELLS), 1.0).sqrt().flatten(1)
    assert torch.equal(found, expected)
    assert torch.allclose(found.square().sum(1), torch.ones(2))


def test_distances_are_hellingers_and_grow_with_the_difference_of_colors():
    here, near, far, farther = descriptors(shares((0, 0), (10, 0), (30, 0), (80, 0)))
    p, q = (smooth(shares(color).view(1, CELLS, CELLS), 1.0).flatten().double().numpy() for color in ((0, 0), (10, 0)))
    assert (here - near).square().sum().item() == pytest.approx(2 - 2 * np.sqrt(p * q).sum(), abs=1e-5)
    distances = [(here - other).norm().item() for other in (here, near, far, farther)]
    assert distances == sorted(distances)
    assert distances[0] == 0
    assert distances[-1] == pytest.approx(2**0.5, abs=1e-3)  # nothing in common


def test_nearest_of_a_center_is_itself_and_of_a_like_color_its_neighbor():
    some = ((0, 0), (-40, 40), (50, 30), (10, -50))
    assert nearest(shares(*some), centers(*some)).tolist() == [0, 1, 2, 3]
    assert nearest(shares((45, 35), (5, -40), (3, 3)), centers(*some)).tolist() == [2, 3, 0]


def test_green_and_blue_pictures_are_told_apart():
    green, blue = ([paint(rgb, seed) for seed in range(6)] for rgb in ((40.0, 150.0, 40.0), (50.0, 70.0, 180.0)))
    points = histograms(rgb_to_lab(torch.stack(green + blue)).ab)
    means = torch.stack([descriptors(points[place]).mean(0) for place in ([0, 1], [6, 7])])
    assert nearest(points, means).tolist() == [0] * 6 + [1] * 6


def test_write_and_read_is_the_identity(tmp_path):
    profiles = Profiles(["warm", "kühl"], centers((20, 30), (5, -20)).tolist())
    profiles.write(tmp_path / "profiles.json")
    again = Profiles.read(str(tmp_path / "profiles.json"))
    assert again == profiles
    assert hash(again) == hash(profiles)
    assert (len(again), again.names, repr(again)) == (2, ("warm", "kühl"), "Profiles(warm, kühl)")
    assert torch.equal(again.table(), centers((20, 30), (5, -20)))
    assert again != Profiles(["warm", "cool"], profiles.centers)
    assert [file.name for file in tmp_path.iterdir()] == ["profiles.json"]


def test_names_may_be_edited_in_the_file(tmp_path):
    file = tmp_path / "profiles.json"
    Profiles(["warm"], centers((20, 30)).tolist()).write(file)
    file.write_text(file.read_text().replace("warm", "autumn"))
    assert Profiles.read(str(file)).names == ("autumn",)


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_named(content, tmp_path):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(InputError, match=r"p\.json: cannot be read as profiles"):
        Profiles.read(str(tmp_path / "p.json"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json: there is no such file.*gancolor profiles writes one"):
        Profiles.read(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("names", "count", "message"),
    [
        ([], 0, "the names are none, for 0"),
        (["a"], 2, "the names are a, for 2"),
        (["a", "b"], 1, "for 1 profiles"),
        (["a", "a"], 2, "the names are a, a"),
    ],
)
def test_names_that_do_not_fit_are_refused(names, count, message):
    with pytest.raises(InputError, match=message):
        Profiles(names, [[0.0] * CELLS * CELLS] * count)


def test_a_center_of_another_length_is_refused(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"names": ["a"], "centers": [[1.0, 2.0]]}))
    with pytest.raises(InputError, match="a center must have 529 numbers"):
        Profiles.read(str(tmp_path / "p.json"))
