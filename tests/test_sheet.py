"""Sheets: every picture is there, whole, below its name, and the sheet's shape is one that a screen can show."""

import numpy as np
import pytest
import torch
from PIL import Image

from gancolor.apps.sheet import Tile, draw, gray, reduced

COLORS = [(255, 0, 0), (0, 160, 0), (0, 0, 255), (200, 0, 200), (0, 160, 160), (160, 160, 0), (255, 160, 0)]
SHAPES = [(300, 200), (200, 300), (1000, 60), (60, 1000), (1, 1), (224, 224)]


def tiles(count: int, size: tuple[int, int]) -> list[Tile]:
    return [Tile(f"name {i}", Image.new("RGB", size, COLORS[i])) for i in range(count)]


def box(sheet: Image.Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Where a color is: left, top, right, bottom; all of it must be of that color."""
    y, x = np.nonzero((np.asarray(sheet) == color).all(2))
    left, top, right, bottom = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
    assert len(x) == (right - left) * (bottom - top)
    return left, top, right, bottom


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("count", [2, 3, 6, 7])
def test_every_picture_is_there_in_order_below_its_name(size: tuple[int, int], count: int) -> None:
    first, *others = tiles(count, size)
    sheet = draw(first, others)
    places = []
    for color in COLORS[:count]:
        left, top, right, bottom = box(sheet, color)
        assert (right - left, bottom - top) == size
        assert np.asarray(sheet.crop((left, top - 25, left + 60, top))).min() == 0  # its name
        places.append((top, left))
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("size", "columns"),
    [((400, 300), 3), ((300, 400), 3), ((384, 384), 3), ((1024, 64), 1), ((1024, 144), 1), ((64, 1024), 6)],
)
def test_six_pictures_lie_as_a_person_would_lay_them(size: tuple[int, int], columns: int) -> None:
    first, *others = tiles(6, size)
    sheet = draw(first, others)
    assert len({box(sheet, color)[0] for color in COLORS[:6]}) == columns
    assert len({box(sheet, color)[1] for color in COLORS[:6]}) == 6 / columns


def test_with_columns_the_first_picture_is_above_the_others() -> None:
    first, *others = tiles(7, (100, 50))
    sheet = draw(first, others, columns=3)
    places = [box(sheet, color)[:2] for color in COLORS]
    assert [x for x, _ in places] == [places[0][0], *[x for x, _ in places[1:4]] * 2]
    rows = [y for _, y in places]
    assert rows[0] < rows[1] == rows[2] == rows[3] < rows[4] == rows[6]


def test_a_long_name_is_not_painted_over_by_its_neighbor() -> None:
    short, long = (
        [Tile("m" * 40 if i == 1 and wide else "m", Image.new("RGB", (9, 9), COLORS[i])) for i in range(3)]
        for wide in (False, True)
    )
    assert draw(long[0], long[1:]).width * draw(long[0], long[1:]).height > draw(short[0], short[1:]).width * 40
    left = box(draw(long[0], long[1:], columns=2), COLORS[1])[0], box(draw(long[0], long[1:], columns=2), COLORS[2])[0]
    assert left[1] - left[0] > 400


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50), (100, 50)), ((3000, 4000), (333, 443)), ((500, 8000), (64, 1024)), ((1, 5000), (1, 1024))],
)
def test_large_pictures_are_reduced_small_ones_are_not_enlarged(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    picture = reduced(torch.full((3, *shape), 77, dtype=torch.uint8))
    assert (picture.height, picture.width) == expected
    assert picture.getpixel((0, 0)) == (77, 77, 77)


def test_the_gray_picture_has_the_lightness_and_no_color() -> None:
    picture = np.asarray(gray(torch.tensor([200, 30, 60], dtype=torch.uint8)[:, None, None].expand(3, 40, 700)))
    assert picture.shape == (40, 700, 3)
    assert (picture == picture[0, 0, 0]).all()
    assert picture[0, 0, 0] == 103  # L = 43.6, by scikit-image
