"""The ablation's result as a page and as data: numbers only, as the photographs are not ours to publish."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.seeds import over_seeds
from gancolor import atomic
from gancolor.benchmark import rows
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.rows import Row
from gancolor.checkpoint import KEY, read

# The columns of the page; ablation.json has all of them.
METRICS = ("fid", "lpips", "psnr", "ssim", "colorfulness_abs", "colorfulness_error_abs", "auc_balanced", "delta_e")
REFERENCES = ("gray", "half-saturated", "real")  # of evaluate.py: no trainings, so without seeds
LOGGED = re.compile(r"val/(?!gray/|real/)|.*\.weights/mean$")
READING = """Numbers are means over the seeds with their 95 % intervals by Student's t; those of `gray`,
`half-saturated` and `real`, which have no seeds, over the validation images. Differences are between trainings of the
same seed. Better and worse are said where the interval excludes 0."""


def write(
    work: Path,
    output: Path,
    about: Mapping[str, str],
    trained: Mapping[str, str],
    made: Mapping[str, Sequence[str]],
    against: str,
    failures: Mapping[str, str],
) -> None:
    """Write ``ablation.md`` and ``ablation.json``.

    Args:
        work: the ablation's folder, with an evaluation in it.
        output: folder for the files.
        about: what the run says of itself.
        trained: row → what it is.
        made: row, also each further way to use its networks → what the evaluation calls it, seed by seed.
        against: the row that the others are compared with.
        failures: step → why it failed.

    Raises:
        OSError: a file that cannot be read or written.
    """
    numbers: Any = json.loads((work / "evaluation" / "table.json").read_text())
    runs = {row: [_run(work / "runs" / name) for name in made[row] if name not in failures] for row in trained}
    still = [name for name in REFERENCES if name in numbers]
    means = {name: {metric: _estimate(numbers[name], metric) for metric in METRICS} for name in still}
    means |= {row: _over_seeds(numbers, names) for row, names in made.items()}
    content = dict(about) | {"rows": trained, "runs": runs, "made": made, "numbers": numbers, "failures": failures}
    parts = [
        "# Ablation of the color ideas on Tiny ImageNet",
        "\n".join(f"- {key}: {value}" for key, value in about.items()),
        _trainings(trained, runs),
        READING,
        _numbers(means),
    ]
    if baseline := made.get(against):
        others = {name: [name] * len(baseline) for name in still} | dict(made)
        differences = {row: _over_seeds(numbers, names, baseline) for row, names in others.items() if row != against}
        parts += [f"## Differences against `{against}`", _judged(differences)]
    parts += ["## At the end of the trainings' own logs", _logs(runs)]
    if failures:
        parts += ["## Not done", "\n".join(f"- {name} {reason}" for name, reason in failures.items())]
    output.mkdir(parents=True, exist_ok=True)
    atomic.write(output / "ablation.md", ("\n\n".join(parts) + "\n").encode())
    atomic.write(output / "ablation.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _run(folder: Path) -> dict[str, float]:
    """How many photographs a training saw, and what its log says at the end."""
    logs = sorted(folder.glob("log/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    logged: dict[str, float] = {"images": read(folder / "checkpoints" / "last.ckpt")[KEY]["images"]}
    for log in logs:
        with log.open() as file:
            for line in csv.DictReader(file):
                logged |= {key: float(value) for key, value in line.items() if value and LOGGED.match(key)}
    return logged


def _estimate(row: Mapping[str, Any], metric: str) -> Estimate:
    """A number of table.json, where null is NaN, as is one that was not measured."""
    found = row.get(metric, {"value": None, "low": None, "high": None, "n": 0})
    value, low, high = (nan if found[key] is None else found[key] for key in ("value", "low", "high"))
    return Estimate(value, low, high, found["n"])


def _over_seeds(numbers: Any, names: Sequence[str], baseline: Sequence[str] | None = None) -> dict[str, Estimate]:
    """Each metric of a row; with a baseline, how much more it is than that of the same seed."""
    found: dict[str, Estimate] = {}
    for metric in METRICS:
        values = [_estimate(numbers.get(name, {}), metric).value for name in names]
        less = [_estimate(numbers.get(name, {}), metric).value for name in baseline] if baseline else [0.0] * len(names)
        found[metric] = over_seeds([x - y for x, y in zip(values, less, strict=True) if isfinite(x - y)])
    return found


def _trainings(trained: Mapping[str, str], runs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    body = [
        [row, text, str(len(runs[row])), f"{max(run['images'] for run in runs[row]):,}"]
        for row, text in trained.items()
        if runs[row]
    ]
    return _table(["row", "what", "seeds", "images seen by each"], body)


def _numbers(found: Mapping[str, Mapping[str, Estimate]]) -> str:
    """A row a line, each number with the digits that its column's intervals allow; nothing where there is none."""
    lines = [Row(name, {key: e for key, e in row.items() if isfinite(e.value)}) for name, row in found.items()]
    keys = list(dict.fromkeys(key for line in lines for key in line.estimates))
    columns = [["".join(cell) for cell in rows.cells(lines, key)] for key in keys]
    body = [[line.name, *cells] for line, *cells in zip(lines, *columns, strict=True)]
    return _table(["", *map(rows.header, keys)], body)


def _judged(differences: Mapping[str, Mapping[str, Estimate]]) -> str:
    """A cell each: the difference, its interval, and a judgement where there is one."""
    keys = [key for key in METRICS if any(isfinite(row[key].value) for row in differences.values())]
    body = [[name, *(_difference(key, row[key]) for key in keys)] for name, row in differences.items()]
    return _table(["", *map(rows.header, keys)], body)


def _difference(metric: str, found: Estimate) -> str:
    if not isfinite(found.value):
        return ""
    places = rows.decimals([found])
    value, low, high = (rows.number(x, places, "+") for x in (found.value, found.low, found.high))
    judgement = rows.judge(metric, found)
    return f"{value} [{low}, {high}]" + ("" if judgement == "no evidence" else f" {judgement}")


def _logs(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    keys = [key for key in dict.fromkeys(key for row in runs.values() for run in row for key in run) if key != "images"]
    return _numbers(
        {row: {key: over_seeds([run[key] for run in some if key in run]) for key in keys} for row, some in runs.items()}
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return tabulate(body, head, "github", disable_numparse=True)
