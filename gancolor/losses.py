"""Distances between predicted and real colors. Each is a mean over pixels, in units of ab / 110."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from gancolor.color import Lab
from gancolor.errors import InputError
from gancolor.interfaces import ColorLoss, Measured, Prediction
from gancolor.palette import CELLS, cell_of, prior, rarity


class L1(ColorLoss):
    """Mean |âb − ab| over pixels and both channels (pix2pix, eq. 3).

    Args:
        weight: factor of this term in the generator's loss; pix2pix takes 100.
    """

    def __init__(self, weight: float = 100.0):
        super().__init__()
        self.weight = weight

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss."""
        return (prediction.ab - real.ab).abs().mean()


class RarityL1(ColorLoss, Measured):
    """L1 in which rare colors count more: mean w(ab) · |âb − ab|, with w from the training data's own colors.

    The weight is that of the *real* color, and averages 1 over the training pixels, so that the term's size can be
    compared with plain L1's (see :func:`gancolor.palette.rarity`, after Zhang et al. 2016, eq. 4).

    Args:
        weight: factor of this term in the generator's loss.
        uniform: share of the uniform distribution mixed into the prior, in (0, 1]: less weighs rare colors more.
        sigma: standard deviation of the Gaussian that smooths the prior, in Lab units, above 0.
    """

    table: Float[Tensor, "a b"]

    def __init__(self, weight: float = 100.0, uniform: float = 0.5, sigma: float = 5.0):
        super().__init__()
        if not 0 < uniform <= 1:
            raise InputError(f"RarityL1: uniform is {uniform}, must be in (0, 1]")
        if not sigma > 0:
            raise InputError(f"RarityL1: sigma is {sigma}, must be above 0")
        self.weight, self.uniform, self.sigma = weight, uniform, sigma
        self.register_buffer("table", torch.full((CELLS, CELLS), torch.nan))

    @property
    def measured(self) -> bool:
        """Whether the weights are known."""
        return not bool(self.table.isnan().any())

    def measure(self, colors: Iterable[Float[Tensor, "B 2 H W"]]) -> None:
        """Derive the weights from the training data's colors."""
        self.table.copy_(rarity(prior(colors), self.uniform, self.sigma))

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss."""
        rare = self.table.flatten()[cell_of(real.ab)].unsqueeze(1)
        return (rare * (prediction.ab - real.ab).abs()).mean()
