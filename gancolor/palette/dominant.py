"""Dominant colors: a picture as at most eight colors with their shares, MPEG-7's descriptor (ISO/IEC 15938-3)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.spatial.distance import cdist, pdist, squareform
from torch import Tensor

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.palette.prior import CELL, CELLS

COLORS = 8  # as many as the standard allows
NEAR = 20.0  # T_d, in Lab units: colors as near as this are alike; photographs then have five on average
ALPHA = 1.0  # usual are 1 to 1.5; with 1 the likeness of two colors that move apart ends without a jump
_SIDE = 32  # pixels along either side that stand for a picture


@dataclass(frozen=True)
class DominantColors:
    """The colors that a picture is made of, the most frequent first.

    Attributes:
        lab: L in 0 … 100, a and b in Lab units, of each.
        share: of the picture's pixels; sum to 1.
    """

    lab: tuple[tuple[float, float, float], ...]
    share: tuple[float, ...]


def dominant(rgb: UInt8[Tensor, "3 H W"], near: float = NEAR) -> DominantColors:
    """The dominant colors of a picture: K-means in Lab on a grid of its pixels, then those alike are merged.

    The same picture has the same colors, always.

    Args:
        rgb: the picture.
        near: T_d; no two of the colors are this near, in Lab units.
    """
    from sklearn.cluster import KMeans  # takes as long to import as everything else here together

    rows, columns = ((torch.arange(_SIDE) * 2 + 1) * side // (2 * _SIDE) for side in rgb.shape[1:])
    colors, count = rgb[:, rows[:, None], columns].flatten(1).unique(dim=1, return_counts=True)
    lab = rgb_to_lab(colors[None, :, :, None])
    points = torch.cat([(lab.light + 1) * 50, lab.ab * AB_SCALE], dim=1)[0, :, :, 0].T.double().numpy()
    kmeans = KMeans(min(COLORS, len(points)), random_state=0)
    labels = kmeans.fit_predict(points, sample_weight=count.numpy())
    share = np.bincount(labels, count.numpy(), kmeans.n_clusters) / _SIDE**2
    centers, share = _merge(kmeans.cluster_centers_, share, near)
    order = (-share).argsort(kind="stable")
    return DominantColors(tuple(map(tuple, centers[order].tolist())), tuple(share[order].tolist()))


def _merge(
    centers: Float[np.ndarray, "n 3"], share: Float[np.ndarray, " n"], near: float
) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, " k"]]:
    """Put the nearest two in the place of their mean, until no two are near."""
    while len(share) > 1:
        distance = squareform(pdist(centers))
        np.fill_diagonal(distance, np.inf)
        i, j = np.unravel_index(distance.argmin(), distance.shape)
        if distance[i, j] > near:
            break
        both = [i, j]
        centers[i], share[i] = np.average(centers[both], axis=0, weights=share[both]), share[both].sum()
        centers, share = np.delete(centers, j, axis=0), np.delete(share, j)
    return centers, share


def distance(f: DominantColors, g: DominantColors, near: float = NEAR, alpha: float = ALPHA) -> float:
    """How different two pictures' colors are: D² of Manjunath et al. 2001, "Color and texture descriptors".

    ``D² = Σ pᵢ² + Σ qⱼ² − ΣΣ 2 a(cᵢ, dⱼ) pᵢ qⱼ``, where the likeness of two colors ``a`` falls from 1 at the same
    color to ``1 − 1/α`` at the distance ``near``, and is 0 beyond. At most 2; 0 for a picture and itself, as long as
    no two of its own colors are near.

    Args:
        f: of one picture, at least one color.
        g: of another.
        near: T_d, in Lab units.
        alpha: α, at least 1.
    """
    p, q = np.array(f.share), np.array(g.share)
    alike = _alike(torch.from_numpy(cdist(f.lab, g.lab)), near, alpha).numpy()
    return float(p @ p + q @ q - 2 * p @ alike @ q)


def dominant_features(
    lab: Float[Tensor, "N n 3"], share: Float[Tensor, "N n"], near: float = NEAR, alpha: float = ALPHA
) -> Float[Tensor, "N cells"]:
    """Dominant colors as points of one space, for K-means: how much of each picture is like each cell of the ab plane.

    ``φ_q = Σ pᵢ a(cᵢ, q)``, with ``a`` as in :func:`distance`, but between a and b alone: two pictures of the same
    colors in another light are the same point. Cells come row by row, as in :func:`~gancolor.palette.histograms`.

    Args:
        lab: L, a and b in Lab units, of as many colors as there are; the rest is NaN.
        share: of each color; what stands at NaN does not count.
        near: T_d, in Lab units.
        alpha: α, at least 1.
    """
    axis = torch.arange(-(CELLS // 2), CELLS // 2 + 1, dtype=lab.dtype, device=lab.device) * CELL
    cells = torch.cartesian_prod(axis, axis)
    points = torch.zeros(len(lab), len(cells), dtype=lab.dtype, device=lab.device)
    for color, weight in zip(lab[..., 1:].unbind(1), share.unbind(1), strict=True):
        apart = (color[:, None] - cells).norm(dim=2)  # no matrix product, which would lose digits
        points += weight[:, None] * _alike(apart, near, alpha)  # NaN is like no cell
    return points


def _alike(distance: Float[Tensor, "n m"], near: float, alpha: float) -> Float[Tensor, "n m"]:
    """The coefficients a of MPEG-7's distance."""
    return torch.where(distance <= near, 1 - distance / (alpha * near), 0)
