"""Every number of a table: its name, the records it needs and how it follows from them.

A *record* is what is kept of each image: one value, a *column* (``psnr``), or a vector, *rows* (``inception``).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float

from gancolor.benchmark.distances import Jackknifed, Rows, balanced_auc, frechet, kernel, total_variation
from gancolor.benchmark.intervals import Estimate, bootstrap, bootstrap_difference, jackknife

Better = Literal["lower", "higher", ""]


class Records(ABC):
    """The records of one candidate, or of the photographs; they do not change. Compared by identity."""

    @abstractmethod
    def column(self, name: str) -> Float[np.ndarray, " N"]:
        """One value an image."""

    @abstractmethod
    def rows(self, name: str) -> Rows:
        """One vector an image."""


class Statistic(ABC):
    """How a number follows from records.

    Attributes:
        own: records of the candidate that it needs.
        real: records of the photographs that it needs.
    """

    own: tuple[str, ...]
    real: tuple[str, ...]

    @abstractmethod
    def measure(self, candidate: Records, real: Records) -> Estimate:
        """The number with its interval."""

    @abstractmethod
    def difference(self, candidate: Records, baseline: Records, real: Records) -> Estimate:
        """The candidate's number minus the baseline's, which is of the same images in the same order."""


def _same(mean: float | np.ndarray) -> float | np.ndarray:
    return mean


def _untouched(*columns: np.ndarray) -> Sequence[np.ndarray]:
    return columns


@dataclass(frozen=True)
class OfMeans(Statistic):
    """A function of means over images.

    Attributes:
        own: see :class:`Statistic`.
        real: the same.
        function: of one mean a column, elementwise.
        columns: from the records, own before real, to the columns whose means are taken.
    """

    own: tuple[str, ...]
    real: tuple[str, ...] = ()
    function: Callable[..., float | np.ndarray] = _same
    columns: Callable[..., Sequence[np.ndarray]] = _untouched

    def measure(self, candidate: Records, real: Records) -> Estimate:
        """By the bootstrap."""
        return bootstrap(self.function, self._columns(candidate, real))

    def difference(self, candidate: Records, baseline: Records, real: Records) -> Estimate:
        """By the paired bootstrap."""
        return bootstrap_difference(self.function, self._columns(candidate, real), self._columns(baseline, real))

    def _columns(self, candidate: Records, real: Records) -> Sequence[np.ndarray]:
        return self.columns(*map(candidate.column, self.own), *map(real.column, self.real))


@dataclass(frozen=True)
class Gap(Statistic):
    """``|mean of outputs − mean of photographs|`` of one column.

    Attributes:
        own: see :class:`Statistic`; exactly one.
        real: the same.
    """

    own: tuple[str]
    real: tuple[str]

    def measure(self, candidate: Records, real: Records) -> Estimate:
        """By the bootstrap of the signed gap, whose interval is then folded at 0.

        Where the means are equal, each resample has a gap above 0: their percentiles would leave out the value itself.
        """
        signed = bootstrap(lambda own, real: own - real, self._columns(candidate, real))
        ends = abs(signed.low), abs(signed.high)
        low = 0.0 if signed.low <= 0 <= signed.high else min(ends)
        return Estimate(abs(signed.value), low, max(ends), signed.n)

    def difference(self, candidate: Records, baseline: Records, real: Records) -> Estimate:
        """By the paired bootstrap."""
        return bootstrap_difference(
            lambda own, real: np.abs(own - real), self._columns(candidate, real), self._columns(baseline, real)
        )

    def _columns(self, candidate: Records, real: Records) -> Sequence[np.ndarray]:
        return [candidate.column(*self.own), real.column(*self.real)]


@dataclass(frozen=True)
class Between(Statistic):
    """A distance between the candidate's rows and those of the photographs.

    Attributes:
        distance: one of :mod:`gancolor.benchmark.distances`.
        own: see :class:`Statistic`; exactly one.
        real: the same.
    """

    distance: Callable[[Rows, Rows], Jackknifed]
    own: tuple[str]
    real: tuple[str]

    def measure(self, candidate: Records, real: Records) -> Estimate:
        """By the jackknife."""
        return jackknife(*_distance(self, candidate, real), candidate.rows(*self.own).images)

    def difference(self, candidate: Records, baseline: Records, real: Records) -> Estimate:
        """By the jackknife of the differences."""
        (ours, ours_without), (theirs, theirs_without) = (_distance(self, it, real) for it in (candidate, baseline))
        return jackknife(ours - theirs, ours_without - theirs_without, candidate.rows(*self.own).images)


@lru_cache(maxsize=256)  # seconds or minutes each, and a candidate's is needed again for its difference
def _distance(statistic: Between, candidate: Records, real: Records) -> Jackknifed:
    return statistic.distance(candidate.rows(*statistic.own), real.rows(*statistic.real))


@dataclass(frozen=True)
class Metric:
    """One number of a table.

    Attributes:
        label: heading of its column.
        unit: as "dB"; empty where it has none.
        better: which is better; empty for a number that is neither.
        statistic: how it is computed.
        of_itself: whether photographs have it too, as it says something about pictures alone.
        disjoint: whether the photographs may be others than those colorized.
    """

    label: str
    unit: str
    better: Better
    statistic: Statistic
    of_itself: bool = False
    disjoint: bool = False

    @property
    def own(self) -> tuple[str, ...]:
        """Records of the candidate that it needs."""
        return self.statistic.own


def _mean(label: str, unit: str, better: Better, record: str, of_itself: bool = False) -> Metric:
    return Metric(label, unit, better, OfMeans((record,)), of_itself)


def _features(label: str, distance: Callable[[Rows, Rows], Jackknifed], record: str) -> Metric:
    return Metric(label, "", "lower", Between(distance, (record,), (record,)), disjoint=True)


def _gap(label: str, record: str) -> Metric:
    return Metric(label, "", "lower", Gap((record,), (record,)))


def _error(label: str, record: str) -> Metric:
    """Mean of ``|output − photograph|``."""
    apart = OfMeans((record,), (record,), columns=lambda own, real: [np.abs(own - real)])
    return Metric(label, "", "lower", apart)


def _psnr(mse: float | np.ndarray) -> float | np.ndarray:
    """In dB, at most 60 as with a single image."""
    return 10 * np.log10(255**2 / np.maximum(mse, 255**2 * 1e-6))


_COLORS = Between(total_variation, ("ab_histogram",), ("ab_histogram",))
_BALANCED = Between(balanced_auc, ("auc_cells",), ("ab_histogram",))

METRICS: dict[str, Metric] = {
    "fid": _features("FID", frechet, "inception"),
    "fid_tf1": _features("FID (TF1)", frechet, "inception_tf1"),
    "fid_imagenet": _features("FID (ImageNet)", frechet, "inception_imagenet"),
    "kid": _features("KID", kernel, "inception"),
    "lpips": _mean("LPIPS", "", "lower", "lpips"),
    "lpips_vgg": _mean("LPIPS (VGG)", "", "lower", "lpips_vgg"),
    "psnr": _mean("PSNR", "dB", "higher", "psnr"),
    "psnr_pooled": Metric("PSNR (pooled)", "dB", "higher", OfMeans(("mse",), function=_psnr)),
    "ssim": _mean("SSIM", "", "higher", "ssim"),
    "ssim_uniform": _mean("SSIM (uniform)", "", "higher", "ssim_uniform"),
    "colorfulness": _mean("CF", "", "", "colorfulness", of_itself=True),
    "colorfulness_abs": _mean("CF (abs)", "", "", "colorfulness_abs", of_itself=True),
    "delta_colorfulness": _gap("ΔCF", "colorfulness"),
    "delta_colorfulness_abs": _gap("ΔCF (abs)", "colorfulness_abs"),
    "colorfulness_error": _error("CF error", "colorfulness"),
    "colorfulness_error_abs": _error("CF error (abs)", "colorfulness_abs"),
    "auc": _mean("AuC", "", "higher", "auc"),
    "auc_balanced": Metric("AuC (balanced)", "", "higher", _BALANCED),
    "delta_e": _mean("ΔE2000", "", "lower", "delta_e"),
    "ab_distance": Metric("ab distance", "", "lower", _COLORS),
    "lightness_error": _mean("|ΔL|", "", "lower", "lightness_error"),
}


def measure(metric: str, candidate: Records, real: Records, reference: Records | None = None) -> Estimate:
    """A candidate's number; for what photographs have by themselves, they may be the candidate.

    Args:
        metric: its name.
        candidate: of the pictures.
        real: of the photographs they were made from, in the same order.
        reference: of the photographs for a distance between features, where they are others (disjoint protocols).
    """
    return METRICS[metric].statistic.measure(candidate, _photographs(metric, real, reference))


def difference(
    metric: str, candidate: Records, baseline: Records, real: Records, reference: Records | None = None
) -> Estimate:
    """The candidate's number minus the baseline's, over the same images; see :func:`measure`."""
    return METRICS[metric].statistic.difference(candidate, baseline, _photographs(metric, real, reference))


def _photographs(metric: str, real: Records, reference: Records | None) -> Records:
    return reference if METRICS[metric].disjoint and reference is not None else real
