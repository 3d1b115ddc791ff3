"""The quantized ab plane: bins, soft encoding of colors, and back from probabilities to colors (Zhang et al. 2016)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.errors import InputError

STEP = 10  # Lab units: the grid of Zhang et al. 2016
_LEVELS = 64  # of each sRGB channel, sampled to see which cells the gamut touches; 256 levels touch no others
_ALIKE = 25.0  # Lab units: bins this near are chosen or passed over together when a color is sampled
_LEAST = 0.1  # a bin with less than this share of a pixel's likeliest is never sampled
_PIXELS = 2**16  # whose distances to all bins are held at a time, or a batch of photographs would need gigabytes


class AbBins:
    """The ab plane as a list of colors: an immutable value.

    Args:
        centers: (a, b) of each bin in Lab units, at least two, no two alike.

    Raises:
        InputError: there are fewer than two, or two alike, or one is no color that Lab can have.
    """

    def __init__(self, centers: Sequence[Sequence[float]]):
        self.centers = tuple((float(a), float(b)) for a, b in centers)
        if len(self) < 2 or len(set(self.centers)) < len(self):
            raise InputError(f"bins: there are {len(self)} centers; there must be at least two, and no two alike")
        far = [center for center in self.centers if not all(abs(x) <= 128 for x in center)]  # NaN is far
        if far:
            raise InputError(f"bins: the center {far[0]} is not a color: a and b lie in −128 … 128")

    @classmethod
    def srgb(cls) -> "AbBins":
        """The 261 cells of the 10-unit grid, centered on 0, that are the nearest cell of some sRGB color.

        Zhang et al. count 313 in the gamut, by a criterion that they do not write down.
        """
        levels = torch.linspace(0, 1, _LEVELS)
        cube = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, _LEVELS, -1)
        cells = (rgb_to_lab(cube).ab * (AB_SCALE / STEP)).round().flatten(2).squeeze(0)
        return cls((cells.unique(dim=1) * STEP).T.tolist())

    @classmethod
    def read(cls, path: str) -> "AbBins":
        """Bins of a user's own, such as Zhang's 313.

        Args:
            path: a NumPy file (.npy) of Q × 2 numbers: a and b of each bin in Lab units.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: it holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such file of bins")
        try:
            centers = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise InputError(f"{path}: cannot be read as a NumPy file (.npy)") from error
        if not (isinstance(centers, np.ndarray) and centers.ndim == 2 and centers.shape[1] == 2):
            raise InputError(f"{path}: holds {getattr(centers, 'shape', 'several arrays')}, not Q × 2 centers of bins")
        if centers.dtype.kind not in "iuf":
            raise InputError(f"{path}: holds {centers.dtype}, not numbers")
        if np.abs(centers).max(initial=0) <= 1:
            raise InputError(f"{path}: all centers lie within −1 … 1; they must be in Lab units, not scaled")
        try:
            return cls(centers.astype(float).tolist())
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def __len__(self) -> int:
        return len(self.centers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbBins) and self.centers == other.centers

    def __hash__(self) -> int:
        return hash(self.centers)

    def __repr__(self) -> str:
        return f"AbBins({len(self)})"

    def scaled(self) -> Float[Tensor, "Q 2"]:
        """The centers in the scale of :class:`~gancolor.color.Lab`, for :func:`encode` and :func:`annealed_mean`."""
        return torch.tensor(self.centers) / AB_SCALE


class SoftTarget(NamedTuple):
    """Colors as probabilities of the few bins next to each; all other bins have 0.

    Attributes:
        bins: the ``k`` nearest, the nearest first.
        weight: their probabilities; sum to 1 over ``k``.
    """

    bins: Int[Tensor, "B k h w"]
    weight: Float[Tensor, "B k h w"]


def encode(
    ab: Float[Tensor, "B 2 h w"], centers: Float[Tensor, "Q 2"], neighbors: int = 5, sigma: float = 5.0
) -> SoftTarget:
    """Soft-encode colors (Zhang et al. 2016, §2.2): Gaussian weights over the nearest bins.

    Args:
        ab: scaled as in :class:`~gancolor.color.Lab`.
        centers: scaled likewise, see :meth:`AbBins.scaled`.
        neighbors: number of nearest bins: 5 in the paper, 10 in the authors' code; 1 is hard encoding.
        sigma: standard deviation of the Gaussian, in Lab units.
    """
    pixels = ab.float().movedim(1, 3).flatten(0, 2)
    parts = [_nearest(part, centers, neighbors) for part in pixels.split(_PIXELS)]
    distance, index = (
        torch.cat(part).view(len(ab), *ab.shape[2:], -1).movedim(3, 1) for part in zip(*parts, strict=True)
    )
    weight = torch.softmax(-((distance * AB_SCALE) ** 2) / (2 * sigma**2), dim=1)
    return SoftTarget(index, weight)


def _nearest(
    pixels: Float[Tensor, "N 2"], centers: Float[Tensor, "Q 2"], count: int
) -> tuple[Float[Tensor, "N k"], Int[Tensor, "N k"]]:
    """Distance and number of the nearest bins, the nearest first."""
    # As a matrix product, distances would lose their digits where they matter most: where they are small.
    distance = torch.cdist(pixels, centers, compute_mode="donot_use_mm_for_euclid_dist")
    nearest, index = distance.topk(count, largest=False)
    return nearest, index


def annealed_mean(
    logits: Float[Tensor, "B Q h w"], centers: Float[Tensor, "Q 2"], temperature: float
) -> Float[Tensor, "B 2 h w"]:
    """Mean color under the sharpened distribution softmax(logits / T) (Zhang et al. 2016, eq. 5); differentiable.

    T = 1 is the distribution's own mean, T → 0 its mode; the paper takes 0.38. Computed in float32, and without a
    matrix product, so that neither autocast nor TF32 can round it.
    """
    share = torch.softmax(logits.float() / temperature, dim=1)
    return torch.stack([(share * center.view(-1, 1, 1)).sum(1) for center in centers.T], dim=1)


def sample(
    logits: Float[Tensor, "B Q h w"], centers: Float[Tensor, "Q 2"], seed: int, temperature: float = 0.38
) -> Float[Tensor, "B 2 h w"]:
    """Another plausible coloring: the annealed mean after one random draw of what is preferred.

    Drawing each pixel for itself gives confetti. Here a random number is added to the logit of each bin, the same in
    the whole picture, so that a thing has one color and like things have the same. As in Gumbel's trick the numbers
    are Gumbel-distributed, but near bins have near numbers, so that a whole hue is chosen and not one bin of it; this
    makes the choice between hues an approximation. What is unlikely at a pixel is left out there, or one draw could
    paint the sky pink.

    Args:
        logits: of the bins.
        centers: scaled as in :class:`~gancolor.color.Lab`.
        seed: the coloring is a function of it: with the same seed, all pictures prefer the same.
        temperature: T of the annealed mean.
    """
    likely = torch.log_softmax(logits.float(), dim=1)
    likely = likely.masked_fill(likely < likely.amax(1, keepdim=True) + math.log(_LEAST), -torch.inf)
    return annealed_mean(likely + _preference(centers, seed).view(1, -1, 1, 1), centers, temperature)


def _preference(centers: Float[Tensor, "Q 2"], seed: int) -> Float[Tensor, " Q"]:
    """A Gumbel-distributed number for each bin, with the near ones correlated."""
    points = centers.double().cpu() * AB_SCALE  # the same numbers on any device
    covariance = torch.exp(-(torch.cdist(points, points) ** 2) / (2 * _ALIKE**2))
    values, vectors = torch.linalg.eigh(covariance)  # nearly singular: Cholesky's would fail
    noise = torch.randn(len(points), generator=torch.Generator().manual_seed(seed // 2), dtype=torch.float64)
    noise *= 1 - 2 * (seed % 2)  # 2n + 1 prefers what 2n shuns: a few samples then differ as much as they can
    normal = vectors @ (values.clamp(min=0).sqrt() * (vectors.T @ noise))
    return -torch.special.log_ndtr(normal).neg().log().to(centers)
