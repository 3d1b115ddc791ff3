"""The ablation's result as a page and as data: numbers only, as the photographs are not ours to publish."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

from tabulate import tabulate

from gancolor import atomic
from gancolor.benchmark import rows
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.rows import Row
from gancolor.checkpoint import KEY, read

# The columns of the page; ablation.json has all of them.
METRICS = ("fid", "lpips", "psnr", "ssim", "colorfulness_abs", "colorfulness_error_abs", "auc_balanced", "delta_e")
LOGGED = re.compile(r"val/(?!gray/|real/)|.*\.weights/mean$")
READING = """Ranges are 95 % intervals over the validation images, of one training each: they do not tell how another
seed would have come out. For that there is the row `reseeded`, where it was asked for: a difference no larger than its
own is no finding. Better and worse are said where the interval of the paired difference excludes 0."""


def write(
    work: Path, output: Path, about: Mapping[str, str], trained: Mapping[str, str], failures: Mapping[str, str]
) -> None:
    """Write ``ablation.md`` and ``ablation.json``.

    Args:
        work: the ablation's folder, with an evaluation in it.
        output: folder for the files.
        about: what the run says of itself.
        trained: row → what it is.
        failures: step → why it failed.

    Raises:
        OSError: a file that cannot be read or written.
    """
    evaluation = work / "evaluation"
    numbers: Any = json.loads((evaluation / "table.json").read_text())
    compared: Any = {"against": None, "differences": {}}
    if (evaluation / "differences.json").is_file():
        compared = json.loads((evaluation / "differences.json").read_text())
    runs = {name: _run(work / "runs" / name, text) for name, text in trained.items() if name not in failures}
    content = dict(about) | {"rows": runs, "numbers": numbers, **compared, "failures": dict(failures)}
    page = _page(about, runs, numbers, compared, failures)
    output.mkdir(parents=True, exist_ok=True)
    atomic.write(output / "ablation.md", page.encode())
    atomic.write(output / "ablation.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _run(folder: Path, about: str) -> dict[str, Any]:
    """What a training was, how many photographs it saw, and what its log says at the end."""
    logs = sorted(folder.glob("log/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    logged: dict[str, float] = {}
    for log in logs:
        with log.open() as file:
            for line in csv.DictReader(file):
                logged |= {key: float(value) for key, value in line.items() if value and LOGGED.match(key)}
    return {"about": about, "images": read(folder / "checkpoints" / "last.ckpt")[KEY]["images"], "log": logged}


def _page(
    about: Mapping[str, str], runs: Mapping[str, Any], numbers: Any, compared: Any, failures: Mapping[str, str]
) -> str:
    metrics = [metric for metric in METRICS if any(_estimate(row.get(metric)) for row in numbers.values())]
    parts = [
        "# Ablation of the color ideas on Tiny ImageNet",
        "\n".join(f"- {key}: {value}" for key, value in about.items()),
        _table(
            ["row", "what", "images seen"], [[name, run["about"], f"{run['images']:,}"] for name, run in runs.items()]
        ),
        READING,
        _numbers(numbers, metrics),
    ]
    if compared["against"]:
        parts += [f"## Differences against `{compared['against']}`", _differences(compared["differences"], metrics)]
    parts += ["## At the end of the training's own log", _logs({name: run["log"] for name, run in runs.items()})]
    if failures:
        parts += ["## Not done", "\n".join(f"- {name} {reason}" for name, reason in failures.items())]
    return "\n\n".join(parts) + "\n"


def _numbers(numbers: Any, metrics: Sequence[str]) -> str:
    """The evaluation's table."""
    found = {name: {metric: _estimate(row.get(metric)) for metric in metrics} for name, row in numbers.items()}
    lines = [Row(name, {metric: e for metric, e in row.items() if e}) for name, row in found.items()]
    columns = [["".join(cell) for cell in rows.cells(lines, metric)] for metric in metrics]
    body = [[line.name, *cells] for line, *cells in zip(lines, *columns, strict=True)]
    return _table(["", *map(rows.header, metrics)], body)


def _differences(differences: Any, metrics: Sequence[str]) -> str:
    """A cell each: the difference, its interval, and a judgement where there is one."""
    body = [[name, *(_difference(row.get(metric)) for metric in metrics)] for name, row in differences.items()]
    return _table(["", *map(rows.header, metrics)], body)


def _difference(found: Any) -> str:
    estimate = _estimate(found)
    if estimate is None:
        return ""
    places = rows.decimals([estimate])
    value, low, high = (rows.number(x, places, "+") for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]" + {"no evidence": ""}.get(found["judgement"], f" {found['judgement']}")


def _estimate(found: Any) -> Estimate | None:
    """A number of table.json, where null is NaN; None for one that was not measured."""
    if found is None or found["value"] is None:
        return None
    low, high = (nan if found[end] is None else found[end] for end in ("low", "high"))
    return Estimate(found["value"], low, high, found["n"])


def _logs(logged: Mapping[str, Mapping[str, float]]) -> str:
    columns = list(dict.fromkeys(key for row in logged.values() for key in row))
    body = [[name, *(_short(row.get(key, nan)) for key in columns)] for name, row in logged.items()]
    return _table(["", *columns], body)


def _short(value: float) -> str:
    return f"{value:.4g}" if isfinite(value) else ""


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return tabulate(body, head, "github", disable_numparse=True)
