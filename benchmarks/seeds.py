"""What several seeds say together."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from gancolor.benchmark.intervals import Estimate


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean of one value a seed, with its 95 % interval by Student's t.

    NaN where there is none: no interval of one value, no mean of no values.
    """
    mean = float(np.mean(values)) if values else float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)) if len(values) > 1 else float("nan")
    return Estimate(mean, mean - half, mean + half, len(values))
