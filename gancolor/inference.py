"""A photograph of any size → the same photograph in the generator's colors, with its own lightness.

Imports nothing of training, so that using a colorizer starts quickly.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from gancolor import bins
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.errors import InputError
from gancolor.interfaces import Generator, Prediction

_LONGEST = 16  # × size: what the working size's long side may be, or a panorama's pixels would grow without bound
_STRIP = 2**19  # pixels converted at a time; each needs about 200 bytes of intermediate results


@torch.inference_mode()
def colorize(
    generator: Generator, rgb: UInt8[Tensor, "3 H W"], size: int, sample: int | None = None
) -> UInt8[Tensor, "3 H W"]:
    """Color a photograph; any color that it has is ignored, its lightness is kept at full size.

    Args:
        generator: in evaluation mode, on the photograph's device.
        rgb: 8-bit sRGB.
        size: short side, in pixels, at which the generator sees the photograph. Of a panorama longer than 16 : 1 the
            long side is 16 × ``size`` instead.
        sample: number of one of many plausible results, of a generator that knows how likely each color is; see
            :func:`gancolor.bins.sample`. By default the one result that the generator itself takes.

    Raises:
        InputError: ``size`` is not positive, the generator predicts numbers that are not finite, or a sample is asked
            of one that knows of one color only.
    """
    if size < 1:
        raise InputError(f"size is {size}: it must be at least 1 pixel")
    rows = max(1, _STRIP // rgb.shape[2])
    light = torch.cat([rgb_to_lab(strip).light for strip in rgb.unsqueeze(0).split(rows, dim=2)], dim=2)
    height, width = rgb.shape[1:]
    # Enlarging ab as a whole, before it is cut into strips, leaves no seams between them.
    ab = _resize(_predict(generator, _resize(light, *_working_size(height, width, size)), sample), height, width)
    strips = zip(light.split(rows, dim=2), ab.split(rows, dim=2), strict=True)
    return torch.cat([lab_to_rgb(Lab(*strip)) for strip in strips], dim=2).squeeze(0)


def _working_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width at which the generator sees a photograph."""
    scale = min(size / min(height, width), _LONGEST * size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resize(image: Float[Tensor, "1 C h w"], height: int, width: int) -> Float[Tensor, "1 C H W"]:
    """Bicubic, without aliasing where it shrinks."""
    return F.interpolate(image, size=(height, width), mode="bicubic", align_corners=False, antialias=True)


def _predict(generator: Generator, light: Float[Tensor, "1 1 H W"], sample: int | None) -> Float[Tensor, "1 2 H W"]:
    """The generator's ab, of a lightness whose sides need not be multiples of its stride."""
    height, width = light.shape[2:]
    above, left = -height % generator.stride // 2, -width % generator.stride // 2
    below, right = -height % generator.stride - above, -width % generator.stride - left
    # A mirrored photograph looks most like a photograph, but cannot be wider than the photograph itself.
    mirrored = below < height and right < width
    light = light.clamp(-1, 1)  # bicubic weights overshoot
    padded = F.pad(light, (left, right, above, below), mode="reflect" if mirrored else "replicate")
    prediction = generator(padded)
    whole = prediction.ab if sample is None else _sample(prediction, sample)
    ab = whole[:, :, above : above + height, left : left + width].float()
    if not ab.isfinite().all():
        raise InputError("the generator predicts NaN or infinity: its training diverged; use an earlier checkpoint")
    return ab


def _sample(prediction: Prediction, seed: int) -> Float[Tensor, "1 2 H W"]:
    """One of the colorings that the generator holds for plausible."""
    if prediction.logits is None or prediction.centers is None:
        raise InputError("this colorizer knows of one result only: for samples train one with configs/losses/bins.yaml")
    ab = bins.sample(prediction.logits, prediction.centers, seed)
    return F.interpolate(ab, size=prediction.ab.shape[2:], mode="bilinear", align_corners=False)
