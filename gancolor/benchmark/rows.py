"""What every table of an evaluation shares: its columns, rows, digits and words, before they become a file format."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isfinite, log10, nan
from statistics import median

from gancolor.benchmark.evaluation import Evaluation
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.numbers import METRICS
from gancolor.benchmark.published import Published

TRUTH = frozenset({"half-saturated", "real"})  # rows made of the photograph itself: never the best
ARROW = {"lower": " ↓", "higher": " ↑", "": ""}
SIGN = {"lower": -1, "higher": 1, "": 0}  # of a difference that is an improvement


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: the candidate, or the published method.
        estimates: metric → number; a published one has no interval.
        source: where a published row is from; None for a candidate.
        doubts: metric → what speaks against a published number.
    """

    name: str
    estimates: Mapping[str, Estimate]
    source: str | None = None
    doubts: Mapping[str, str] = field(default_factory=dict)


def columns(evaluation: Evaluation) -> list[str]:
    """The metrics that were measured, in the order of the table."""
    return list(dict.fromkeys(metric for row in evaluation.estimates.values() for metric in row))


def candidates(evaluation: Evaluation) -> list[Row]:
    """The rows that were measured; ``real`` is left out where nothing was measured of a picture by itself."""
    return [Row(name, estimates) for name, estimates in evaluation.estimates.items() if estimates]


def published(numbers: Iterable[Published]) -> list[Row]:
    """Published numbers, a row a method, table and protocol."""
    groups: dict[tuple[str, str, str, str], list[Published]] = {}
    for number in numbers:
        groups.setdefault((number.method, number.source, number.table, number.protocol), []).append(number)
    return [
        Row(
            method,
            {number.metric: Estimate(number.value, nan, nan, 0) for number in group},
            ", ".join(part for part in (source, table) if part),
            {number.metric: number.doubt for number in group if number.doubt},
        )
        for (method, source, table, _), group in groups.items()
    ]


def comparable(evaluation: Evaluation) -> list[Row]:
    """The published rows that stand in the table: those with a number in one of its columns."""
    measured = columns(evaluation)
    return [row for row in published(evaluation.published) if not row.estimates.keys().isdisjoint(measured)]


def others(evaluation: Evaluation) -> list[tuple[Row, str]]:
    """The published rows that may not stand beside ours, each with the reason."""
    reasons: dict[str, list[Published]] = {}
    for number, reason in evaluation.others:
        reasons.setdefault(reason, []).append(number)
    return [(row, reason) for reason, numbers in reasons.items() for row in published(numbers)]


def label(metric: str) -> str:
    """A metric's name in print; a number that is not among ours keeps the name it came with."""
    return METRICS[metric].label if metric in METRICS else metric


def direction(metric: str) -> str:
    """Which way is better: ``lower``, ``higher`` or, where neither is, nothing."""
    return METRICS[metric].better if metric in METRICS else ""


def header(metric: str) -> str:
    """A column's title: label, unit, and an arrow to where better is."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    return label(metric) + (f" ({unit})" if unit else "") + ARROW[direction(metric)]


def best(evaluation: Evaluation, metric: str) -> frozenset[str]:
    """The candidates with the best value: gray may be one, rows made of the photograph may not."""
    values = {
        name: row[metric].value * SIGN[direction(metric)]
        for name, row in evaluation.estimates.items()
        if name not in TRUTH and metric in row and isfinite(row[metric].value)
    }
    if not SIGN[direction(metric)] or not values:
        return frozenset()
    return frozenset(name for name, value in values.items() if value == max(values.values()))


def half_width(estimate: Estimate) -> float:
    """Half of the interval; NaN where none is known."""
    return (estimate.high - estimate.low) / 2


def decimals(estimates: Iterable[Estimate]) -> int:
    """Digits after the point for one column.

    They show two significant digits of its median interval; without any interval, four of its median value.
    """
    finite = [estimate for estimate in estimates if isfinite(estimate.value)]
    widths = [half_width(estimate) for estimate in finite if half_width(estimate) > 0]
    values = [abs(estimate.value) for estimate in finite if estimate.value]
    if not widths and not values:
        return 2
    significant, scale = (2, median(widths)) if widths else (4, median(values))
    return min(6, max(0, significant - 1 - floor(log10(scale))))


def number(value: float, places: int, sign: str = "") -> str:
    """A number with a real minus sign; an en dash for NaN. ``sign`` is ``+`` to show that of positive ones too."""
    return f"{value:{sign}z.{places}f}".replace("-", "−") if isfinite(value) else "–"


def cells(rows: Sequence[Row], metric: str) -> list[tuple[str, str]]:
    """A column as text: value and ``± half-width``, both empty where a row has no such number.

    A published value has the digits of its paper, and a question mark where it is doubted.
    """
    filled = [row for row in rows if metric in row.estimates]
    digits: dict[str | None, int] = {None: decimals(row.estimates[metric] for row in filled if row.source is None)}
    for row in filled:
        if row.source is not None:  # one value alone may have lost zeros at its end, its neighbors tell
            printed = len(plain(row.estimates[metric].value).partition(".")[2])
            digits[row.source] = max(printed, digits.get(row.source, 0))
    return [_cell(row, metric, digits[row.source]) if metric in row.estimates else ("", "") for row in rows]


def _cell(row: Row, metric: str, places: int) -> tuple[str, str]:
    estimate, width = row.estimates[metric], half_width(row.estimates[metric])
    doubt = " ?" if metric in row.doubts else ""
    return number(estimate.value, places), f" ± {number(width, places)}" if isfinite(width) else doubt


def plain(value: float) -> str:
    """A published number by itself, in the digits that it came with."""
    return f"{value:g}".replace("-", "−")


def judge(metric: str, difference: Estimate) -> str:
    """What a difference says: ``better`` or ``worse`` only if its interval excludes 0."""
    if not (difference.low > 0 or difference.high < 0):  # also where the interval is unknown
        return "no evidence"
    improvement = SIGN[direction(metric)] * (1 if difference.low > 0 else -1)
    return {1: "better", -1: "worse", 0: "different"}[improvement]


@dataclass(frozen=True)
class Difference:
    """A difference against the baseline.

    Attributes:
        candidate: whose.
        metric: in what.
        text: value and interval.
        judgement: ``better``, ``worse``, ``different`` (where neither way is better) or ``no evidence``.
    """

    candidate: str
    metric: str
    text: str
    judgement: str


def differences(evaluation: Evaluation) -> list[Difference]:
    """Every difference against the baseline, candidate by candidate."""
    return [
        Difference(name, metric, _interval(difference), judge(metric, difference))
        for name, row in evaluation.differences.items()
        for metric, difference in row.items()
    ]


def _interval(difference: Estimate) -> str:
    places = decimals([difference])
    ends = f"[{number(difference.low, places, '+')}, {number(difference.high, places, '+')}]"
    return f"{number(difference.value, places, '+')} {ends}"


def verdict(evaluation: Evaluation) -> str:
    """Whether the numbers may stand beside published ones, in a sentence; the doubts say why not."""
    name = evaluation.protocol.name
    if evaluation.doubts:
        return f"NOT comparable with others' numbers under {name}:"
    if found := sources(evaluation):
        return f"Comparable with the published rows of {name}: {'; '.join(found)}."
    return f"No published row stands under {name}: these numbers compare with one another only."


def sources(evaluation: Evaluation) -> list[str]:
    """Where the published rows of the table are from, each once."""
    return list(dict.fromkeys(row.source or "" for row in comparable(evaluation)))


def caveats(evaluation: Evaluation) -> list[str]:
    """What must be known to read the numbers: what is missing and why, what is doubtful, the notes."""
    return [
        *(f"{label(metric)} was not measured: {reason}" for metric, reason in evaluation.missing.items()),
        *(
            f"? {row.name}, {', '.join(label(metric) for metric in row.doubts if row.doubts[metric] == doubt)}: {doubt}"
            for row in comparable(evaluation)
            for doubt in dict.fromkeys(row.doubts.values())
        ),
        *evaluation.notes,
    ]
