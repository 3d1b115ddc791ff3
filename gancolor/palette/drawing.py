"""Drawing the ab plane. Not imported with the package: nothing but figures needs matplotlib."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.page import INK


def draw_plane(figure: Figure, axes: Axes, share: Float[np.ndarray, "a b"], reach: float) -> None:
    """How often each color occurs, on a logarithmic scale, and the outline of what sRGB has.

    Args:
        figure: to draw in.
        axes: of the figure.
        share: of pixels, in each cell of the plane.
        reach: the cells end at −reach and reach on either axis, in Lab units.
    """
    seen, extent = np.ma.masked_equal(share.T, 0), (-reach, reach, -reach, reach)
    image = axes.imshow(seen, norm=LogNorm(), origin="lower", extent=extent, cmap="viridis")
    axes.plot(*gamut(), color=INK, linewidth=0.8)
    axes.set(xlabel="a: green to red (Lab units)", ylabel="b: blue to yellow (Lab units)")
    axes.grid(False)
    figure.colorbar(image, ax=axes, label="share of pixels", format=lambda share, _: f"{100 * share:g} %")


def gamut() -> Float[np.ndarray, "2 n"]:
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
    return ab_of(torch.from_numpy(rgb))


def ab_of(rgb: UInt8[Tensor, "n 3"]) -> Float[np.ndarray, "2 n"]:
    """The a and b of colors, in Lab units."""
    return rgb_to_lab(rgb.T[None, :, :, None]).ab[0, :, :, 0].numpy() * AB_SCALE
