"""An evaluation as one HTML file that needs nothing else: table, plots, differences, and the pictures side by side."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gancolor import atomic
from gancolor.benchmark import figures, rows
from gancolor.benchmark.evaluation import Evaluation, Example
from gancolor.benchmark.protocol import Protocol
from gancolor.benchmark.rows import Row
from gancolor.page import picture

HEADLINE = (  # one number of every kind gets a plot: the protocol's own variant, which its table has first
    ("fid", "fid_imagenet", "fid_tf1"),
    ("lpips", "lpips_vgg"),
    ("psnr", "psnr_pooled"),
    ("ssim", "ssim_uniform"),
    ("colorfulness_abs", "colorfulness"),
    ("delta_e",),
)
MAIN = ("psnr", "lpips", "ssim", "delta_e", "colorfulness_abs")  # what is shown of a single image

GEOMETRY = {
    "crop": "center cropped to a square, then resized",
    "squash": "resized to a square, aspect ratio lost",
}
LIGHTNESS = {"output": "as each candidate delivers it", "input": "the photograph's own, put back into every output"}


def write(evaluation: Evaluation, path: Path) -> None:
    """Write the report.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("gancolor", "benchmark"),
        autoescape=True,  # the names are the users'
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.jinja")
    atomic.write(path, template.render(_content(evaluation)).encode(errors="backslashreplace"))


def _content(evaluation: Evaluation) -> dict[str, object]:
    """What the template shows."""
    metrics = rows.columns(evaluation)
    keys = [
        key for key in MAIN if any(np.isfinite(row[key]).any() for row in evaluation.per_image.values() if key in row)
    ]
    return {
        "evaluation": evaluation,
        "facts": _facts(evaluation),
        "verdict": rows.verdict(evaluation),
        "sources": rows.sources(evaluation),
        "caveats": rows.caveats(evaluation),
        "columns": [(rows.header(metric), rows.direction(metric)) for metric in metrics],
        "table": _table(evaluation, metrics),
        "estimates": _estimates(evaluation),
        "distributions": _distributions(evaluation, keys),
        "differences": rows.differences(evaluation),
        "forest": _forest(evaluation),
        "label": rows.label,
        "sortable": {name: [key for key in keys if key in row] for name, row in evaluation.per_image.items()},
        "examples": _examples(evaluation, keys),
        "others": [(row, _numbers(row), reason) for row, reason in rows.others(evaluation)],
    }


def _facts(evaluation: Evaluation) -> dict[str, str]:
    """How it was measured, in words."""
    protocol = evaluation.protocol
    facts = {
        "Photographs": f"{len(evaluation.names):,}: {evaluation.description}",
        "Size": _size(protocol),
        "Lightness": LIGHTNESS[protocol.lightness],
        "FID's real images": protocol.reference.description if protocol.reference else "the same photographs (paired)",
        "Intervals": "95 %",
        "Protocol's source": protocol.source,
        "Doubts about it": protocol.doubt,
    }
    return {name: fact for name, fact in facts.items() if fact}


def _size(protocol: Protocol) -> str:
    size = f"{protocol.size} × {protocol.size} pixels" if protocol.size else "the photographs' own"
    antialias = "with" if protocol.antialias else "without"
    return f"{size}; {GEOMETRY[protocol.geometry]}; {protocol.interpolation} {antialias} antialiasing"


def _table(evaluation: Evaluation, metrics: Sequence[str]) -> list[dict[str, object]]:
    """The rows, every cell with the number to sort by and the texts to show."""
    table = [*rows.candidates(evaluation), *rows.comparable(evaluation)]
    texts = {metric: rows.cells(table, metric) for metric in metrics}
    widths = {metric: max(len(spread) for _, spread in texts[metric]) for metric in metrics}
    best = {metric: rows.best(evaluation, metric) for metric in metrics}
    return [
        {
            "name": row.name,
            "source": row.source,
            "cells": [
                {
                    "sort": _finite(row.estimates[metric].value) if metric in row.estimates else None,
                    "text": texts[metric][place],
                    "width": widths[metric],  # of what follows the value, so that points stand under one another
                    "best": row.source is None and row.name in best[metric],
                    "title": row.doubts.get(metric) or _range(row, metric),
                }
                for metric in metrics
            ],
        }
        for place, row in enumerate(table)
    ]


def _range(row: Row, metric: str) -> str:
    """The interval's ends, for who points at a cell; nothing where there is none."""
    estimate = row.estimates.get(metric)
    if estimate is None or not (isfinite(estimate.low) and isfinite(estimate.high)):
        return ""
    places = rows.decimals([estimate])
    return f"{rows.number(estimate.low, places)} to {rows.number(estimate.high, places)}, {estimate.n:,} images"


def _headline(evaluation: Evaluation) -> list[str]:
    kinds = ([metric for metric in rows.columns(evaluation) if metric in kind] for kind in HEADLINE)
    return [kind[0] for kind in kinds if kind]


def _estimates(evaluation: Evaluation) -> list[Markup]:
    table = [*rows.candidates(evaluation), *rows.comparable(evaluation)]
    known = {metric for row in table for metric, estimate in row.estimates.items() if isfinite(estimate.value)}
    # matplotlib escapes the names.
    return [Markup(figures.estimates(table, metric)) for metric in _headline(evaluation) if metric in known]


def _distributions(evaluation: Evaluation, keys: Sequence[str]) -> list[Markup]:
    per_image = evaluation.per_image
    return [
        Markup(figures.distributions({name: row[key] for name, row in per_image.items() if key in row}, key))
        for key in keys
    ]


def _forest(evaluation: Evaluation) -> list[Markup]:
    plots = []
    for metric in _headline(evaluation):
        found = {name: row[metric] for name, row in evaluation.differences.items() if metric in row}
        if found:
            plots.append(Markup(figures.differences(found, metric)))
    return plots


def _examples(evaluation: Evaluation, keys: Sequence[str]) -> list[dict[str, object]]:
    """The pictures of every example with their own numbers, and all of its numbers in the order of the menu."""
    places = {name: place for place, name in enumerate(evaluation.names)}
    return [_example(example, places[example.name], evaluation, keys) for example in evaluation.examples]


def _example(example: Example, place: int, evaluation: Evaluation, keys: Sequence[str]) -> dict[str, object]:
    def numbers(candidate: str) -> Mapping[str, float | None]:
        row = evaluation.per_image.get(candidate, {})
        return {key: _finite(float(row[key][place])) for key in keys if key in row}

    return {
        "name": example.name,
        "why": example.why,
        "order": [value for candidate in evaluation.per_image for value in numbers(candidate).values()],
        "pictures": [(candidate, *picture(rgb), numbers(candidate)) for candidate, rgb in example.rgb.items()],
    }


def _numbers(row: Row) -> list[tuple[str, str]]:
    return [(rows.label(metric), rows.plain(estimate.value)) for metric, estimate in row.estimates.items()]


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if isfinite(value) else None
