"""The Lab value object and RGB ↔ Lab on the device the pixels are on.

The definition is scikit-image's and OpenCV's: sRGB primaries, D65 white (0.95047, 1, 1.08883), CIE 1976 L*a*b*.
Everything is computed in float32 and without a matrix product, so that neither autocast nor TF32 can round it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from torch import Tensor

AB_SCALE = 110.0  # the sRGB gamut reaches a ∈ [−86.2, 98.2] and b ∈ [−107.9, 94.5]

_XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_RGB_FROM_XYZ = torch.linalg.inv(torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64)).tolist()
_WHITE = (0.95047, 1.0, 1.08883)
_BISECTIONS = 12  # 2⁻¹² of a chroma of at most 134 is 0.03, far below one 8-bit step
_HALF_STEP = 0.5 / 255  # what rounding to 8 bits forgives


@dataclass(frozen=True)
class Lab:
    """A batch of images in CIE Lab, scaled as in pix2pix.

    Attributes:
        light: lightness, ``L / 50 − 1``, so −1 is black and 1 is white.
        ab: color, ``(a, b) / 110``; gray is 0 and every sRGB color lies inside (−1, 1).
    """

    light: Float[Tensor, "B 1 H W"]
    ab: Float[Tensor, "B 2 H W"]

    def stack(self) -> Float[Tensor, "B 3 H W"]:
        """L ‖ a ‖ b as one tensor, as a discriminator reads it."""
        return torch.cat([self.light, self.ab], dim=1)

    def detach(self) -> "Lab":
        """The same values, cut from the graph."""
        return Lab(self.light.detach(), self.ab.detach())


def _mix(image: Float[Tensor, "B 3 H W"], rows: Sequence[Sequence[float]]) -> Float[Tensor, "B 3 H W"]:
    """Multiply every pixel by a 3×3 matrix, element by element."""
    x, y, z = image.unbind(1)
    return torch.stack([r[0] * x + r[1] * y + r[2] * z for r in rows], dim=1)


def rgb_to_lab(rgb: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]) -> Lab:
    """Convert sRGB to scaled Lab, differentiably and in float32.

    Args:
        rgb: uint8 in 0…255, or floating point in 0…1.
    """
    unit = rgb.float() if rgb.is_floating_point() else rgb.float() / 255
    x, y, z = _mix(rgb_to_linear_rgb(unit), _XYZ_FROM_RGB).unbind(1)
    fx, fy, fz = (_f(channel / white) for channel, white in zip((x, y, z), _WHITE, strict=True))
    light = (116 * fy - 16) / 50 - 1
    ab = torch.stack([500 * (fx - fy), 200 * (fy - fz)], dim=1) / AB_SCALE
    return Lab(light.unsqueeze(1), ab)


def lab_to_srgb(lab: Lab) -> Float[Tensor, "B 3 H W"]:
    """Convert scaled Lab to sRGB, differentiably and without clipping: 0…1 is the gamut, beyond it lies outside."""
    a, b = (lab.ab.float() * AB_SCALE).unbind(1)
    fy = ((lab.light.float() + 1) * 50 + 16).squeeze(1) / 116
    xyz = [_f_inverse(f) * white for f, white in zip((fy + a / 500, fy, fy - b / 200), _WHITE, strict=True)]
    return linear_rgb_to_rgb(_mix(torch.stack(xyz, dim=1), _RGB_FROM_XYZ))


def lab_to_rgb(lab: Lab) -> UInt8[Tensor, "B 3 H W"]:
    """Convert scaled Lab to 8-bit sRGB.

    A color outside the gamut loses chroma along its own hue until it fits; lightness is kept.
    """
    srgb = lab_to_srgb(lab)
    outside = ((srgb < -_HALF_STEP) | (srgb > 1 + _HALF_STEP)).any(dim=1)
    if outside.any():
        srgb = srgb.movedim(1, 3)
        srgb[outside] = _reduce_chroma(lab.light.movedim(1, 3)[outside], lab.ab.movedim(1, 3)[outside])
        srgb = srgb.movedim(3, 1)
    return (srgb * 255).round().clamp(0, 255).to(torch.uint8)


def _reduce_chroma(light: Float[Tensor, "N 1"], ab: Float[Tensor, "N 2"]) -> Float[Tensor, "N 3"]:
    """The most chromatic colors of the same lightness and hue that sRGB has, by bisection on the chroma."""

    def convert(scale: Tensor) -> Tensor:
        return lab_to_srgb(Lab(light[..., None, None], (scale * ab)[..., None, None])).flatten(1)

    low, high = torch.zeros_like(light), torch.ones_like(light)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        srgb = convert(middle)
        fits = ((srgb >= -_HALF_STEP) & (srgb <= 1 + _HALF_STEP)).all(dim=1, keepdim=True)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return convert(low)


def _f(t: Tensor) -> Tensor:
    """CIE Lab's cube root with a linear foot; the clamp keeps the gradient of the branch not taken finite."""
    return torch.where(t > 0.008856, t.clamp(min=0.008856) ** (1 / 3), 7.787 * t + 16 / 116)


def _f_inverse(f: Tensor) -> Tensor:
    return torch.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787)


def gray(rgb: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
    """The pictures without color, in their own lightness: what a colorizer is given, and the baseline it must beat."""
    light = rgb_to_lab(rgb).light
    return lab_to_rgb(Lab(light, light.new_zeros(len(rgb), 2, *rgb.shape[2:])))
