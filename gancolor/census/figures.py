"""The picture of a set's colors."""

import io

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gancolor.census.count import BINS, HIGH, LOW, Distribution
from gancolor.color import AB_SCALE, Lab, lab_to_rgb
from gancolor.page import style
from gancolor.palette import CELL, CELLS
from gancolor.palette.drawing import draw_plane

_BAR = "#0072b2"  # Okabe and Ito (2008)
_SWATCHES = 12  # of the most frequent colors, and of the rarest
_DPI = 120


def colors(distribution: Distribution, title: str) -> bytes:
    """How often each color occurs, the most frequent and the rarest, as a PNG file."""
    with style("colors"):
        figure = Figure(figsize=(11, 8), layout="constrained")
        figure.suptitle(f"Colors of {title}", fontweight="bold")
        axes = figure.subplot_mosaic([["prior", "a"], ["prior", "b"], ["most", "most"], ["least", "least"]],
            height_ratios=[4, 4, 1.5, 1.5], width_ratios=[3, 2])  # fmt: skip
        draw_plane(figure, axes["prior"], distribution.prior, CELLS * CELL / 2)
        axes["prior"].set_title(f"of {distribution.pixels:,} pixels; the line is all that sRGB has", fontsize=9)
        _histogram(axes["a"], distribution.histogram_a, "a: green to red (Lab units)")
        _histogram(axes["b"], distribution.histogram_b, "b: blue to yellow (Lab units)")
        frequent = (-distribution.prior).argsort(axis=None, kind="stable")[: (distribution.prior > 0).sum()]
        _swatches(
            axes["most"],
            distribution,
            frequent[:_SWATCHES],
            "The most frequent cells in their mean lightness: share; a, b",
        )
        _swatches(axes["least"], distribution, frequent[::-1][:_SWATCHES], "The rarest cells that occur")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})  # which would name a version
    return file.getvalue()


def _histogram(axes: Axes, share: Float[np.ndarray, " bins"], label: str) -> None:
    edges = np.linspace(LOW, HIGH, BINS + 1)
    axes.stairs(share, edges, fill=True, color=_BAR)
    axes.set(xlabel=label, ylabel="share of pixels", yscale="log")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")


def _swatches(axes: Axes, distribution: Distribution, cells: Int[np.ndarray, " n"], title: str) -> None:
    """The mean color of the pixels in each cell, with its center and its share."""
    a, b = np.unravel_index(cells, distribution.prior.shape)
    center = (np.stack([a, b]) - CELLS // 2) * CELL
    light = torch.from_numpy(distribution.light.flat[cells] / 50 - 1).float()
    lab = Lab(light.view(1, 1, 1, -1), torch.from_numpy(center / AB_SCALE).float().view(1, 2, 1, -1))
    axes.imshow(lab_to_rgb(lab)[0].permute(1, 2, 0).numpy(), aspect="auto", extent=(0, len(cells), 0, 1))
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlim(0, _SWATCHES)
    shares = distribution.prior.flat[cells]
    labels = [f"{100 * share:.2g} %\n{a}, {b}" for share, a, b in zip(shares, *center, strict=True)]
    axes.set_xticks(np.arange(len(cells)) + 0.5, labels)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.grid(False)
