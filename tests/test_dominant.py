"""Dominant colors, against numbers worked out by hand."""

import numpy as np
import pytest
import torch
from pictures import scenes
from skimage.color import rgb2lab

from gancolor.palette import CELLS, DominantColors, distance, dominant, dominant_features

RED, BLUE, GRAY = (200, 30, 30), (30, 30, 200), (119, 119, 119)


def flat(*stripes: tuple[tuple[int, int, int], int]) -> torch.Tensor:
    """Stripes of flat colors, so many pixels wide each."""
    pixels = [color for color, width in stripes for _ in range(width)]
    return torch.tensor(pixels, dtype=torch.uint8).T[:, None, :].expand(3, 64, -1)


def lab(color: tuple[int, int, int]) -> np.ndarray:
    return rgb2lab(np.array([[color]], np.uint8))[0, 0]


def made_of(*lab: float, share: float = 1.0) -> DominantColors:
    """Colors with L, a and b one after the other; the first has this share, the second, if any, the rest."""
    colors = np.array(lab, float).reshape(-1, 3)
    return DominantColors(tuple(map(tuple, colors.tolist())), (share, 1 - share)[: len(colors)])


def test_a_picture_of_two_flat_colors_is_these_two() -> None:
    found = dominant(flat((BLUE, 16), (RED, 48)))
    assert found.share == (0.75, 0.25)  # the most frequent first
    assert np.allclose(found.lab, [lab(RED), lab(BLUE)], atol=0.01)


def test_a_picture_of_a_single_color_has_that_one() -> None:
    found = dominant(flat((GRAY, 1)))
    assert found.share == (1.0,)
    assert np.allclose(found.lab, [lab(GRAY)], atol=0.01)


def test_colors_that_are_alike_become_their_mean() -> None:
    shade = (205, 35, 30)
    found = dominant(flat((RED, 48), (shade, 16), (BLUE, 64)))
    assert sorted(found.share) == [0.5, 0.5]
    mean = 0.75 * lab(RED) + 0.25 * lab(shade)
    assert min(np.abs(np.array(color) - mean).max() for color in found.lab) < 0.01
    assert len(dominant(flat((RED, 48), (shade, 16), (BLUE, 64)), near=0.5).share) == 3


def test_of_more_than_eight_colors_the_nearest_share_one_center() -> None:
    shade = (205, 35, 30)
    others = [(0, 0, 0), (255, 255, 255), (0, 200, 0), BLUE, (230, 230, 0), (0, 200, 200), (200, 0, 200)]
    found = dominant(flat((RED, 24), (shade, 8), *((color, 32 // 8) for color in others), (BLUE, 4)), near=1.0)
    assert len(found.share) == 8
    assert found.share[0] == 0.5
    assert np.allclose(found.lab[0], 0.75 * lab(RED) + 0.25 * lab(shade), atol=0.01)


@pytest.mark.parametrize("picture", scenes(4, size=96))
def test_at_most_eight_and_none_near_another(picture: torch.Tensor) -> None:
    found = dominant(picture)
    assert 1 <= len(found.share) <= 8
    assert sum(found.share) == pytest.approx(1)
    assert list(found.share) == sorted(found.share, reverse=True)
    colors = np.array(found.lab)
    apart = np.linalg.norm(colors[:, None] - colors, axis=2) + np.diag([np.inf] * len(colors))
    assert apart.min() > 20
    assert found == dominant(picture)
    assert distance(found, found) == pytest.approx(0, abs=1e-9)


def test_distances_by_hand() -> None:
    # Two pairs 5 apart, half a picture each: a = 1 − 5/20 = 3/4, D² = ½ + ½ − 2·(¼ + ¼)·¾ = ¼.
    f, g = made_of(50, 0, 0, 50, 60, 0, share=0.5), made_of(50, 0, 5, 50, 60, 5, share=0.5)
    assert distance(f, g) == pytest.approx(0.25)
    # With α = 2, a = 1 − 5/40 = 7/8; with T_d = 4 they are strangers.
    assert distance(f, g, alpha=2.0) == pytest.approx(0.125)
    assert distance(f, g, near=4.0) == pytest.approx(1.0)
    # Lightness tells colors apart, too; shares count: 0.58 + 0.5 − 2·(0.3·0.5·½) = 0.93.
    assert distance(made_of(50, 0, 0, 50, 60, 0, share=0.3), made_of(60, 0, 0, 90, 60, 0, share=0.5)) == pytest.approx(
        0.93
    )
    # Another number of colors: 1 + ½ − 2·½·¾ = ¾.
    assert distance(made_of(50, 0, 5), f) == pytest.approx(0.75)


def test_the_distance_is_symmetric_and_zero_on_itself() -> None:
    f, g = made_of(50, 0, 0, 50, 60, 0, share=0.3), made_of(55, 7, 3, 90, 60, 0, share=0.8)
    assert distance(f, g) == distance(g, f) > 0
    assert distance(f, f) == distance(g, g) == 0


def cell(a: int, b: int) -> int:
    return (a // 10 + 11) * CELLS + b // 10 + 11


def test_features_by_hand() -> None:
    nan = torch.nan
    lab = torch.tensor([[[50.0, 10.0, -20.0], [nan] * 3], [[50.0, 40.0, 0.0], [90.0, 40.0, 5.0]]])
    points = dominant_features(lab, torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    assert points.shape == (2, CELLS**2)
    assert points[0, cell(10, -20)] == 1
    assert points[0, cell(20, -20)] == points[0, cell(10, -30)] == 0.5
    assert points[0, cell(20, -10)] == pytest.approx(1 - 200**0.5 / 20)
    assert points[0].count_nonzero() == 9  # those two cells away are at T_d, where α = 1 leaves nothing
    assert points[1, cell(40, 0)] == 0.5 * 1 + 0.5 * 0.75  # lightness does not count


def test_features_do_not_depend_on_what_pads() -> None:
    lab, share = torch.tensor([[[50.0, 10.0, -20.0]]]), torch.tensor([[1.0]])
    padded = dominant_features(torch.cat([lab, torch.full((1, 7, 3), torch.nan)], 1), torch.eye(8)[:1] + 0.1)
    assert torch.equal(dominant_features(lab, 1.1 * share), padded)
