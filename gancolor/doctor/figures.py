"""The report's pictures of a whole set: its colors, how colorful its images are, and how large."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from torch import Tensor

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.page import INK, style, svg

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
        a, b = _ab(part)
        counts += np.histogram2d(b, a, bins=[edges, edges])[0]
    with style("prior"):
        figure, axes = _figure("Colors of the set")
        share = np.ma.masked_equal(counts / len(rgb), 0)
        image = axes.imshow(share, norm=LogNorm(), origin="lower", extent=(edges[0], edges[-1]) * 2, cmap="viridis")
        axes.plot(*_gamut(), color=INK, linewidth=0.8)
        axes.set(xlabel="a: green to red (Lab units)", ylabel="b: blue to yellow (Lab units)")
        axes.grid(False)
        figure.colorbar(image, label="share of pixels", format=lambda share, _: f"{100 * share:g} %")
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


def _ab(rgb: UInt8[Tensor, "n 3"]) -> Float[np.ndarray, "2 n"]:
    """In Lab units."""
    return rgb_to_lab(rgb.T[None, :, :, None]).ab[0, :, :, 0].numpy() * AB_SCALE


def _gamut() -> Float[np.ndarray, "2 n"]:
    """The outline of sRGB in the ab plane: the way round the color circle, from red over yellow back to red."""
    up, down, full, none = np.arange(256), np.arange(255, -1, -1), np.full(256, 255), np.full(256, 0)
    sides = [
        (full, up, none),
        (down, full, none),
        (none, full, up),
        (none, down, full),
        (up, none, full),
        (full, none, down),
    ]
    rgb = np.concatenate([np.stack(side, axis=1) for side in sides]).astype(np.uint8)
    return _ab(torch.from_numpy(rgb))
