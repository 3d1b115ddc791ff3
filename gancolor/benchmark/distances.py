"""Distances between two sets of pictures, each with the 20 values that its jackknife needs.

The latter are NaN where one of the sets has fewer images than there are groups, and so a group without images.
Features and histograms are read from disk group by group, as often as needed: of N images N / 20 are in memory.
Everything is summed in float64.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from gancolor.benchmark.intervals import GROUPS
from gancolor.metrics import lab
from gancolor.palette import CELL, CELLS

Jackknifed = tuple[float, Float[np.ndarray, " groups"]]  # over all images, and without each group

_SIGMA = 5.0  # Lab units; Zhang et al. 2016, section 2.2
_NONE = np.full(GROUPS, nan)


class Rows(ABC):
    """A vector for each image, on disk.

    Attributes:
        images: how many.
    """

    images: int

    @abstractmethod
    def group(self, number: int) -> Float[np.ndarray, "n D"]:
        """Those of images i with ``i % GROUPS == number``, in order, as float32; n may be 0."""


def frechet(fake: Rows, real: Rows) -> Jackknifed:
    """Fréchet distance of the Gaussians fitted to features (Heusel et al. 2017); NaN for fewer than two images.

    ``‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½)`` with unbiased covariances. With Σ₁ = F·Fᵀ and Σ₂ = G·Gᵀ the eigenvalues of
    (Σ₁Σ₂)^½ are the singular values s of Fᵀ·G, which has no more of them than the covariances have rank: the many zeros
    among the eigenvalues of Σ₁Σ₂, whose rounding the root would magnify, never come up.

    What a group contributes is taken to first order: the distance is differentiable in both means and covariances, so
    every image has an influence (Hampel 1974), and without a group the distance is less by its images'. Fitting again
    without each group costs twenty times as much and gives a standard error within a tenth of this one; for two sets
    that hardly differ this one is up to 1.4 times as large, on the safe side.
    """
    if min(fake.images, real.images) < 2:
        return nan, _NONE
    first, second = _fit(fake), _fit(real)
    left, roots, right = _svd(first.factor.T @ second.factor)
    apart = first.mean - second.mean
    value = apart @ apart + np.square(first.factor).sum() + np.square(second.factor).sum() - 2 * roots.sum()
    lost = _influence(fake, first, apart, left * np.sqrt(roots))
    lost += _influence(real, second, -apart, right * np.sqrt(roots))
    value = max(float(value), 0.0)  # rounding can leave −1e-12 of equal sets
    return value, value - lost if min(fake.images, real.images) >= GROUPS else _NONE


@dataclass(frozen=True)
class _Gaussian:
    """Fitted to rows: covariance = factor·factorᵀ, and inverseᵀ·factor = 1."""

    mean: Float[np.ndarray, " D"]
    factor: Float[np.ndarray, "D R"]
    inverse: Float[np.ndarray, "D R"]


@lru_cache(maxsize=4)  # photographs, fitted once for all candidates, and a candidate: with two networks (FID, ImageNet)
def _fit(rows: Rows) -> _Gaussian:
    """Mean and covariance; R, the rank, is less than D for few images or constant features."""
    sums = [rows.group(number).sum(axis=0, dtype=np.float64) for number in range(GROUPS)]
    mean = np.sum(sums, axis=0) / rows.images
    features = len(mean)
    if rows.images > features:
        products = np.zeros((features, features))
        for number in range(GROUPS):
            x = rows.group(number) - mean
            products += x.T @ x
        values, vectors = np.linalg.eigh(products / (rows.images - 1))
    else:  # the same from fewer numbers than a covariance has
        x = np.concatenate([rows.group(number) for number in range(GROUPS)]) - mean
        _, scale, vectors = np.linalg.svd(x / np.sqrt(rows.images - 1), full_matrices=False)
        values, vectors = np.square(scale), vectors.T
    kept = values > values.max() * features * np.finfo(np.float64).eps
    scale = np.sqrt(values[kept])
    return _Gaussian(mean, vectors[:, kept] * scale, vectors[:, kept] / scale)


def _svd(matrix: Float[np.ndarray, "m n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U, s and V of ``U·diag(s)·Vᵀ``, by the eigenvectors of the smaller product with itself: a third of the time."""
    if matrix.shape[0] > matrix.shape[1]:
        right, roots, left = _svd(matrix.T)
        return left, roots, right
    values, left = np.linalg.eigh(matrix @ matrix.T)
    roots = np.sqrt(values.clip(min=0))
    return left, roots, matrix.T @ left / np.maximum(roots, np.finfo(np.float64).tiny)


def _influence(
    rows: Rows, fitted: _Gaussian, apart: Float[np.ndarray, " D"], roots: Float[np.ndarray, "R K"]
) -> Float[np.ndarray, " groups"]:
    """How much of the distance goes, to first order, with each group.

    With the singular value decomposition ``Fᵀ·G = U·diag(s)·Vᵀ`` an image x, centered, adds
    ``(‖x‖² − ‖diag(s)^½·Uᵀ·F⁺·x‖²) / (N − 1) + 2·xᵀ(μ₁ − μ₂) / N``: the derivatives of tr Σ₁, of −2·Σs, which is
    shared with G, and of ‖μ₁ − μ₂‖².

    Args:
        rows: one of the two sets.
        fitted: its F and μ₁.
        apart: μ₁ − μ₂.
        roots: U·diag(s)^½.
    """
    seen = fitted.inverse @ roots
    parts, share = np.zeros(GROUPS), _sizes(rows) / rows.images
    for number in range(GROUPS):
        x = rows.group(number) - fitted.mean
        spread = np.square(x).sum() - np.square(x @ seen).sum()
        parts[number] = spread / (rows.images - 1) + 2 * (x @ apart).sum() / rows.images
    return (parts - share * parts.sum()) / (1 - share)


def kernel(fake: Rows, real: Rows) -> Jackknifed:
    """Kernel distance of features (Bińkowski et al. 2018), with the kernel (x·y/D + 1)³; NaN for fewer than two images.

    The unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3) over all pairs: what the customary mean
    over random subsets estimates, without its noise. It may be slightly negative.
    """
    if min(fake.images, real.images) < 2:
        return nan, _NONE
    sums = _within(fake), _within(real), _between(fake, real)
    value = float(_discrepancy([pairs.sum() for pairs in sums], fake.images, real.images))
    if min(fake.images, real.images) < GROUPS:
        return value, _NONE
    without = [pairs.sum() - pairs.sum(axis=0) - pairs.sum(axis=1) + pairs.diagonal() for pairs in sums]
    return value, _discrepancy(without, fake.images - _sizes(fake), real.images - _sizes(real))


def _discrepancy(sums: Sequence[float | np.ndarray], m: int | np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Gretton et al. 2012, eq. 3, elementwise: of m fake and n real images, with sums over pairs within and between."""
    fakes, reals, between = sums
    return np.asarray(fakes / (m * (m - 1)) + reals / (n * (n - 1)) - 2 * between / (m * n))


@lru_cache(maxsize=4)  # as above
def _within(rows: Rows) -> Float[np.ndarray, "groups groups"]:
    """The kernel summed over the pairs of different images, one of either group."""
    sums = np.zeros((GROUPS, GROUPS))
    for i in range(GROUPS):
        x = rows.group(i)
        for j in range(i):
            sums[i, j] = sums[j, i] = _polynomial(x, rows.group(j)).sum(dtype=np.float64)
        values = _polynomial(x, x)
        sums[i, i] = values.sum(dtype=np.float64) - values.trace(dtype=np.float64)
    return sums


def _between(fake: Rows, real: Rows) -> Float[np.ndarray, "groups groups"]:
    """The kernel summed over the pairs of a fake and a real image, one of either group."""
    sums = np.zeros((GROUPS, GROUPS))
    for i in range(GROUPS):
        x = fake.group(i)
        for j in range(GROUPS):
            sums[i, j] = _polynomial(x, real.group(j)).sum(dtype=np.float64)
    return sums


def _polynomial(x: Float[np.ndarray, "m D"], y: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "m n"]:
    values = x @ y.T / np.float32(x.shape[1]) + np.float32(1)
    return values * values * values


def total_variation(fake: Rows, real: Rows) -> Jackknifed:
    """``½·Σ|p − q|`` of two mean histograms: 0 for the same colors, 1 for none in common."""
    return _of_means(lambda *pair: lab.total_variation(*map(torch.from_numpy, pair)).item(), fake, real)


def balanced_auc(scores: Rows, colors: Rows) -> Jackknifed:
    """Class-balanced AuC (Zhang et al. 2016, section 3.1): a pixel's weight is ``1 / p̃`` of its real color.

    ``Σ w·S / Σ w·n`` over the cells of the ab plane, with n the share of all real pixels in a cell and S what they add
    to the plain AuC. The weights are his eq. 4 with λ = 0: p̃ is n smoothed by a Gaussian with σ = 5. His prior is
    ImageNet's training set; ours is of the photographs evaluated. Cells without pixels have no weight.

    Args:
        scores: S of each image, its ``auc_cells``.
        colors: n of each photograph, its ``ab_histogram``.
    """
    return _of_means(_balanced, scores, colors)


def _balanced(scores: Float[np.ndarray, " cells"], colors: Float[np.ndarray, " cells"]) -> float:
    smooth = gaussian_filter(colors.reshape(CELLS, CELLS), _SIGMA / CELL, mode="constant").ravel()
    occur = colors > 0
    return float((scores[occur] / smooth[occur]).sum() / (colors[occur] / smooth[occur]).sum())


def _of_means(function: Callable[[np.ndarray, np.ndarray], float], first: Rows, second: Rows) -> Jackknifed:
    """A function of two mean vectors; NaN without images."""
    if min(first.images, second.images) == 0:
        return nan, _NONE
    sums = [np.stack([rows.group(i).sum(axis=0, dtype=np.float64) for i in range(GROUPS)]) for rows in (first, second)]
    value = function(sums[0].sum(axis=0) / first.images, sums[1].sum(axis=0) / second.images)
    if min(first.images, second.images) < GROUPS:
        return value, _NONE
    p, q = (
        (s.sum(axis=0) - s) / (rows.images - _sizes(rows))[:, None]
        for s, rows in zip(sums, (first, second), strict=True)
    )
    return value, np.array([function(*pair) for pair in zip(p, q, strict=True)])


def _sizes(rows: Rows) -> Float[np.ndarray, " groups"]:
    """Images in each group."""
    return np.bincount(np.arange(rows.images) % GROUPS, minlength=GROUPS).astype(np.float64)
