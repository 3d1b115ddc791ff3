"""Distances between predicted and real colors, each a mean over pixels; those of ab in units of ab / 110."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from gancolor.bins import encode
from gancolor.color import Lab
from gancolor.errors import InputError
from gancolor.interfaces import ColorLoss, Prediction, Weighting
from gancolor.weightings import SmoothedPrior, WeightTable

Index = Literal["real", "predicted"]


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


class MSE(ColorLoss):
    """Mean (âb − ab)² over pixels and both channels.

    Args:
        weight: factor of this term in the generator's loss.
    """

    def __init__(self, weight: float = 100.0):
        super().__init__()
        self.weight = weight

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss."""
        return (prediction.ab - real.ab).square().mean()


class RarityL1(ColorLoss):
    """L1 in which rare colors count more: mean w · |âb − ab|, with w from the training data's own colors.

    Args:
        weight: factor of this term in the generator's loss.
        weighting: how much each color weighs; by default a SmoothedPrior, whose mean over the training pixels is 1, so
            that the term's size can be compared with plain L1's.
        index: the color whose weight it is: the real one, or, as Robles & Budach published, the predicted one.
    """

    def __init__(self, weight: float = 100.0, weighting: Weighting | None = None, index: Index = "real"):
        super().__init__()
        self.weight, self.weighting = weight, weighting
        self.index: Index = index
        self.weights = WeightTable(weighting or SmoothedPrior())

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss."""
        rare = self.weights({"real": real.ab, "predicted": prediction.ab}[self.index])
        return (rare * (prediction.ab - real.ab).abs()).mean()


class RarityMSE(ColorLoss):
    """MSE in which rare colors count more: mean w · (âb − ab)², with w from the training data's own colors.

    Args:
        weight: factor of this term in the generator's loss.
        weighting: how much each color weighs; by default a SmoothedPrior, whose mean over the training pixels is 1, so
            that the term's size can be compared with plain MSE's.
        index: the color whose weight it is: the real one, or, as Robles & Budach published, the predicted one.
    """

    def __init__(self, weight: float = 100.0, weighting: Weighting | None = None, index: Index = "real"):
        super().__init__()
        self.weight, self.weighting = weight, weighting
        self.index: Index = index
        self.weights = WeightTable(weighting or SmoothedPrior())

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss."""
        rare = self.weights({"real": real.ab, "predicted": prediction.ab}[self.index])
        return (rare * (prediction.ab - real.ab).square()).mean()


class BinCrossEntropy(ColorLoss):
    """Cross-entropy of a generator that classifies, rare colors counting more (Zhang et al. 2016, eq. 2).

    −mean w · Σ_q z_q log ẑ_q, with z the real color's soft encoding, averaged over the pixels that share a
    distribution, and w the weight of its most likely bin.

    Args:
        weight: factor of this term in the generator's loss.
        neighbors: number of bins that a real color is spread over: 5 in the paper, 10 in the authors' code.
        sigma: standard deviation of the Gaussian that spreads it, in Lab units, above 0.
        weighting: how much each bin weighs; by default a SmoothedPrior scaled as in the paper. SmoothedPrior with
            uniform 1 weighs all alike.
    """

    def __init__(
        self,
        weight: float = 1.0,
        neighbors: int = 5,
        sigma: float = 5.0,
        weighting: Weighting | None = None,
    ):
        super().__init__()
        if neighbors < 1:
            raise InputError(f"BinCrossEntropy: neighbors is {neighbors}, must be at least 1")
        if not sigma > 0:
            raise InputError(f"BinCrossEntropy: sigma is {sigma}, must be above 0")
        self.weight, self.neighbors, self.sigma, self.weighting = weight, neighbors, sigma, weighting
        self.weights = WeightTable(weighting or SmoothedPrior(mean1="smoothed"))

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss.

        Raises:
            InputError: the generator does not classify, or into fewer bins than ``neighbors``.
        """
        logits, centers = prediction.logits, prediction.centers
        if logits is None or centers is None:
            raise InputError("BinCrossEntropy: the generator does not classify; give it gancolor.generators.BinHead")
        if len(centers) < self.neighbors:
            raise InputError(f"BinCrossEntropy: neighbors is {self.neighbors}, but there are {len(centers)} bins")
        height, width = logits.shape[2:]
        target = encode(adaptive_avg_pool2d(real.ab, (height, width)), centers, self.neighbors, self.sigma)
        entropy = -(target.weight * torch.log_softmax(logits.float(), dim=1).gather(1, target.bins)).sum(1, True)
        rare = self.weights(centers[target.bins[:, 0]].movedim(3, 1))
        return (rare * entropy).mean()


class ProfileCrossEntropy(ColorLoss):
    """Teaches a generator to predict the profile that it is given: −mean Σ_k s_k log p_k.

    Args:
        weight: factor of this term in the generator's loss.
    """

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, prediction: Prediction, real: Lab) -> Float[Tensor, ""]:
        """The unweighted loss.

        Raises:
            InputError: the generator knows no profiles.
        """
        if prediction.profile_logits is None or prediction.profile is None:
            raise InputError("ProfileCrossEntropy: the generator knows no profiles; it must be a Profiled")
        return cross_entropy(prediction.profile_logits, prediction.profile)
