"""How much a rare color should weigh in a loss: two formulas, each a function of the training data's colors."""

import logging
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancolor import palette
from gancolor.bins import AbBins
from gancolor.color import AB_SCALE
from gancolor.errors import InputError
from gancolor.interfaces import Measured, Weighting

_NEARLY_NOTHING = 0.01  # a mean weight below this makes a term of weight 100 smaller than one of weight 1
_LOW, _HIGH = -128.0, 127.0  # Lab units: the range of Robles & Budach's histograms
_EPSILON = 1e-7  # theirs, too

_log = logging.getLogger("gancolor")


class SmoothedPrior(Weighting):
    """Zhang et al. 2016, eq. 4: w ∝ 1 / ((1 − λ) p̃ + λ/Q), on the cells of a 10-unit grid.

    p̃ is the prior, smoothed by a Gaussian; Q = 261 counts the cells in sRGB's gamut.

    Args:
        uniform: λ, the share of the uniform distribution mixed into the prior, in (0, 1]: less weighs rare colors
            more, 1 weighs all alike.
        sigma: standard deviation of the Gaussian, in Lab units, above 0.
        mean1: the distribution under which the mean weight is 1: ``measured``, so that a term keeps its size, or, as
            in the paper, ``smoothed``.
    """

    side = palette.CELLS

    def __init__(self, uniform: float = 0.5, sigma: float = 5.0, mean1: Literal["measured", "smoothed"] = "measured"):
        if not 0 < uniform <= 1:
            raise InputError(f"SmoothedPrior: uniform is {uniform}, must be in (0, 1]")
        if not sigma > 0:
            raise InputError(f"SmoothedPrior: sigma is {sigma}, must be above 0")
        self.uniform, self.sigma = uniform, sigma
        self.mean1: Literal["measured", "smoothed"] = mean1

    def cell_of(self, ab: Float[Tensor, "B 2 H W"]) -> Int[Tensor, "B H W"]:
        """The cell with the nearest center."""
        return palette.cell_of(ab)

    def weights(self, p: Float[Tensor, "a b"]) -> Float[Tensor, "a b"]:
        """The weight of each cell, from the share of pixels in each."""
        smooth = palette.smooth(p, self.sigma / palette.CELL)
        weight = 1 / ((1 - self.uniform) * smooth + self.uniform / len(AbBins.srgb()))
        return weight / ({"measured": p, "smoothed": smooth}[self.mean1] * weight).sum()


class InverseRoot(Weighting):
    """Robles & Budach: 1/√(p + 10⁻⁷), of the histogram of a and of that of b alone, 64 bins each over −128 … 127.

    As published (``sum1``) the weights nearly vanish: bins that no photograph reaches have almost all of their sum, so
    that the mean weight of a pixel of Tiny ImageNet is about 1.5e-4, and 7e-9 for the product.

    Args:
        combine: what becomes of the weights of a and of b, each scaled to sum to 1.
        normalize: ``sum1`` leaves it at that, as published; ``mean1`` scales the result, so that the mean weight of
            the training pixels is 1.
    """

    side = 64

    def __init__(self, combine: Literal["sum", "product"] = "sum", normalize: Literal["mean1", "sum1"] = "mean1"):
        self.combine: Literal["sum", "product"] = combine
        self.normalize: Literal["mean1", "sum1"] = normalize

    def cell_of(self, ab: Float[Tensor, "B 2 H W"]) -> Int[Tensor, "B H W"]:
        """The cell that a color falls into."""
        place = ((ab * AB_SCALE - _LOW) * (self.side / (_HIGH - _LOW))).long()
        a, b = place.clamp(0, self.side - 1).unbind(1)
        return a * self.side + b

    def weights(self, p: Float[Tensor, "a b"]) -> Float[Tensor, "a b"]:
        """The weight of each cell, from the share of pixels in each."""
        a, b = (1 / (p.sum(dim) + _EPSILON).sqrt() for dim in (1, 0))
        table = _COMBINE[self.combine](a / a.sum(), b / b.sum())
        return table / {"mean1": (p * table).sum(), "sum1": 1}[self.normalize]


_COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": lambda a, b: a[:, None] + b,
    "product": lambda a, b: a[:, None] * b,
}


class WeightTable(nn.Module, Measured):
    """The weights that a weighting gives to the training data's colors, to be looked up.

    Args:
        weighting: the formula.
    """

    table: Float[Tensor, "a b"]

    def __init__(self, weighting: Weighting):
        super().__init__()
        self.weighting = weighting
        self.register_buffer("table", torch.full((weighting.side, weighting.side), torch.nan))

    @property
    def measured(self) -> bool:
        """Whether the weights are known."""
        return not bool(self.table.isnan().any())

    def measure(self, colors: Iterable[Float[Tensor, "B 2 H W"]]) -> dict[str, float]:
        """Derive the weights; returns their mean over the training pixels, and their range there."""
        p = palette.prior(colors, self.weighting.cell_of, self.weighting.side)
        weights = self.weighting.weights(p)
        self.table.copy_(weights)
        mean, seen = (p * weights).sum().item(), weights[p > 0]
        if mean < _NEARLY_NOTHING:
            _log.warning(
                "%s: the mean weight of a training pixel is %.2g, so a loss with these weights does next to nothing: "
                "colors that no training pixel has hold %.0f %% of the sum of all weights",
                type(self.weighting).__name__,
                mean,
                100 * (weights[p == 0].sum() / weights.sum()).item(),
            )
        return {"mean": mean, "least": seen.min().item(), "most": seen.max().item()}

    def forward(self, ab: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B 1 h w"]:
        """The weight of each color; without gradient."""
        return self.table.flatten()[self.weighting.cell_of(ab)].unsqueeze(1)
