"""How often each cell of the ab plane occurs in a data set."""

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from gancolor.bins import STEP as CELL
from gancolor.color import AB_SCALE

CELLS = 2 * round(AB_SCALE / CELL) + 1  # cells a side, with centers at −110, −100 … 110


def cell_of(ab: Float[Tensor, "B 2 H W"]) -> Int[Tensor, "B H W"]:
    """The cell with the nearest center, as row-major number ``a · CELLS + b``."""
    place = (ab * (AB_SCALE / CELL)).round().long() + CELLS // 2
    a, b = place.clamp(0, CELLS - 1).unbind(1)
    return a * CELLS + b


def prior(
    colors: Iterable[Float[Tensor, "B 2 H W"]],
    cell_of: Callable[[Float[Tensor, "B 2 H W"]], Int[Tensor, "B H W"]] = cell_of,
    side: int = CELLS,
) -> Float[Tensor, "a b"]:
    """The share of pixels in each cell of the ab plane; sums to 1.

    Args:
        colors: batches of ab, scaled as in :class:`~gancolor.color.Lab`.
        cell_of: the row-major number of each color's cell.
        side: number of cells a side.

    Raises:
        ValueError: there is not one picture.
    """
    counts = torch.zeros(side * side, dtype=torch.float64)
    for ab in colors:
        counts += torch.bincount(cell_of(ab).flatten().cpu(), minlength=side * side)
    if counts.sum() == 0:
        raise ValueError("no picture to measure colors on")
    return (counts / counts.sum()).view(side, side)


def smooth(p: Float[Tensor, "*N a b"], sigma: float) -> Float[Tensor, "*N a b"]:
    """Distributions over cells after a Gaussian of ``sigma`` cells; what falls off the plane is shared by all."""
    reach = math.ceil(4 * sigma)  # beyond four sigma a Gaussian has nothing left to give
    kernel = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in range(-reach, reach + 1)]
    for dim, sides in ((-1, (reach, reach)), (-2, (0, 0, reach, reach))):
        padded, length = pad(p, sides), p.shape[dim]
        # Sums, no convolution: TF32 would round it, and other profiles be the nearest ones.
        p = torch.stack([w * padded.narrow(dim, i, length) for i, w in enumerate(kernel)]).sum(0)
    return p / p.sum((-2, -1), keepdim=True)
