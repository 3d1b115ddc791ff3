"""A sheet that shows pictures of one photograph side by side, each with its name above it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gancolor import color

_AREA, _LONGEST = 384 * 384, 1024  # pixels of a picture on the sheet, and of its long side: a panorama has less area
_FONT, _LINE, _GAP = 16, 28, 10  # pixels: size of the letters, height of their line, between pictures and around them
_SHAPE = 1.5  # width / height of the sheet that is aimed at, as of a screen


class Tile(NamedTuple):
    """A picture on a sheet.

    Attributes:
        label: its name.
        picture: reduced to its size on the sheet; all pictures of a sheet have one size.
    """

    label: str
    picture: Image.Image


def reduced(rgb: UInt8[Tensor, "3 H W"]) -> Image.Image:
    """A picture as it is shown on a sheet: smaller if it is large, never larger."""
    height, width = rgb.shape[1:]
    scale = min(1.0, math.sqrt(_AREA / (height * width)), _LONGEST / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(rgb.permute(1, 2, 0).numpy())
    return picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)


def gray(rgb: UInt8[Tensor, "3 H W"]) -> Image.Image:
    """The picture without its color, as it is shown on a sheet."""
    small = torch.from_numpy(np.array(reduced(rgb))).permute(2, 0, 1)
    return reduced(color.gray(small[None])[0])


def draw(first: Tile, others: Sequence[Tile], columns: int | None = None) -> Image.Image:
    """The sheet.

    Args:
        first: what the others are compared with.
        others: in rows, after the first.
        columns: of the others, below the first; by default all flow, in as many columns as make the sheet's shape
            that of a screen.
    """
    font = ImageFont.load_default(_FONT)
    tiles: list[Tile | None] = [first, *others]
    width = max(first.picture.width, *(math.ceil(font.getlength(tile.label)) for tile in (first, *others))) + _GAP
    height = first.picture.height + _LINE + _GAP
    if columns is None:
        columns = _columns(len(tiles), width / height)
    else:
        tiles[1:1] = [None] * (columns - 1)
    sheet = Image.new("RGB", (columns * width + _GAP, math.ceil(len(tiles) / columns) * height + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for i, tile in enumerate(tiles):
        if tile is not None:
            x, y = _GAP + i % columns * width, _GAP + i // columns * height
            pen.text((x, y + _LINE // 2), tile.label, "black", font, anchor="lm")
            sheet.paste(tile.picture, (x, y + _LINE))
    return sheet


def _columns(tiles: int, shape: float) -> int:
    """The number of columns for tiles of a shape, width / height: the sheet's shape is good, and few places empty."""

    def cost(columns: int) -> float:
        rows = math.ceil(tiles / columns)
        return abs(math.log(columns * shape / rows / _SHAPE)) + (rows * columns - tiles) / tiles

    return min(range(1, tiles + 1), key=cost)
