"""Contact sheets: what each profile is, by photographs that have it."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont, ImageOps

from gancolor.census.colors import PictureColors
from gancolor.color import AB_SCALE, Lab, lab_to_rgb
from gancolor.data.layout import found_at
from gancolor.interfaces import Source

OVERVIEW, SHEET = "profiles.png", "profile-{}.png"
_TILE, _GAP, _LABEL = 128, 4, 190  # pixels
_ACROSS, _TYPICAL, _RANDOM, _SHOWN = 6, 24, 12, 8  # photographs: in a row, nearest, any, in a row of the overview
_SWATCHES = 8
_BACKGROUND, _INK = "#f4f4f4", "#202020"


def draw(
    data: PictureColors,
    names: Sequence[str],
    members: Int[np.ndarray, " N"],
    distances: Float[np.ndarray, " N"],
    seed: int,
) -> dict[str, bytes]:
    """The PNG files: an overview, a row a profile, and of each profile a sheet of its own.

    Args:
        data: what was measured of the photographs, which are read again.
        names: of the profiles.
        members: of each photograph, the number of its profile.
        distances: of each photograph, how far it is from the profile's center.
        seed: of the choice of photographs at random.

    Raises:
        Unreadable: one of the photographs cannot be read.
        OSError: their shards are not there any more.
        KeyError: they are not in their shards any more.
    """
    source = found_at(data.root)
    result, rows = {}, []
    for profile, name in enumerate(names):
        own = np.flatnonzero(members == profile)
        typical = own[distances[own].argsort(kind="stable")]
        rest = np.random.default_rng((seed, profile)).permutation(typical[_TYPICAL:])
        near, some = (_tiles(source, data, of) for of in (typical[:_TYPICAL], rest[:_RANDOM]))
        label, band = f"{name}\n{len(own) / len(members):.1%}", swatches(data.lab[own], data.share[own])
        width = _ACROSS * (_TILE + _GAP) + _GAP
        head = _row([_text(label), _band(band, width - _LABEL - 3 * _GAP)])
        parts = [head, _title("Nearest to its center", width), *_grid(near)]
        result[SHEET.format(name)] = _png(_column(parts + ([_title("Any", width), *_grid(some)] if some else [])))
        rows.append(_row([_text(label), _band(band, 2 * _TILE), *near[:_SHOWN]]))
    return {OVERVIEW: _png(_column(rows)), **result}


def swatches(lab: Float[np.ndarray, "N n 3"], share: Float[np.ndarray, "N n"]) -> list[tuple[tuple[int, ...], float]]:
    """At most eight colors that stand for the dominant colors of pictures, the most frequent first: RGB, and share."""
    from sklearn.cluster import KMeans

    there = share > 0
    points, weights = lab[there], share[there] / share.sum()
    count = min(_SWATCHES, len(np.unique(points, axis=0)))
    found = KMeans(count, n_init=1, random_state=0)  # pyright: ignore[reportArgumentType]
    shares = np.bincount(found.fit_predict(points, sample_weight=weights), weights, minlength=count)
    centers = torch.from_numpy(found.cluster_centers_).float().T[None, :, :, None]
    rgb = lab_to_rgb(Lab(centers[:, :1] / 50 - 1, centers[:, 1:] / AB_SCALE))[0, :, :, 0].T.tolist()
    return [(tuple(rgb[place]), float(shares[place])) for place in (-shares).argsort(kind="stable")]


def _tiles(source: Source, data: PictureColors, which: Int[np.ndarray, " n"]) -> list[Image.Image]:
    pictures = (source.read(str(data.names[place]), _TILE).permute(1, 2, 0).numpy() for place in which)
    return [ImageOps.fit(Image.fromarray(picture), (_TILE, _TILE)) for picture in pictures]


def _grid(tiles: Sequence[Image.Image]) -> list[Image.Image]:
    return [_row(tiles[start : start + _ACROSS]) for start in range(0, len(tiles), _ACROSS)]


def _band(colors: Sequence[tuple[tuple[int, ...], float]], width: int) -> Image.Image:
    """Colors side by side, as wide as their shares."""
    result = Image.new("RGB", (width, _TILE))
    pen, ends = ImageDraw.Draw(result), np.cumsum([0, *(share for _, share in colors)]) * width
    for (color, _), start, end in zip(colors, ends[:-1], ends[1:], strict=True):
        pen.rectangle((round(start), 0, round(end), _TILE), fill=color)
    return result


def _text(text: str) -> Image.Image:
    return _write(text, (_LABEL, _TILE), 26)


def _title(text: str, width: int) -> Image.Image:
    return _write(text, (width, 28), 16)


def _write(text: str, size: tuple[int, int], height: int) -> Image.Image:
    """Text on a ground of its own, smaller if it would not fit."""
    result = Image.new("RGB", size, _BACKGROUND)
    pen, file = (
        ImageDraw.Draw(result),
        font_manager.findfont("DejaVu Sans"),
    )  # comes with matplotlib; knows most letters
    while True:
        font = ImageFont.truetype(file, height)
        left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font)
        if right - left < size[0] - 2 * _GAP or height <= 6:
            break
        height -= 1
    pen.multiline_text((_GAP, (size[1] - bottom - top) / 2), text, fill=_INK, font=font)
    return result


def _row(pictures: Sequence[Image.Image]) -> Image.Image:
    result = Image.new(
        "RGB", (sum(p.width + _GAP for p in pictures) + _GAP, max(p.height for p in pictures) + _GAP), _BACKGROUND
    )
    place = _GAP
    for picture in pictures:
        result.paste(picture, (place, 0))
        place += picture.width + _GAP
    return result


def _column(pictures: Sequence[Image.Image]) -> Image.Image:
    size = max(p.width for p in pictures), sum(p.height for p in pictures) + _GAP
    result, place = Image.new("RGB", size, _BACKGROUND), _GAP
    for picture in pictures:
        result.paste(picture, (0, place))
        place += picture.height
    return result


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
