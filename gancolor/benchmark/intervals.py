"""How far a number can be trusted: 95 % intervals over the choice of images.

What is a function of means over images is resampled by the bootstrap; a distance between two sets of images, which
resampling would bias (a picture drawn twice looks like one set's own cluster), by the delete-a-group jackknife.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Float
from scipy import stats

GROUPS = 20  # of the jackknife; image i belongs to group i % GROUPS
_LEVEL = 0.95
_RESAMPLES = 1000
_VALUES = 2**21  # of a column that are held at a time: 16 MiB


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes:
        value: over all images; NaN where it is not defined (FID of a single image).
        low: lower end of the 95 % interval; NaN where none is known.
        high: upper end.
        n: images that it is over.
    """

    value: float
    low: float
    high: float
    n: int


def bootstrap(
    function: Callable[..., float | np.ndarray], columns: Sequence[Float[np.ndarray, " N"]], seed: int = 0
) -> Estimate:
    """A function of column means with its percentile interval (Efron & Tibshirani 1993, section 13.3).

    Images are drawn with all their columns, and for one N and seed always the same ones.

    Args:
        function: of one mean a column, and of arrays of means elementwise.
        columns: one value an image, at least one column.
        seed: of the resampling.
    """
    images = len(columns[0])
    if images == 0:
        return Estimate(nan, nan, nan, images)

    def statistic(*samples: np.ndarray, axis: int = -1) -> float | np.ndarray:
        return function(*(sample.mean(axis=axis) for sample in samples))

    exact = [column.astype(np.float64) for column in columns]
    value = float(statistic(*exact))
    if images == 1:
        return Estimate(value, nan, nan, images)
    found = stats.bootstrap(
        exact,
        statistic,
        n_resamples=_RESAMPLES,
        batch=max(1, _VALUES // images),
        vectorized=True,
        paired=True,
        confidence_level=_LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return Estimate(value, float(low), float(high), images)


def bootstrap_difference(
    function: Callable[..., float | np.ndarray],
    first: Sequence[Float[np.ndarray, " N"]],
    second: Sequence[Float[np.ndarray, " N"]],
    seed: int = 0,
) -> Estimate:
    """``function(means of first) − function(means of second)``, both over the same images in the same order."""

    def difference(*means: float | np.ndarray) -> float | np.ndarray:
        return function(*means[: len(first)]) - function(*means[len(first) :])

    return bootstrap(difference, [*first, *second], seed)


def jackknife(value: float, leave_one_out: Float[np.ndarray, " groups"], images: int) -> Estimate:
    """A number with the interval of its delete-a-group jackknife (Kott 2001, eq. 2), Student's t with 19 degrees.

    For a difference of two numbers over the same images, give the differences.

    Args:
        value: over all images.
        leave_one_out: over all images but those of one group, for each of the :data:`GROUPS`; NaN for no interval.
        images: how many there are.
    """
    error = np.sqrt(GROUPS - 1) * leave_one_out.std()
    reach = float(stats.t.ppf((1 + _LEVEL) / 2, GROUPS - 1) * error)
    return Estimate(value, value - reach, value + reach, images)
