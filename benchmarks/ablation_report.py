"""The ablation's result as a page and as data: numbers only, as the photographs are not ours to publish."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.seeds import over_seeds
from gancolor import atomic
from gancolor.benchmark import rows
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.rows import Row

# The columns of the page; ablation.json has all of them.
METRICS = ("fid", "lpips", "psnr", "ssim", "colorfulness_abs", "colorfulness_error_abs", "auc_balanced", "ab_distance")
REFERENCES = ("gray", "half-saturated", "real")  # of evaluate.py: no trainings, so without seeds
LOGGED = re.compile(r"val/(?!gray/|real/)|.*\.weights/mean$")
READING = """Numbers are means over the seeds with their 95 % intervals by Student's t; those of `gray`,
`half-saturated` and `real`, which have no seeds, over the validation images. Intervals over seeds hold for these
photographs and these profiles."""
PAIRED = """Each row less the other, between trainings of the same seed. Better and worse are said where the 95 %
interval excludes 0; of so many comparisons one in twenty does so by chance."""

Values = Mapping[str, float]  # metric → value


@dataclass(frozen=True)
class Report:
    """What was trained, made and compared.

    Attributes:
        trained: row → what it is.
        made: row, also each further way to use its networks → its names in the evaluation, seed by seed.
        pairs: row or way, and what it is compared with: another one, or gray.
        failures: step → why it failed.
    """

    trained: Mapping[str, str]
    made: Mapping[str, Sequence[str]]
    pairs: Sequence[tuple[str, str]]
    failures: Mapping[str, str]

    def write(self, work: Path, output: Path, about: Mapping[str, str]) -> None:
        """Write ``ablation.md`` and ``ablation.json``.

        Args:
            work: the ablation's folder, with an evaluation in it.
            output: folder for the files.
            about: what the run says of itself.

        Raises:
            OSError: a file that cannot be read or written.
        """
        evaluated: Any = json.loads((work / "evaluation" / "table.json").read_text())
        # What was not measured has a reason instead of a value, with names of folders; results are published.
        numbers = {name: {m: e for m, e in row.items() if e["value"] is not None} for name, row in evaluated.items()}
        logs = {name: _log(work / "runs" / name) for row in self.trained for name in self.made[row] if name in numbers}
        output.mkdir(parents=True, exist_ok=True)
        atomic.write(output / "ablation.md", self._page(about, numbers, logs).encode())
        content = dict(about) | {"rows": self.trained, "made": self.made, "numbers": numbers, "logs": logs}
        content |= {"failures": dict(self.failures)}
        atomic.write(output / "ablation.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())

    def _page(self, about: Mapping[str, str], numbers: Any, logs: Mapping[str, Values]) -> str:
        values = {name: _values(row) for name, row in numbers.items()}
        means = [Row(name, _estimates(numbers[name])) for name in REFERENCES if name in numbers]
        means += [
            Row(row, _means([values[name] for name in names if name in values])) for row, names in self.made.items()
        ]
        logged = [Row(row, _means([logs[name] for name in self.made[row] if name in logs])) for row in self.trained]
        parts = [
            "# Ablation of the color ideas on Tiny ImageNet",
            "\n".join(f"- {key}: {value}" for key, value in about.items()),
            _table(
                ["row", "what", "seeds"], [[r, what, str(self._trainings(r, logs))] for r, what in self.trained.items()]
            ),
            READING,
            _numbers(means),
            "## Differences",
            PAIRED,
            _differences([Row(f"{row} − {other}", self._difference(row, other, values)) for row, other in self.pairs]),
            "## At the end of the trainings' own logs",
            _numbers(logged),
        ]
        if self.failures:
            parts += ["## Not done", "\n".join(f"- {name} {reason}" for name, reason in self.failures.items())]
        return "\n\n".join(parts) + "\n"

    def _trainings(self, row: str, logs: Mapping[str, Values]) -> int:
        return sum(name in logs for name in self.made[row])

    def _difference(self, row: str, other: str, values: Mapping[str, Values]) -> dict[str, Estimate]:
        """Of those seeds that both have."""
        others = self.made.get(other, [other] * len(self.made[row]))  # a reference is the same for every seed
        pairs = [
            (values[a], values[b]) for a, b in zip(self.made[row], others, strict=True) if a in values and b in values
        ]
        return _means([{metric: a[metric] - b[metric] for metric in a if metric in b} for a, b in pairs])


def _log(folder: Path) -> dict[str, float]:
    """What a training's log says at the end."""
    logs = sorted(folder.glob("log/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    logged: dict[str, float] = {}
    for log in logs:
        with log.open() as file:
            for line in csv.DictReader(file):
                logged |= {key: float(value) for key, value in line.items() if value and LOGGED.match(key)}
    return logged


def _estimates(row: Mapping[str, Any]) -> dict[str, Estimate]:
    """What of a row of table.json is on the page; null is what was not measured, or has no interval."""
    found = {metric: row[metric] for metric in METRICS if metric in row}
    return {
        metric: Estimate(one["value"], _end(one["low"]), _end(one["high"]), one["n"]) for metric, one in found.items()
    }


def _end(value: float | None) -> float:
    return nan if value is None else value


def _values(row: Mapping[str, Any]) -> Values:
    return {metric: estimate.value for metric, estimate in _estimates(row).items()}


def _means(seeds: Sequence[Values]) -> dict[str, Estimate]:
    """The mean of each number that all seeds have."""
    metrics = [metric for metric in seeds[0] if all(metric in seed for seed in seeds)] if seeds else []
    return {metric: over_seeds([seed[metric] for seed in seeds]) for metric in metrics}


def _numbers(lines: Sequence[Row]) -> str:
    """Each number with the digits that its column's intervals allow; nothing where there is none."""
    metrics = _metrics(lines)
    columns = [["".join(cell) for cell in rows.cells(lines, metric)] for metric in metrics]
    body = [[line.name, *cells] for line, *cells in zip(lines, *columns, strict=True)]
    return _table(["", *map(rows.header, metrics)], body)


def _differences(lines: Sequence[Row]) -> str:
    """A cell each: the difference, its interval, and a judgement where there is one."""
    metrics = _metrics(lines)
    body = [[line.name, *(_judged(metric, line.estimates.get(metric)) for metric in metrics)] for line in lines]
    return _table(["", *map(rows.header, metrics)], body)


def _judged(metric: str, found: Estimate | None) -> str:
    if found is None:
        return ""
    places = rows.decimals([found])
    value, low, high = (rows.number(x, places, "+") for x in (found.value, found.low, found.high))
    judgement = rows.judge(metric, found)
    return f"{value} [{low}, {high}]" + ("" if judgement == "no evidence" else f" {judgement}")


def _metrics(lines: Sequence[Row]) -> list[str]:
    """Those that there are."""
    return list(dict.fromkeys(metric for line in lines for metric in line.estimates))


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return tabulate(body, head, "github", disable_numparse=True)
