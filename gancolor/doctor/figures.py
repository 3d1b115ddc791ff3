"""The report's pictures of a whole set: its colors, how colorful its images are, and how large."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from gancolor.color import AB_SCALE
from gancolor.page import style, svg
from gancolor.palette.drawing import ab_of, draw_plane

_SIZE = (4.4, 3.4)  # inches; half of the page
_CELL = 2.0  # Lab units of a cell of the color prior
_BAR, _LIMIT = "#0072b2", "#d55e00"  # Okabe and Ito (2008)
_AT_ONCE = 1_000_000  # pixels in float at a time


def color_prior(pixels: bytes) -> str:
    """How often each color occurs, whatever its lightness: the ab plane on a logarithmic scale.

    Args:
        pixels: RGB of as many pixels of every image.
    """
    rgb = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(-1, 3)
    edges = np.arange(-AB_SCALE, AB_SCALE + _CELL, _CELL)
    counts = np.zeros((len(edges) - 1, len(edges) - 1))
    for part in rgb.split(_AT_ONCE):
        counts += np.histogram2d(*ab_of(part), bins=[edges, edges])[0]
    with style("prior"):
        figure, axes = _figure("Colors of the set")
        draw_plane(figure, axes, counts / len(rgb), edges[-1])
        return svg(figure, "prior")


def colorfulness(values: Sequence[float], least: float) -> str:
    """How many images are how colorful, and below what they count as nearly gray."""
    with style("colorfulness"):
        figure, axes = _figure("Colorfulness")
        axes.hist(values, bins=np.arange(0, max(values) + 4, 2).tolist(), color=_BAR)
        axes.axvline(
            least, color=_LIMIT, linestyle="--", label=f"{np.mean(np.array(values) < least):.1%} below {least:g}"
        )
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
        axes.set(xlabel="colorfulness (Hasler & Süsstrunk 2003): 0 is gray", ylabel="images")
        return svg(figure, "colorfulness")


def sizes(short_sides: Sequence[int], size: int) -> str:
    """How many images are how large, and what training refuses."""
    with style("sizes"):
        figure, axes = _figure("Size")
        low, high = min(*short_sides, size / 2) / 1.2, max(*short_sides, size) * 1.2
        axes.hist(short_sides, bins=np.geomspace(low, high, 50).tolist(), color=_BAR)
        axes.axvline(size / 2, color=_LIMIT, linestyle="--", label=f"below {size / 2:g}: refused at size {size}")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))
        axes.set(xlabel="short side in pixels", ylabel="images")
        return svg(figure, "sizes")


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=10, fontweight="bold")
    return figure, axes
