"""A photograph of any size → the same photograph in the generator's colors, with its own lightness.

Imports nothing of training, so that using a colorizer starts quickly.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor
from torch.nn import functional as F

from gancolor import bins
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.errors import InputError
from gancolor.generators import Profiled
from gancolor.interfaces import Generator, Guide, Prediction

_LONGEST = 16  # × size: what the working size's long side may be, or a panorama's pixels would grow without bound
_STRIP = 2**19  # pixels converted at a time; each needs about 200 bytes of intermediate results


@torch.inference_mode()
def colorize(
    generator: Generator,
    rgb: UInt8[Tensor, "3 H W"],
    size: int,
    sample: int | None = None,
    profile: int | Sequence[float] | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """Color a photograph; any color that it has is ignored, its lightness is kept at full size.

    Args:
        generator: in evaluation mode, on the photograph's device.
        rgb: 8-bit sRGB.
        size: short side, in pixels, at which the generator sees the photograph. Of a panorama longer than 16 : 1 the
            long side is 16 × ``size`` instead.
        sample: number of one of many plausible results, of a generator that knows how likely each color is; see
            :func:`gancolor.bins.sample`. By default the one result that the generator itself takes.
        profile: number of the profile to color by, from 0, or a mixture: the share of each. By default the generator
            predicts it. Of a generator that knows profiles: a Profiled.

    Raises:
        InputError: ``size`` is not positive, the generator predicts numbers that are not finite, a sample is asked of
            one that knows of one color only, or a profile that it does not know.
    """
    light, (height, width) = _light(rgb), rgb.shape[1:]
    shares = None if profile is None else _shares(generator, profile)
    # Enlarging ab as a whole, before it is cut into strips, leaves no seams between them.
    ab = _resize(_predict(generator, _seen(light, size), shares, sample), height, width)
    strips = zip(_strips(light), _strips(ab), strict=True)
    return torch.cat([lab_to_rgb(Lab(*strip)) for strip in strips], dim=2).squeeze(0)


@torch.inference_mode()
def predict_profile(generator: Generator, rgb: UInt8[Tensor, "3 H W"], size: int) -> list[float]:
    """How likely a generator holds each profile for a photograph, by its lightness alone.

    Args:
        generator: one that knows profiles, in evaluation mode, on the photograph's device.
        rgb: 8-bit sRGB.
        size: as of :func:`colorize`.

    Raises:
        InputError: ``size`` is not positive, or the generator knows no profiles.
    """
    light, _ = _pad(_seen(_light(rgb), size), generator.stride)
    return _profiled(generator).predictor(light).softmax(1)[0].tolist()


@torch.inference_mode()
def own_profile(guide: Guide, rgb: UInt8[Tensor, "3 H W"], size: int) -> list[float]:
    """The share of each profile in a photograph's own colors, as the guide told the generator in training.

    Args:
        guide: the checkpoint's, on the photograph's device.
        rgb: 8-bit sRGB, in color.
        size: as of :func:`colorize`.

    Raises:
        InputError: ``size`` is not positive.
    """
    seen = _seen(rgb.unsqueeze(0) / 255, size).clamp(0, 1)  # bicubic weights overshoot
    return guide(rgb_to_lab(seen)).mean((2, 3))[0].tolist()


def _light(rgb: UInt8[Tensor, "3 H W"]) -> Float[Tensor, "1 1 H W"]:
    """A photograph's lightness at full size."""
    return torch.cat([rgb_to_lab(strip).light for strip in _strips(rgb.unsqueeze(0))], dim=2)


def _strips(image: Shaped[Tensor, "1 C H W"]) -> Sequence[Shaped[Tensor, "1 C h W"]]:
    """A picture, cut between rows."""
    return image.split(max(1, _STRIP // image.shape[3]), dim=2)


def _seen(image: Float[Tensor, "1 C H W"], size: int) -> Float[Tensor, "1 C h w"]:
    """A photograph at the size at which the generator sees it."""
    if size < 1:
        raise InputError(f"size is {size}: it must be at least 1 pixel")
    height, width = image.shape[2:]
    scale = min(size / min(height, width), _LONGEST * size / max(height, width))
    return _resize(image, max(1, round(height * scale)), max(1, round(width * scale)))


def _resize(image: Float[Tensor, "1 C h w"], height: int, width: int) -> Float[Tensor, "1 C H W"]:
    """Bicubic, without aliasing where it shrinks."""
    return F.interpolate(image, size=(height, width), mode="bicubic", align_corners=False, antialias=True)


def _shares(generator: Generator, profile: int | Sequence[float]) -> list[float]:
    """The share of each profile in what a photograph is to be colored by."""
    count = _profiled(generator).predictor.profiles
    if isinstance(profile, int):
        if not 0 <= profile < count:
            raise InputError(f"profile is {profile}: this colorizer knows {count}, numbered from 0")
        return [float(number == profile) for number in range(count)]
    if len(profile) != count or min(profile) < 0 or not math.isclose(sum(profile), 1, abs_tol=1e-3):
        raise InputError(f"profile is {list(profile)}: it must be {count} shares of at least 0 that sum to 1")
    return list(profile)


def _profiled(generator: Generator) -> Profiled:
    if not isinstance(generator, Profiled):
        raise InputError("this colorizer knows no profiles: train one with configs/generator/profiles.yaml")
    return generator


def _pad(light: Float[Tensor, "1 1 h w"], stride: int) -> tuple[Float[Tensor, "1 1 H W"], tuple[int, int]]:
    """A lightness whose sides are multiples of a stride; and how many rows above and columns left were added."""
    height, width = light.shape[2:]
    above, left = -height % stride // 2, -width % stride // 2
    below, right = -height % stride - above, -width % stride - left
    # A mirrored photograph looks most like a photograph, but cannot be wider than the photograph itself.
    mirrored = below < height and right < width
    light = light.clamp(-1, 1)  # bicubic weights overshoot
    return F.pad(light, (left, right, above, below), mode="reflect" if mirrored else "replicate"), (above, left)


def _predict(
    generator: Generator, light: Float[Tensor, "1 1 H W"], shares: list[float] | None, sample: int | None
) -> Float[Tensor, "1 2 H W"]:
    """The generator's ab, of a lightness whose sides need not be multiples of its stride."""
    x, (above, left) = _pad(light, generator.stride)
    if shares is not None:
        planes = x.new_tensor(shares)[None, :, None, None].expand(-1, -1, *x.shape[2:])
        x = torch.cat([x, planes], dim=1)
    prediction = generator(x)
    whole = prediction.ab if sample is None else _sample(prediction, sample)
    ab = whole[:, :, above : above + light.shape[2], left : left + light.shape[3]].float()
    if not ab.isfinite().all():
        raise InputError("the generator predicts NaN or infinity: its training diverged; use an earlier checkpoint")
    return ab


def _sample(prediction: Prediction, seed: int) -> Float[Tensor, "1 2 H W"]:
    """One of the colorings that the generator holds for plausible."""
    if prediction.logits is None or prediction.centers is None:
        raise InputError("this colorizer knows of one result only: for samples train one with configs/losses/bins.yaml")
    ab = bins.sample(prediction.logits, prediction.centers, seed)
    return F.interpolate(ab, size=prediction.ab.shape[2:], mode="bilinear", align_corners=False)
