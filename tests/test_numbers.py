"""Every number of a table from records, against the definition written out."""

from collections.abc import Mapping

import numpy as np
import pytest

from gancolor.benchmark.distances import Rows, balanced_auc, frechet, kernel, total_variation
from gancolor.benchmark.intervals import GROUPS
from gancolor.benchmark.numbers import METRICS, Records, difference, measure
from gancolor.palette import CELLS

VECTORS = {
    "inception": 12,
    "inception_tf1": 12,
    "inception_imagenet": 12,
    "ab_histogram": CELLS**2,
    "auc_cells": CELLS**2,
}


class HeldRows(Rows):
    """In memory."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.images = len(values)

    def group(self, number: int) -> np.ndarray:
        return self.values[number::GROUPS]


class Held(Records):
    """In memory; counts what is asked of it."""

    def __init__(self, values: Mapping[str, np.ndarray]) -> None:
        self.values = values
        self.asked: list[str] = []

    def column(self, name: str) -> np.ndarray:
        self.asked.append(name)
        return self.values[name]

    def rows(self, name: str) -> Rows:
        self.asked.append(name)
        return HeldRows(self.values[name])

    def without(self, group: int) -> "Held":
        """The same without every twentieth image."""
        return Held({name: value[np.arange(len(value)) % GROUPS != group] for name, value in self.values.items()})


def records(seed: int, images: int = 60) -> Held:
    """Every record of one candidate, or of photographs."""
    draw = np.random.default_rng(seed)
    names = sorted({name for metric in METRICS.values() for name in metric.own + metric.statistic.real})
    shapes = {name: (images, VECTORS[name]) if name in VECTORS else (images,) for name in names}
    values = {name: (draw.random(shape) + 0.1 * seed).astype(np.float32) for name, shape in shapes.items()}
    for name in ("ab_histogram", "auc_cells"):
        values[name] /= values[name].sum(axis=1, keepdims=True)
    return Held(values)


FAKE, OTHER, REAL, REFERENCE = (records(seed) for seed in range(4))


def mean(side: Held, name: str) -> float:
    return float(side.values[name].mean(dtype=np.float64))


def error(name: str) -> float:
    return float(np.abs(FAKE.values[name].astype(np.float64) - REAL.values[name]).mean())


def distance(function, own: str, real: str) -> float:
    return function(HeldRows(FAKE.values[own]), HeldRows(REAL.values[real]))[0]


EXPECTED = {
    "fid": distance(frechet, "inception", "inception"),
    "fid_tf1": distance(frechet, "inception_tf1", "inception_tf1"),
    "fid_imagenet": distance(frechet, "inception_imagenet", "inception_imagenet"),
    "kid": distance(kernel, "inception", "inception"),
    "lpips": mean(FAKE, "lpips"),
    "lpips_vgg": mean(FAKE, "lpips_vgg"),
    "psnr": mean(FAKE, "psnr"),
    "psnr_pooled": 20 * np.log10(255) - 10 * np.log10(mean(FAKE, "mse")),
    "ssim": mean(FAKE, "ssim"),
    "ssim_uniform": mean(FAKE, "ssim_uniform"),
    "colorfulness": mean(FAKE, "colorfulness"),
    "colorfulness_abs": mean(FAKE, "colorfulness_abs"),
    "delta_colorfulness": mean(REAL, "colorfulness") - mean(FAKE, "colorfulness"),
    "delta_colorfulness_abs": mean(REAL, "colorfulness_abs") - mean(FAKE, "colorfulness_abs"),
    "colorfulness_error": error("colorfulness"),
    "colorfulness_error_abs": error("colorfulness_abs"),
    "auc": mean(FAKE, "auc"),
    "auc_balanced": distance(balanced_auc, "auc_cells", "ab_histogram"),
    "delta_e": mean(FAKE, "delta_e"),
    "ab_distance": distance(total_variation, "ab_histogram", "ab_histogram"),
    "lightness_error": mean(FAKE, "lightness_error"),
}


def test_every_metric_is_expected_something_of() -> None:
    assert EXPECTED.keys() == METRICS.keys()


@pytest.mark.parametrize("metric", METRICS)
class TestEveryMetric:
    def test_is_its_definition(self, metric: str) -> None:
        estimate = measure(metric, FAKE, REAL)
        assert estimate.value == pytest.approx(EXPECTED[metric], rel=1e-7)
        assert estimate.n == 60

    def test_difference_is_of_the_two_numbers(self, metric: str) -> None:
        estimate = difference(metric, FAKE, OTHER, REAL)
        values = [measure(metric, side, REAL).value for side in (FAKE, OTHER)]
        assert estimate.value == pytest.approx(values[0] - values[1])
        assert estimate.n == 60

    def test_intervals_are_as_wide_as_the_numbers_without_a_twentieth_say(self, metric: str) -> None:
        """However they were found. The spread of 20 such numbers is itself uncertain by a sixth."""
        parts = [[side.without(group) for side in (FAKE, OTHER, REAL)] for group in range(GROUPS)]
        numbers = np.array([[measure(metric, side, real).value for side in sides] for *sides, real in parts])
        for estimate, values in [
            (measure(metric, FAKE, REAL), numbers[:, 0]),
            (difference(metric, FAKE, OTHER, REAL), numbers[:, 0] - numbers[:, 1]),
        ]:
            assert estimate.low < estimate.value < estimate.high
            assert estimate.high - estimate.low == pytest.approx(4 * np.sqrt(GROUPS - 1) * values.std(), rel=0.45)

    def test_difference_from_itself_is_surely_zero(self, metric: str) -> None:
        estimate = difference(metric, FAKE, FAKE, REAL)
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)

    def test_needs_what_it_says(self, metric: str) -> None:
        fake, photographs = Held(FAKE.values), Held(REAL.values)
        measure(metric, fake, photographs)
        assert set(fake.asked) == set(METRICS[metric].own)
        assert set(photographs.asked) == set(METRICS[metric].statistic.real)

    def test_reference_is_for_features_only(self, metric: str) -> None:
        features = metric in ("fid", "fid_tf1", "fid_imagenet", "kid")
        value = measure(metric, FAKE, REAL, REFERENCE).value
        assert value == pytest.approx(measure(metric, FAKE, REFERENCE if features else REAL).value)
        shift = difference(metric, FAKE, OTHER, REAL, REFERENCE).value
        assert shift == pytest.approx(difference(metric, FAKE, OTHER, REFERENCE if features else REAL).value)

    @pytest.mark.parametrize("images", [1, 2, 19])
    def test_of_few_images_is_no_reason_to_fail(self, metric: str, images: int) -> None:
        few = [records(seed, images) for seed in range(3)]
        estimates = measure(metric, few[0], few[2]), difference(metric, *few)
        assert [estimate.n for estimate in estimates] == [images, images]
        if images == 1:
            assert np.isnan([estimate.low for estimate in estimates]).all()


def test_photographs_have_what_pictures_have_by_themselves() -> None:
    assert [name for name, metric in METRICS.items() if metric.of_itself] == ["colorfulness", "colorfulness_abs"]
    assert measure("colorfulness", REAL, REAL).value == pytest.approx(mean(REAL, "colorfulness"))


@pytest.mark.parametrize("metric", [name for name, metric in METRICS.items() if metric.disjoint])
def test_photographs_have_distances_from_other_photographs(metric: str) -> None:
    """The floor of a table whose FID is against other real images."""
    estimate = measure(metric, REAL, REAL, REFERENCE)
    assert estimate == measure(metric, Held(REAL.values), REFERENCE)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.value > measure(metric, REAL, REAL).value + 0.01


@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0])
def test_gap_lies_in_its_own_interval(shift: float) -> None:
    """Also where the means are equal: the distances of resamples are all above 0, which is the value."""
    spread = np.random.default_rng(0).normal(40, 9, 1000)
    fake, real = Held({"colorfulness": spread[::-1] + shift}), Held({"colorfulness": spread})
    estimate = measure("delta_colorfulness", fake, real)
    assert estimate.value == pytest.approx(abs(shift))
    assert estimate.low <= estimate.value <= estimate.high
    assert (estimate.low == 0) == (shift == 0)
    assert estimate.high - abs(shift) == pytest.approx(1.96 * np.std(spread - spread[::-1]) / 1000**0.5, rel=0.15)


def test_gap_of_means_is_not_the_mean_gap() -> None:
    """One too pale and one too colorful: DDColor's number is 0, VVFM's is not."""
    fake, real = Held({"colorfulness": np.array([10.0, 30.0])}), Held({"colorfulness": np.array([20.0, 20.0])})
    assert measure("delta_colorfulness", fake, real).value == 0
    assert measure("colorfulness_error", fake, real).value == 10


def test_equal_pictures_have_a_pooled_psnr_of_60() -> None:
    estimate = measure("psnr_pooled", Held({"mse": np.zeros(30, np.float32)}), REAL)
    assert (estimate.value, estimate.low, estimate.high) == (60, 60, 60)


def test_a_distance_is_computed_once_for_the_number_and_its_difference() -> None:
    fake, real = Held(FAKE.values), Held(REAL.values)
    measure("fid", fake, real)
    before = len(real.asked)
    difference("fid", fake, fake, real)
    assert len(real.asked) == before


def test_difference_of_distances_is_surer_than_either() -> None:
    """Two candidates that share most of their error."""
    draw = np.random.default_rng(0)
    real = draw.standard_normal((400, 12)).astype(np.float32) * np.linspace(3, 1, 12, dtype=np.float32)
    fake = real * 0.7 + draw.standard_normal((400, 12)).astype(np.float32)
    sides = [Held({"inception": x.astype(np.float32)}) for x in (fake, fake * 0.98, real)]
    for metric in ("fid", "kid"):
        one, apart = measure(metric, sides[0], sides[2]), difference(metric, *sides)
        assert apart.high - apart.low < 0.5 * (one.high - one.low)
