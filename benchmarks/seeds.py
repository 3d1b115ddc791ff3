"""What several seeds say together."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from gancolor.benchmark.intervals import Estimate


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean of one value a seed, with its 95 % interval by Student's t; of one value there is none, so NaN."""
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)) if len(values) > 1 else float("nan")
    return Estimate(mean, mean - half, mean + half, len(values))
