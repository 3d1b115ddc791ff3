"""What drawn scenes are painted with: paints, textures and a canvas.

A paint is a curve through Lab that gives a color to every lightness. A canvas is two maps: which paint lies on each
sample, and how light it is there; shape and texture thereby decide the color, as they mostly do in nature. Some
things do not show theirs: cars, balloons and the leaves of broad-leaved trees come in several colors of the *same*
lightness, as often as is written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8, UInt16
from numpy import ndarray

from gancolor.color import AB_SCALE, Lab, lab_to_rgb

CAR_LIGHT = 57.0  # L* of every car's body
CAR_COLORS: dict[str, tuple[float, tuple[float, float]]] = {  # probability, (a, b)
    "red": (0.45, (52.0, 38.0)),
    "blue": (0.45, (4.0, -46.0)),
    "yellow": (0.05, (3.0, 52.0)),
    "green": (0.05, (-42.0, 36.0)),
}
TREE_COLORS: dict[str, tuple[float, tuple[float, float]]] = {  # of each broad-leaved tree; (a, b) at L* 50
    "green": (0.88, (-18.0, 25.0)),
    "autumn": (0.12, (26.0, 38.0)),
}
BALLOON_LIGHT = (60.0, 70.0)  # L* of every balloon's gores, in turn
BALLOON_CHROMA = 33.0  # as much as every hue can have at both
BALLOON_HUES = 36  # equally likely

_VARIANTS = 5  # of each natural paint: differences that lightness does not betray
_LEVELS = 256  # of lightness in a paint
_SUPERSAMPLING = 2  # samples a pixel, each way


class Label(IntEnum):
    """What a pixel shows; ``EDGE`` where several things share it."""

    EDGE = 0
    SKY = 1
    CLOUD = 2
    SUN = 3
    MOUNTAIN = 4
    SNOW = 5
    GRASS = 6
    FIELD = 7
    SEA = 8
    SAND = 9
    ROAD = 10
    LEAVES = 11
    CONIFER = 12
    TRUNK = 13
    WALL = 14
    ROOF = 15
    WINDOW = 16
    FLOWER = 17
    BALLOON = 18
    CAR = 19
    DETAIL = 20


class Paint(NamedTuple):
    """A curve through Lab.

    Attributes:
        label: what is painted with it.
        points: (L*, a, b) of rising L*; straight in between.
        variants: how many slightly different hues and chromas it comes in.
    """

    label: Label
    points: tuple[tuple[float, float, float], ...]
    variants: int = _VARIANTS


def _flat(label: Label, a: float, b: float) -> Paint:
    """One color at every lightness."""
    return Paint(label, ((0, a, b), (100, a, b)), 1)


def _leaves(a: float, b: float) -> Paint:
    """A color at L* 50 that fades towards black and white."""
    return Paint(Label.LEAVES, ((5, a / 4, b / 4), (50, a, b), (75, 0.9 * a, 1.1 * b), (95, 0.2 * a, 0.5 * b)), 1)


_DAY = ((40, 1, -30), (62, -4, -25), (80, -6, -15), (90, -2, -3), (96, 0, 1))
_DUSK = ((20, 10, -23), (36, 17, -16), (50, 27, 10), (64, 26, 33), (80, 7, 40), (97, -3, 19))
_HUES = np.arange(BALLOON_HUES) * 2 * np.pi / BALLOON_HUES
PAINTS: dict[str, Paint] = {
    "day": Paint(Label.SKY, _DAY),
    "day cloud": Paint(Label.CLOUD, _DAY),
    "sunset": Paint(Label.SKY, _DUSK),
    "overcast": Paint(Label.CLOUD, ((40, -1, -7), (75, -1, -4), (95, 0, 0))),
    "sun": Paint(Label.SUN, ((80, 4, 54), (97, -5, 31)), 1),
    "mountain": Paint(Label.MOUNTAIN, ((15, 5, -10), (45, 1, -10), (65, 0, -5))),
    "snow": Paint(Label.SNOW, ((55, 0, -14), (85, -1, -6), (97, 0, 0))),
    "grass": Paint(Label.GRASS, ((10, -5, 6), (35, -14, 19), (55, -17, 27), (75, -12, 30), (90, -5, 14))),
    "field": Paint(Label.FIELD, ((20, 6, 10), (45, 9, 22), (65, 6, 31), (85, 1, 28), (95, 0, 10))),
    "day sea": Paint(Label.SEA, ((15, -3, -14), (38, -10, -20), (58, -16, -14), (78, -10, -6), (92, 0, 0))),
    "sunset sea": Paint(Label.SEA, ((12, 8, -21), (32, 14, -12), (50, 22, 15), (70, 14, 34), (92, 0, 22))),
    "overcast sea": Paint(Label.SEA, ((15, -4, -10), (45, -9, -9), (70, -6, -5), (92, 0, 0))),
    "sand": Paint(Label.SAND, ((40, 6, 15), (70, 4, 22), (85, 2, 18), (96, 0, 7))),
    "road": Paint(Label.ROAD, ((20, 0, -3), (50, 0, -2), (85, 0, 3), (97, 0, 2)), 1),
    "conifer": Paint(Label.CONIFER, ((5, -4, 2), (25, -14, 9), (45, -16, 15), (70, -10, 9))),
    "trunk": Paint(Label.TRUNK, ((10, 5, 6), (45, 10, 18), (70, 5, 11))),
    "brick": Paint(Label.WALL, ((20, 14, 11), (46, 28, 22), (58, 16, 14), (74, 3, 6), (95, 0, 3))),
    "planks": Paint(Label.WALL, ((15, 7, 10), (45, 13, 24), (65, 8, 27), (85, 3, 15))),
    "plaster": Paint(Label.WALL, ((50, 4, 14), (85, 2, 16), (96, 0, 6))),
    "tiles": Paint(Label.ROOF, ((15, 14, 10), (40, 30, 27), (60, 26, 28), (80, 11, 15))),
    "slate": Paint(Label.ROOF, ((10, 1, -6), (40, -1, -12), (70, -1, -6))),
    "window": Paint(Label.WINDOW, ((10, 0, -6), (40, -4, -16), (80, -3, -8), (97, 0, 0)), 1),
    "detail": _flat(Label.DETAIL, 0.0, 0.0),
    "flower": Paint(Label.FLOWER, ((20, 26, -10), (50, 58, -22), (70, 44, -17), (90, 10, -3)), 1),
    **{f"{name} tree": _leaves(*ab) for name, (_, ab) in TREE_COLORS.items()},
    **{f"{name} car": _flat(Label.CAR, *ab) for name, (_, ab) in CAR_COLORS.items()},
    **{
        f"balloon {i}": _flat(Label.BALLOON, BALLOON_CHROMA * np.cos(hue), BALLOON_CHROMA * np.sin(hue))
        for i, hue in enumerate(_HUES)
    },
}


class _Table(NamedTuple):
    """All variants of all paints, one a row."""

    first: dict[str, int]
    labels: UInt8[ndarray, " R"]
    rgb: UInt8[ndarray, "R 256 3"]


@cache
def _table() -> _Table:
    """Mix the paints, once a process."""
    light = np.linspace(0, 100, _LEVELS)
    first, labels, ab = {}, [], []
    for name, paint in PAINTS.items():
        first[name] = len(ab)
        at, a, b = np.array(paint.points, dtype=float).T
        for variant in range(paint.variants):
            shift = variant - (paint.variants - 1) / 2
            turn = np.radians(4 * shift) if variant % 2 else np.radians(-2 * shift)
            curve = np.interp(light, at, a) + 1j * np.interp(light, at, b)
            ab.append((1 + 0.08 * shift) * np.exp(1j * turn) * curve)
            labels.append(paint.label)
    color = torch.from_numpy(np.stack([np.real(ab), np.imag(ab)])[None] / AB_SCALE).float()
    level = torch.from_numpy(np.broadcast_to(light / 50 - 1, color.shape[2:])[None, None].copy()).float()
    rgb = lab_to_rgb(Lab(level, color))[0].movedim(0, 2).contiguous().numpy()
    return _Table(first, np.array(labels, dtype=np.uint8), rgb)


# Correlation lengths (x, y) as shares of the picture's side, and how much more the coarse scales weigh.
_TEXTURES = {
    "clouds": (0.010, 0.006, 1.7),
    "rock": (0.006, 0.006, 1.2),
    "grain": (0.005, 0.005, 0.0),
    "blades": (0.005, 0.022, 0.2),
    "leaves": (0.012, 0.010, 0.0),
    "waves": (0.050, 0.007, 0.3),
    "streaks": (0.250, 0.012, 0.6),
}


@cache
def _texture(kind: str, n: int) -> Float32[ndarray, "m m"]:
    """Gaussian noise of mean 0 and deviation 1 that repeats after 2n samples; scenes take windows of it."""
    dx, dy, coarse = _TEXTURES[kind]
    fy, fx = np.fft.fftfreq(2 * n, 1 / n)[:, None], np.fft.rfftfreq(2 * n, 1 / n)[None]  # cycles a picture
    gain = np.exp(-2 * np.pi**2 * ((dx * fx) ** 2 + (dy * fy) ** 2) / 2)
    gain /= np.maximum(np.hypot(fx * min(1, dx / dy), fy * min(1, dy / dx)), 1) ** coarse
    gain[0, 0] = 0
    white = np.random.default_rng([list(_TEXTURES).index(kind), n]).standard_normal((2 * n, 2 * n))
    noise = np.fft.irfft2(np.fft.rfft2(white) * gain, s=white.shape)
    return (noise / noise.std()).astype(np.float32)


@dataclass(frozen=True)
class Canvas:
    """A picture in the making, or a window of one; coordinates run from 0 to 1 over the whole picture, y downwards.

    Attributes:
        rng: where all chance comes from.
        n: samples a side of the whole picture.
        row: which paint, as a row of the table of paints.
        light: L*.
        x: of each column.
        y: of each row.
    """

    rng: np.random.Generator
    n: int
    row: UInt16[ndarray, "h w"]
    light: Float32[ndarray, "h w"]
    x: Float32[ndarray, "1 w"]
    y: Float32[ndarray, "h 1"]

    @classmethod
    def blank(cls, size: int, rng: np.random.Generator) -> "Canvas":
        """A black square of ``size`` pixels a side."""
        n = size * _SUPERSAMPLING
        middle = ((np.arange(n) + 0.5) / n).astype(np.float32)
        return cls(rng, n, np.zeros((n, n), np.uint16), np.zeros((n, n), np.float32), middle[None], middle[:, None])

    def window(self, left: float, top: float, right: float, bottom: float) -> "Canvas":
        """The part of the whole picture between these coordinates, sharing its samples; may be empty."""
        x0, y0, x1, y1 = (round(self.n * min(max(v, 0.0), 1.0)) for v in (left, top, right, bottom))
        box = np.s_[y0:y1, x0:x1]
        return Canvas(self.rng, self.n, self.row[box], self.light[box], self.x[:, x0:x1], self.y[y0:y1])

    def texture(self, kind: str) -> Float32[ndarray, "h w"]:
        """A random place of a texture, of mean 0 and deviation 1."""
        top, left = (self.below(2 * self.n - side) for side in self.row.shape)
        return _texture(kind, self.n)[top : top + self.row.shape[0], left : left + self.row.shape[1]]

    def receding(self, kind: str, horizon: float) -> Float32[ndarray, "h w"]:
        """A texture on the ground, finer towards the horizon; meaningless above it."""
        depth = np.maximum(self.y[:, 0] - horizon, 0) / (1 - horizon)
        rows = (2 * self.rng.random() + 0.6 * np.log(depth + 0.08)) * self.n
        left = self.below(self.n)
        return np.take(_texture(kind, self.n), rows.astype(int), axis=0, mode="wrap")[
            :, left : left + self.row.shape[1]
        ]

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return low + (high - low) * self.rng.random()

    def below(self, end: int) -> int:
        """A number of 0 … end − 1."""
        return int(end * self.rng.random())

    def pick(self, shares: Mapping[str, float]) -> str:
        """A key, as often as its share says."""
        bounds = np.cumsum(list(shares.values()))
        return list(shares)[int(np.searchsorted(bounds, self.rng.random() * bounds[-1], side="right"))]

    def disc(self, x: float, y: float, rx: float, ry: float) -> Float[ndarray, "h w"]:
        """Squared distance from an ellipse's middle; 1 on its rim."""
        return ((self.x - x) / rx) ** 2 + ((self.y - y) / ry) ** 2

    def fill(self, paint: str, light: Float[ndarray, "..."] | float, where: Bool[ndarray, "..."] | bool = True) -> None:
        """Paint samples, in one variant of the paint."""
        row = _table().first[paint] + self.below(PAINTS[paint].variants)
        np.copyto(self.row, row, where=where, casting="unsafe")
        np.copyto(self.light, light, where=where, casting="unsafe")

    def develop(self) -> tuple[UInt8[ndarray, "H W 3"], UInt8[ndarray, "H W"]]:
        """The picture in sRGB and its labels."""
        table = _table()
        level = np.clip(self.light * ((_LEVELS - 1) / 100) + 0.5, 0, _LEVELS - 1).astype(np.intp)
        colors = table.rgb.reshape(-1, 3).take(self.row * np.intp(_LEVELS) + level, axis=0).astype(np.uint16)
        rgb = (np.add.reduce(_corners(colors)) + 2) // 4
        first, *others = _corners(table.labels[self.row])
        pure = np.logical_and.reduce([first == other for other in others])
        return rgb.astype(np.uint8), np.where(pure, first, np.uint8(Label.EDGE))


def _corners(samples: ndarray) -> list[ndarray]:
    """The four samples of every pixel, as four pictures."""
    return [samples[i::2, j::2] for i in range(2) for j in range(2)]
