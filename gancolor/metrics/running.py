"""Means over the images seen so far, as a training watches them: torchmetrics' metrics.

Images of several batches or processes count once each; memory does not grow with their number. The work is done on the
device of the images, the sums stay where ``metric.to(device)`` put them, as with every torchmetrics metric (NCCL wants
them on the GPU). A metric's state dict is empty.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchmetrics import Metric

from gancolor.interfaces import ImageMetric
from gancolor.metrics.pixels import colorfulness, psnr, ssim


class ImageMean(Metric, ImageMetric):
    """The mean over images of a number that each image has by itself.

    Args:
        number: generated and real images to one value an image.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, number: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.number = number
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch."""
        self.total = self.total + self.number(fake, real).sum().to(self.total.device)
        self.count = self.count + len(fake)

    def compute(self) -> Float[Tensor, ""]:
        """The mean."""
        return self.total / self.count


def PSNR() -> ImageMean:
    """Peak signal-to-noise ratio in dB, the mean over images of :func:`~gancolor.metrics.pixels.psnr`."""
    return ImageMean(psnr)


def SSIM() -> ImageMean:
    """Structural similarity, the mean over images of :func:`~gancolor.metrics.pixels.ssim`."""
    return ImageMean(ssim)


def Colorfulness(absolute: bool = False) -> ImageMean:
    """How colorful the generated images are, the mean over them of :func:`~gancolor.metrics.pixels.colorfulness`."""
    return ImageMean(lambda fake, _: colorfulness(fake, absolute))
