import math

import pytest
from scipy import stats

from benchmarks.seeds import over_seeds


def test_the_interval_is_students() -> None:
    values = [3.0, 4.0, 6.5, 2.0]
    found, expected = over_seeds(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((3.875, expected.low, expected.high))
    assert found.n == 4


def test_one_seed_tells_of_no_interval() -> None:
    assert over_seeds([2.0]).value == 2.0
    assert math.isnan(over_seeds([2.0]).low)
