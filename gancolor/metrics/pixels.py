"""Numbers that an image has by its 8-bit sRGB values, one float32 an image, on the device of the images.

Element by element, without a convolution or a matrix product: neither autocast nor TF32 can round them. Where much is
computed of an image it is done image by image: what is in between stays in the processor's cache, which is twice as
fast or more.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancolor.errors import InputError

_CAP = 60.0  # dB; identical images would be infinite and drown the mean
_GAUSSIAN = [math.exp(-(i**2) / (2 * 1.5**2)) for i in range(-5, 6)]
_UNIFORM = [1.0] * 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def mse(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Mean squared error of each image over its 3·H·W values, which go from 0 to 255."""
    return torch.stack([(f.float() - r.float()).square().mean() for f, r in zip(fake, real, strict=True)])


def psnr(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Peak signal-to-noise ratio of each image in dB, ``10·log₁₀(255² / MSE)``, at most 60."""
    return (10 * torch.log10(255**2 / mse(fake, real))).clamp(max=_CAP)


def ssim(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Structural similarity of each image (Wang et al. 2004, section III.C): Gaussian 11×11 window of σ 1.5; at most 1.

    Raises:
        InputError: images smaller than the window.
    """
    return _similarity(fake, real, _GAUSSIAN)


def ssim_uniform(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Structural similarity of each image as scikit-image has it by default: uniform 7×7 window, sample covariance.

    Raises:
        InputError: images smaller than the window.
    """
    return _similarity(fake, real, _UNIFORM, sample=49 / 48)


def _similarity(
    fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"], window: Sequence[float], sample: float = 1.0
) -> Float[Tensor, " B"]:
    """The mean of Wang et al. 2004, eq. 13, over the channels and the windows that lie wholly inside the image.

    Args:
        fake: generated images.
        real: the photographs they belong to.
        window: weights along either axis.
        sample: factor on variances and covariance, n / (n − 1) where they are of the sample.
    """
    height, width = fake.shape[2:]
    if min(height, width) < len(window):
        raise InputError(
            f"SSIM has a window of {len(window)}×{len(window)} pixels; images of {height}×{width} are smaller"
        )
    return torch.stack([_similarity_map(f, r, window, sample).mean() for f, r in zip(fake, real, strict=True)])


def _similarity_map(
    fake: UInt8[Tensor, "3 H W"], real: UInt8[Tensor, "3 H W"], window: Sequence[float], sample: float
) -> Float[Tensor, "3 h w"]:
    """Wang et al. 2004, eq. 13, in every window."""
    x, y = fake.float(), real.float()
    # A variance is a difference of squares, and small squares are rounded less.
    x_level, y_level = (image.mean(dim=(1, 2), keepdim=True) for image in (x, y))
    x, y = x - x_level, y - y_level
    sums = _weigh(_weigh(torch.stack([x, y, x * x + y * y, x * y]), window, dim=2), window, dim=3)
    x, y, squares, product = sums / sum(window) ** 2
    variances, covariance = sample * (squares - x * x - y * y), sample * (product - x * y)
    x, y = x + x_level, y + y_level
    luminance = (2 * x * y + _C1) / (x * x + y * y + _C1)
    return luminance * (2 * covariance + _C2) / (variances + _C2)


def _weigh(maps: Float[Tensor, "N 3 H W"], window: Sequence[float], dim: int) -> Float[Tensor, "N 3 h w"]:
    """Weighted sums along an axis; much faster on a processor than a convolution of single channels."""
    length = maps.shape[dim] - len(window) + 1
    total = maps.narrow(dim, 0, length) * window[0]
    for i, weight in enumerate(window[1:], start=1):
        total.add_(maps.narrow(dim, i, length), alpha=weight)
    return total


def colorfulness(rgb: UInt8[Tensor, "B 3 H W"], absolute: bool = False) -> Float[Tensor, " B"]:
    """Colorfulness M̂⁽³⁾ of each image (Hasler & Süsstrunk 2003): 0 is gray, 109 "extremely colorful".

    With rg = R − G and yb = (R + G)/2 − B it is ``√(var rg + var yb) + 0.3·√(mean² rg + mean² yb)``.

    Args:
        rgb: the images.
        absolute: take the magnitudes of rg and yb first, as the colorization literature does.
    """
    red, green, blue = rgb.float().unbind(dim=1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1)
    if absolute:
        opponents = opponents.abs()
    variance, mean = torch.var_mean(opponents, dim=(2, 3), correction=0)
    return variance.sum(dim=1).sqrt() + 0.3 * mean.norm(dim=1)
