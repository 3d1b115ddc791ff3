"""Numbers that an image has by its colors in CIE Lab: one float32, or one a cell of the ab plane, an image.

The cells are those of :mod:`gancolor.palette`. Everything stays on the device of the images. It is done image by image:
what is in between stays in the processor's cache, which is twice as fast.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancolor.color import AB_SCALE, Lab, rgb_to_lab
from gancolor.palette import CELLS, cell_of

_WORST = 150.0  # Zhang et al. 2016, section 3.1: thresholds go from 0 to 150 Lab units
_FIXED = 2**24  # sums over cells are of whole 2⁻²⁴: exact, and the same in whatever order a GPU adds
_CHROMA_7 = 25.0**7
_DEGREE = math.pi / 180


def lightness_error(fake: Lab, real: Lab) -> Float[Tensor, " B"]:
    """Mean |ΔL| of each image, in units of L from 0 to 100: has it kept the lightness it was given?"""
    return 50 * (fake.light - real.light).abs().mean(dim=(1, 2, 3))


def auc(fake: Lab, real: Lab) -> Float[Tensor, " B"]:
    """Area under the curve of Zhang et al. 2016, section 3.1, of each image; 1 is perfect.

    The share of pixels whose error is below t, with the error ``‖Δab‖`` in Lab units, integrated over t from 0 to 150
    and divided by 150. A pixel counts from its own error on, so that this is the mean of ``1 − min(error, 150) / 150``.
    """
    return _closeness(fake, real).mean(dim=(1, 2))


def auc_cells(fake: Lab, real: Lab) -> Float[Tensor, "B cells"]:
    """What the pixels of each real color contribute to :func:`auc`, which is the sum over the cells.

    Summed over a data set and divided by the sum of the real :func:`ab_histogram`, it is the mean score of a color;
    weighted by the inverse of the smoothed prior, that is the class-balanced AuC.
    """
    return _by_cell(real, _closeness(fake, real))


def ab_histogram(rgb: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B cells"]:
    """The share of each image's pixels in each cell of the ab plane; sums to 1."""
    labs = (rgb_to_lab(image) for image in rgb.split(1))
    return torch.cat([_by_cell(lab, torch.ones_like(lab.ab[:, 0])) for lab in labs])


def total_variation(p: Float[Tensor, " cells"], q: Float[Tensor, " cells"]) -> Float[Tensor, ""]:
    """``½·Σ|p − q|`` of two histograms that sum to 1: 0 for the same colors, 1 for none in common."""
    return (p - q).abs().sum() / 2


def _closeness(fake: Lab, real: Lab) -> Float[Tensor, "B H W"]:
    """A pixel's share of the thresholds that it meets: 1 without an error in ab, 0 from 150 units on."""
    a, b = (AB_SCALE * (fake.ab - real.ab)).unbind(dim=1)
    return 1 - torch.hypot(a, b).clamp(max=_WORST) / _WORST


def _by_cell(lab: Lab, amount: Float[Tensor, "B H W"]) -> Float[Tensor, "B cells"]:
    """The sum of a number in 0…1 over each image's pixels in each cell, divided by H·W."""
    cells = cell_of(lab.ab).flatten(1)
    whole = (amount.flatten(1) * _FIXED).round().long()
    totals = whole.new_zeros(len(cells), CELLS * CELLS).scatter_add_(1, cells, whole)
    return totals / (cells.shape[1] * _FIXED)


def delta_e(fake: Lab, real: Lab) -> Float[Tensor, " B"]:
    """Mean color difference CIEDE2000 of each image over its pixels."""
    return ciede2000(_units(fake), _units(real)).mean(dim=(1, 2))


def _units(lab: Lab) -> Float[Tensor, "B 3 H W"]:
    """L from 0 to 100, a and b as the CIE writes them."""
    return torch.cat([50 * (lab.light + 1), AB_SCALE * lab.ab], dim=1)


def ciede2000(one: Float[Tensor, "B 3 H W"], other: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B H W"]:
    """Color difference CIEDE2000 of every pixel (Sharma, Wu & Dalal 2005, eqs. 2–22, with k_L = k_C = k_H = 1).

    Args:
        one: L from 0 to 100, a and b, unscaled; the order of the two does not matter.
        other: the same.
    """
    (light, a, b), (light_, a_, b_) = one.unbind(dim=1), other.unbind(dim=1)
    stretch = 1.5 - 0.5 * _saturation((torch.hypot(a, b) + torch.hypot(a_, b_)) / 2)
    (chroma, hue), (chroma_, hue_) = _polar(stretch * a, b), _polar(stretch * a_, b_)
    mean_light, mean_chroma = (light + light_) / 2, (chroma + chroma_) / 2

    # Over the shorter arc. Where a color is gray ΔH is 0, and the hue, which it has not, does not matter.
    far = (hue - hue_).abs() > math.pi
    mean_hue = (hue + hue_ + 2 * math.pi * far.to(hue)) / 2 % (2 * math.pi)
    sine = torch.sin((hue_ - hue) / 2)
    hue_step = 2 * (chroma * chroma_).sqrt() * torch.where(far, -sine, sine)

    offset = (mean_light - 50).square()
    lights = (light_ - light) / (1 + 0.015 * offset / (20 + offset).sqrt())
    chromas = (chroma_ - chroma) / (1 + 0.045 * mean_chroma)
    hues = hue_step / (1 + 0.015 * mean_chroma * _hue_weight(mean_hue))
    blue = torch.exp(-((mean_hue / _DEGREE - 275) / 25).square())  # hue and chroma are tied there
    tie = -2 * _saturation(mean_chroma) * torch.sin(60 * _DEGREE * blue)
    return (lights.square() + chromas.square() + hues.square() + tie * chromas * hues).sqrt()


def _saturation(chroma: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """``√(C⁷ / (C⁷ + 25⁷))``: from 0 for gray to 1."""
    power = chroma**7
    return (power / (power + _CHROMA_7)).sqrt()


def _polar(a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"]) -> tuple[Tensor, Tensor]:
    """Chroma, and hue in 0…2π."""
    return torch.hypot(a, b), torch.atan2(b, a) % (2 * math.pi)


def _hue_weight(hue: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The T of eq. 15."""
    return (
        1
        - 0.17 * torch.cos(hue - 30 * _DEGREE)
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + 6 * _DEGREE)
        - 0.20 * torch.cos(4 * hue - 63 * _DEGREE)
    )


_NUMBERS: dict[str, Callable[[Lab, Lab], Tensor]] = {
    "delta_e": delta_e,
    "auc": auc,
    "auc_cells": auc_cells,
    "lightness_error": lightness_error,
}


def lab_pairs(fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> dict[str, Float[Tensor, "B ..."]]:
    """All of ``delta_e``, ``auc``, ``auc_cells`` and ``lightness_error``, from one conversion of either batch."""
    pairs = [(rgb_to_lab(f), rgb_to_lab(r)) for f, r in zip(fake.split(1), real.split(1), strict=True)]
    return {name: torch.cat([number(*pair) for pair in pairs]) for name, number in _NUMBERS.items()}
