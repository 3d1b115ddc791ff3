"""How often each of the 2²⁴ colors of 8-bit sRGB occurs, and what follows from it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.palette import CELLS, cell_of

BINS, LOW, HIGH = 64, -128.0, 127.0  # Lab units: the histograms of Robles & Budach
NEARLY_GRAY = 5.0  # chroma, in Lab units, below which a pixel hardly has a hue
_AT_ONCE = 2**20  # colors that are converted to Lab together


@dataclass(frozen=True)
class Distribution:
    """How often which colors occur among all pixels.

    Attributes:
        pixels: their number.
        prior: the share of each cell of the ab plane; sums to 1.
        light: the mean L, 0 … 100, of the pixels in each cell; NaN where there is none.
        histogram_a: the share of each of 64 bins of a, from −128 to 127 Lab units; sums to 1.
        histogram_b: likewise of b.
        chroma: the mean of √(a² + b²), in Lab units.
        nearly_gray: the share whose chroma is below ``NEARLY_GRAY``.
    """

    pixels: int
    prior: Float[np.ndarray, "a b"]
    light: Float[np.ndarray, "a b"]
    histogram_a: Float[np.ndarray, " bins"]
    histogram_b: Float[np.ndarray, " bins"]
    chroma: float
    nearly_gray: float


class Census:
    """Counts the pixels of each color, in 128 MB however many there are.

    To count is several times as fast as to convert every pixel to Lab: what is asked of Lab is asked once a color.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(256**3, np.int64)

    def add(self, rgb: UInt8[Tensor, "B 3 H W"]) -> None:
        """Count the pixels of some pictures."""
        for picture in rgb:  # one by one they stay in the processor's cache
            red, green, blue = picture.to(torch.int32)
            np.add.at(self.counts, (red << 16 | green << 8 | blue).flatten().numpy(), 1)

    def distribution(self) -> Distribution:
        """What was counted so far; at least one pixel."""
        cells, light = np.zeros(CELLS**2), np.zeros(CELLS**2)
        a_bins, b_bins = np.zeros(BINS), np.zeros(BINS)
        chromas = gray = 0.0
        for lab, count in self._occurring():
            _, a, b = lab
            cell = cell_of(torch.from_numpy(lab[None, 1:, :, None] / AB_SCALE)).flatten().numpy()
            cells += np.bincount(cell, count, CELLS**2)
            light += np.bincount(cell, count * lab[0], CELLS**2)
            a_bins += np.histogram(a, BINS, (LOW, HIGH), weights=count)[0]
            b_bins += np.histogram(b, BINS, (LOW, HIGH), weights=count)[0]
            chroma = np.hypot(a, b)
            chromas += chroma @ count
            gray += count[chroma < NEARLY_GRAY].sum()
        pixels = cells.sum()
        return Distribution(
            int(pixels),
            (cells / pixels).reshape(CELLS, CELLS),
            np.divide(light, cells, np.full_like(cells, np.nan), where=cells > 0).reshape(CELLS, CELLS),
            a_bins / pixels,
            b_bins / pixels,
            float(chromas / pixels),
            float(gray / pixels),
        )

    def _occurring(self) -> Iterator[tuple[Float[np.ndarray, "3 n"], Int[np.ndarray, " n"]]]:
        """L, a and b in Lab units of the colors that occur, some at a time, and how often each does."""
        for start in range(0, len(self.counts), _AT_ONCE):
            color = start + self.counts[start : start + _AT_ONCE].nonzero()[0]
            if len(color):
                rgb = torch.from_numpy(np.stack([color >> 16, color >> 8 & 255, color & 255]).astype(np.uint8))
                lab = rgb_to_lab(rgb[None, :, :, None])
                values = torch.cat([(lab.light + 1) * 50, lab.ab * AB_SCALE], dim=1)[0, :, :, 0]
                yield values.double().numpy(), self.counts[color]
