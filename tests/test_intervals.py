"""Intervals against closed forms, and as often right as they say."""

from math import isnan, sqrt

import numpy as np
import pytest
from scipy import stats

from gancolor.benchmark import intervals
from gancolor.benchmark.intervals import GROUPS, Estimate, bootstrap, bootstrap_difference, jackknife


def mean(value: float | np.ndarray) -> float | np.ndarray:
    return value


def normal(images: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 1, images).astype(np.float32)


def leave_one_out(values: np.ndarray) -> np.ndarray:
    groups = np.arange(len(values)) % GROUPS
    return np.array([values[groups != i].mean() for i in range(GROUPS)])


def holds(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high


class TestBootstrap:
    def test_of_a_normal_mean_is_the_textbook_s(self) -> None:
        values = normal(2000)
        estimate = bootstrap(mean, [values])
        reach = 1.96 * float(values.std()) / sqrt(2000)
        assert estimate.value == pytest.approx(values.mean(dtype=np.float64), rel=1e-12)
        assert estimate.low == pytest.approx(values.mean() - reach, abs=reach / 5)
        assert estimate.high == pytest.approx(values.mean() + reach, abs=reach / 5)
        assert estimate.n == 2000

    def test_covers_the_truth_as_often_as_it_says(self) -> None:
        covered = np.mean([holds(bootstrap(mean, [normal(60, seed)]), 3) for seed in range(300)])
        assert 0.90 <= covered <= 0.98

    def test_takes_the_function_of_means_not_the_mean_of_the_function(self) -> None:
        values = normal(500)
        estimate = bootstrap(np.square, [values])
        assert estimate.value == pytest.approx(float(values.mean(dtype=np.float64)) ** 2)
        assert holds(estimate, estimate.value)

    def test_columns_are_drawn_together(self) -> None:
        values = normal(500)
        estimate = bootstrap(lambda first, second: first - second, [values, values + 1])
        assert (estimate.low, estimate.high) == pytest.approx((-1, -1), abs=1e-6)

    def test_is_the_same_again_and_another_by_another_seed(self) -> None:
        assert bootstrap(mean, [normal(50)]) == bootstrap(mean, [normal(50)])
        assert bootstrap(mean, [normal(50)]) != bootstrap(mean, [normal(50)], seed=1)

    def test_batches_do_not_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = bootstrap(mean, [normal(50)])
        monkeypatch.setattr(intervals, "_VALUES", 350)
        assert bootstrap(mean, [normal(50)]) == whole

    def test_of_a_constant_has_no_width(self) -> None:
        assert bootstrap(mean, [np.full(30, 2.5, np.float32)]) == Estimate(2.5, 2.5, 2.5, 30)

    def test_of_one_image_has_no_interval_and_of_none_no_number(self) -> None:
        estimate = bootstrap(mean, [np.full(1, 2.5, np.float32)])
        assert (estimate.value, estimate.n) == (2.5, 1)
        assert isnan(estimate.low)
        assert isnan(estimate.high)
        assert isnan(bootstrap(mean, [np.zeros(0, np.float32)]).value)


class TestBootstrapDifference:
    def test_is_narrow_where_both_rise_and_fall_together(self) -> None:
        values, noise = normal(400), np.random.default_rng(1).normal(0.1, 0.05, 400)
        estimate = bootstrap_difference(mean, [values + noise], [values])
        reach = 1.96 * noise.std() / 20
        assert estimate.value == pytest.approx(noise.mean(), abs=1e-6)
        assert estimate.high - estimate.low == pytest.approx(2 * reach, rel=0.15)

    def test_takes_the_function_of_either_side(self) -> None:
        first, second, real = (normal(400, seed).astype(np.float64) + seed for seed in range(3))
        estimate = bootstrap_difference(lambda own, real: np.abs(own - real), [first, real], [second, real])
        expected = abs(first.mean() - real.mean()) - abs(second.mean() - real.mean())
        assert estimate.value == pytest.approx(expected)
        assert holds(estimate, expected)

    def test_of_equals_is_zero(self) -> None:
        assert bootstrap_difference(mean, [normal(40)], [normal(40)]) == Estimate(0.0, 0.0, 0.0, 40)


class TestJackknife:
    def test_of_a_mean_is_the_t_interval_of_the_groups_means(self) -> None:
        values = normal(400).astype(np.float64)
        groups = values.reshape(-1, GROUPS).mean(axis=0)
        low, high = stats.t.interval(0.95, GROUPS - 1, groups.mean(), stats.sem(groups))
        estimate = jackknife(float(values.mean()), leave_one_out(values), 400)
        assert (estimate.low, estimate.high) == pytest.approx((low, high))
        assert (estimate.value, estimate.n) == (values.mean(), 400)

    @pytest.mark.parametrize("images", [60, 73])
    def test_covers_the_truth_as_often_as_it_says(self, images: int) -> None:
        draws = [normal(images, seed).astype(np.float64) for seed in range(300)]
        found = [jackknife(float(values.mean()), leave_one_out(values), images) for values in draws]
        assert 0.90 <= np.mean([holds(estimate, 3) for estimate in found]) <= 0.98

    def test_of_values_without_spread_has_no_width(self) -> None:
        assert jackknife(2.5, np.full(GROUPS, 2.5), 40) == Estimate(2.5, 2.5, 2.5, 40)

    def test_without_the_values_of_groups_there_is_no_interval(self) -> None:
        estimate = jackknife(2.5, np.full(GROUPS, np.nan), 7)
        assert (estimate.value, estimate.n) == (2.5, 7)
        assert isnan(estimate.low)
        assert isnan(estimate.high)
