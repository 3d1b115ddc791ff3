"""The colors of a data set: how often each cell of the ab plane occurs, and how much a rare one should weigh."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import conv2d

from gancolor.color import AB_SCALE, rgb_to_lab

CELL = 10  # Lab units: the grid of Zhang et al. 2016
CELLS = 2 * round(AB_SCALE / CELL) + 1  # cells a side, with centers at −110, −100 … 110


def cell_of(ab: Float[Tensor, "B 2 H W"]) -> Int[Tensor, "B H W"]:
    """The cell with the nearest center, as row-major number ``a · CELLS + b``."""
    place = (ab * (AB_SCALE / CELL)).round().long() + CELLS // 2
    a, b = place.clamp(0, CELLS - 1).unbind(1)
    return a * CELLS + b


def prior(colors: Iterable[Float[Tensor, "B 2 H W"]]) -> Float[Tensor, "a b"]:
    """The share of pixels in each cell of the ab plane; sums to 1.

    Raises:
        ValueError: there is not one picture.
    """
    counts = torch.zeros(CELLS * CELLS, dtype=torch.float64)
    for ab in colors:
        counts += torch.bincount(cell_of(ab).flatten().cpu(), minlength=CELLS * CELLS)
    if counts.sum() == 0:
        raise ValueError("no picture to measure colors on")
    return (counts / counts.sum()).view(CELLS, CELLS)


def gamut() -> Float[Tensor, "a b"]:
    """1 for each cell that some sRGB color falls into, else 0."""
    levels = torch.linspace(0, 1, 64)
    cube = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).view(1, 3, 64, 64 * 64)
    touched = torch.zeros(CELLS * CELLS, dtype=torch.float64)
    touched[cell_of(rgb_to_lab(cube).ab).flatten()] = 1
    return touched.view(CELLS, CELLS)


def rarity(p: Float[Tensor, "a b"], uniform: float, sigma: float) -> Float[Tensor, "a b"]:
    """Zhang et al. 2016, eq. 4: w ∝ 1 / ((1 − λ) p̃ + λ/Q), scaled so that the expected weight E_p[w] is 1.

    p̃ is the prior smoothed by a Gaussian; Q counts the cells in the gamut. The paper scales under p̃; we scale under
    the measured p itself, so that the mean weight of the training pixels is exactly 1.

    Args:
        p: the prior.
        uniform: λ, the share of the uniform distribution in the mixture, in (0, 1]; 1 weighs all colors alike.
        sigma: standard deviation of the Gaussian, in Lab units.
    """
    reach = math.ceil(4 * sigma / CELL)  # cells; beyond four sigma a Gaussian has nothing left to give
    offset = torch.arange(-reach, reach + 1, dtype=p.dtype) * CELL
    kernel = torch.exp(-(offset**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    smooth = conv2d(p[None, None], torch.outer(kernel, kernel)[None, None], padding=reach)[0, 0]
    inside = gamut()
    weight = 1 / ((1 - uniform) * smooth / smooth.sum() + uniform / inside.sum())
    return weight / (p * weight).sum()
