"""What a generator's last maps say: a color, or how likely each color is."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from gancolor.bins import AbBins, annealed_mean
from gancolor.errors import InputError
from gancolor.interfaces import Head, Prediction


class RegressionHead(Head):
    """Two maps are the color itself: ab = tanh(maps), as in pix2pix."""

    channels = 2
    reduction = 1

    def __init__(self):
        super().__init__()

    def forward(self, maps: Float[Tensor, "B 2 H W"]) -> Prediction:
        """The prediction, in float32 also under autocast."""
        return Prediction(ab=torch.tanh(maps.float()))


class BinHead(Head):
    """Each map is the logit of one bin of the ab plane; ab is their annealed mean (Zhang et al. 2016, §2.3).

    The mean is differentiable, so that the head goes with an adversarial term and with every loss on ab. As in the
    paper, colors are enlarged to the picture's size, not the distributions: the mean of two likely colors is likely
    neither of them.

    Args:
        bins: the bins; by default the 261 of sRGB. Others come from a file: AbBins.read.
        temperature: T of the annealed mean, above 0: 0.38 in the paper; 1 is the plain mean, less is more vivid.
        reduction: side of the square of pixels that share a distribution: 1, 2, or, as in the paper, 4.
    """

    centers: Float[Tensor, "Q 2"]

    def __init__(self, bins: AbBins | None = None, temperature: float = 0.38, reduction: int = 4):
        super().__init__()
        if not temperature > 0:
            raise InputError(f"BinHead: temperature is {temperature}, must be above 0")
        if reduction not in (1, 2, 4):
            raise InputError(f"BinHead: reduction is {reduction}, must be 1, 2 or 4")
        self.bins, self.temperature, self.reduction = bins, temperature, reduction
        centers = (AbBins.srgb() if bins is None else bins).scaled()
        self.channels = len(centers)
        self.register_buffer("centers", centers, persistent=False)  # the constructor knows them

    def forward(self, maps: Float[Tensor, "B Q h w"]) -> Prediction:
        """The prediction, in float32 also under autocast."""
        logits = maps.float()
        ab = annealed_mean(logits, self.centers, self.temperature)
        if self.reduction > 1:
            ab = interpolate(ab, scale_factor=self.reduction, mode="bilinear", align_corners=False)
        return Prediction(ab, logits, self.centers)
