"""How many kinds of pictures there are, and which picture is of which kind."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from gancolor.errors import InputError

# scikit-learn is imported inside the functions: it takes a second, and a mistake is to be answered at once.

_MOST = 10  # profiles, if nobody says how many
_BEGINNINGS = 4  # of K-means, which is best of as many
_LOOKED_AT = 4000  # points that the curve is computed from
_COMPARED = 2000  # points whose silhouette is; it takes the distances of all pairs
_NEARLY = 0.9  # of the best silhouette


@dataclass(frozen=True)
class Quality:
    """How well points fall into how many clusters.

    Attributes:
        counts: numbers of clusters, ascending.
        silhouettes: of each, the mean silhouette: 1 is far apart, 0 is touching (Rousseeuw 1987).
        inertias: of each, the mean squared distance to the nearest center.
    """

    counts: Sequence[int]
    silhouettes: Sequence[float]
    inertias: Sequence[float]

    def best(self) -> int:
        """The most clusters whose silhouette is at least nine tenths of the best.

        Its weakness: colors of photographs have no gaps, so that silhouettes are low (0.3) and nearly alike for small
        numbers, and the best one alone would mostly mean two profiles, gray and not gray. Of several numbers as good,
        this takes the one that tells a generator most. What it does not know is how many images a generator needs of
        each profile, nor which profiles people will want: look at the sheets.
        """
        enough = _NEARLY * max(self.silhouettes)
        good = [count for count, value in zip(self.counts, self.silhouettes, strict=True) if value >= enough]
        return max(good, default=self.counts[0])


def different(points: Float[np.ndarray, "N d"]) -> int:
    """How many of the points are no copy of another."""
    return len(np.unique(points, axis=0))


def quality(points: Float[np.ndarray, "N d"], seed: int) -> Quality:
    """Try every number of clusters from 2 to 10, on some of the points.

    Raises:
        InputError: there are fewer than three different points.
    """
    from sklearn.metrics import silhouette_score

    chosen = np.random.default_rng(seed).permutation(len(points))[:_LOOKED_AT]
    few, compared = points[chosen], slice(_COMPARED)
    counts = range(2, min(_MOST, different(few) - 1) + 1)
    if not counts:
        raise InputError(f"{len(points)} images, of which {different(few)} have different colors: too few for profiles")
    silhouettes, inertias = [], []
    for count in tqdm(counts, unit="clustering", leave=False, disable=None):
        labels, inertia = _fit(few, count, seed)
        alone = len(np.unique(labels[compared])) < 2
        silhouettes.append(0.0 if alone else float(silhouette_score(few[compared], labels[compared])))
        inertias.append(inertia)
    return Quality(counts, silhouettes, inertias)


def cluster(points: Float[np.ndarray, "N d"], count: int, seed: int) -> Int[np.ndarray, " N"]:
    """The cluster of each point, by K-means.

    Raises:
        InputError: there are fewer different points than clusters.
    """
    if different(points) < count:
        raise InputError(
            f"--count is {count}, but only {different(points)} of {len(points)} images have different colors: choose a "
            "smaller one, or measure more images"
        )
    return _fit(points, count, seed)[0]


def _fit(points: Float[np.ndarray, "N d"], count: int, seed: int) -> tuple[Int[np.ndarray, " N"], float]:
    from sklearn.cluster import KMeans

    found = KMeans(count, n_init=_BEGINNINGS, random_state=seed)  # pyright: ignore[reportArgumentType]
    labels = found.fit_predict(points)
    return labels, -float(found.score(points)) / len(points)
