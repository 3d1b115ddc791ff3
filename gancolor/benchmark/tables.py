"""An evaluation as a table: on the terminal, and as JSON, CSV, Markdown and LaTeX."""

import csv
import io
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from gancolor import atomic
from gancolor.benchmark import rows
from gancolor.benchmark.evaluation import Evaluation
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.published import Published
from gancolor.benchmark.rows import Row

# tabulate escapes all that LaTeX would misread; what LaTeX *shall* read passes it as one foreign character each.
LATEX = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "±": r"$\pm$", "−": "$-$", "Δ": r"$\Delta$", "–": "--", "|": "$|$"}
BOLD, END, GUARD = "\ue000", "\ue001", "\ue002"
LATEX |= {BOLD: r"\textbf{", END: "}", GUARD: "{}"}


def show(evaluation: Evaluation, console: Console) -> None:
    """Print the table, cut into blocks of columns where the terminal is too narrow, and how to read it."""
    protocol = evaluation.protocol
    console.print(Text(f"{protocol.name}: {len(evaluation.names)} images, {evaluation.description}", style="bold"))
    for block in _blocks(evaluation, console):
        console.print(block)
    for place, source in enumerate(rows.sources(evaluation), 1):
        console.print(Text(f"[{place}] {source}", style="dim"))
    console.print(Text(rows.verdict(evaluation), style="red" if evaluation.doubts else "green"))
    for doubt in evaluation.doubts:
        console.print(Text(f"  • {doubt}"))
    if evaluation.others:
        count = len(evaluation.others)
        console.print(Text(f"{count} more published numbers must not stand here; table.md says why, one by one."))
    for caveat in rows.caveats(evaluation):
        console.print(Text(caveat))
    for sentence in _sentences(evaluation, but=("gray", "half-saturated")):  # they fill a screen, and are in table.md
        console.print(Text(sentence))


def write(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the tables, every image's numbers and, with a baseline, the differences.

    Args:
        evaluation: what was found.
        folder: where; made if it is not there.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "table.json": _json(_numbers(evaluation)),
        "table.csv": _csv(_lines(evaluation)),
        "table.md": markdown(evaluation),
        "table.tex": latex(evaluation),
        "per_image.csv": _csv(_per_image(evaluation)),
    }
    if evaluation.against is None:
        (folder / "differences.json").unlink(missing_ok=True)  # an earlier evaluation's would be taken for this one's
    else:
        files["differences.json"] = _json(_differences(evaluation))
    for name, content in files.items():
        atomic.write(folder / name, content.encode(errors="backslashreplace"))
    return [folder / name for name in files]


def markdown(evaluation: Evaluation) -> str:
    """The table, the published rows that may not stand in it, the doubts and the differences, as Markdown."""
    protocol, metrics = evaluation.protocol, rows.columns(evaluation)
    head = ["candidate", *(_escape(rows.header(metric)) for metric in metrics)]
    parts = [
        f"# {_escape(protocol.name)}",
        _escape(f"{len(evaluation.names)} images: {evaluation.description}. Ranges: 95 % intervals."),
        _github(head, _body(evaluation, _escape, ("**", "**"))),
        _escape(rows.verdict(evaluation)),
        *_list(evaluation.doubts),
        *_list(rows.caveats(evaluation)),
    ]
    if evaluation.differences:
        parts += [f"## Differences against {_escape(str(evaluation.against))}", *_list(_sentences(evaluation))]
    if evaluation.others:
        lines = [[_escape(text) for text in _other(row, reason)] for row, reason in rows.others(evaluation)]
        parts += [
            "## Published, but not comparable",
            _github(["method", "numbers", "source", "doubt", "why not"], lines),
        ]
    return "\n\n".join(parts) + "\n"


def _other(row: Row, reason: str) -> list[str]:
    numbers = (f"{rows.label(metric)} {rows.plain(number.value)}" for metric, number in row.estimates.items())
    return [row.name, ", ".join(numbers), row.source or "", "; ".join(dict.fromkeys(row.doubts.values())), reason]


def latex(evaluation: Evaluation) -> str:
    """The table for a paper; it needs the package booktabs."""
    metrics, measured = rows.columns(evaluation), len(rows.candidates(evaluation))
    head = ["", *(rows.header(metric) for metric in metrics)]
    body = _body(evaluation, lambda text: GUARD + text, (BOLD, END))  # \\ and then [ would be an option
    text = tabulate(body, head, "latex_booktabs", disable_numparse=True, colalign=["left"] + ["right"] * len(metrics))
    lines = text.translate({ord(character): command for character, command in LATEX.items()}).splitlines()
    if len(body) > measured:
        lines.insert(4 + measured, r"\midrule")  # after \begin, \toprule, the header, \midrule and our rows
    remarks = [rows.verdict(evaluation), *evaluation.doubts, *rows.caveats(evaluation)]
    comments = [f"% {_line(remark)}" for remark in ("needs \\usepackage{booktabs}", *remarks)]
    return "\n".join([*comments, *lines]) + "\n"


def _blocks(evaluation: Evaluation, console: Console) -> Iterator[Table]:
    """The table in as few pieces as fit the terminal's width, every one with the names."""
    block: list[str] = []
    for metric in rows.columns(evaluation):
        wider = Measurement.get(console, console.options.update(max_width=10_000), _table(evaluation, [*block, metric]))
        if block and wider.maximum > console.width:
            yield _table(evaluation, block)
            block = []
        block.append(metric)
    if block:
        yield _table(evaluation, block)


def _table(evaluation: Evaluation, metrics: Sequence[str]) -> Table:
    """Some of the columns, with the rows that have a number in them."""
    lines = [*rows.candidates(evaluation), *rows.comparable(evaluation)]
    lines = [row for row in lines if not row.estimates.keys().isdisjoint(metrics)]
    sources = rows.sources(evaluation)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("candidate", overflow="fold", max_width=32)
    for metric in metrics:
        table.add_column(Text(rows.header(metric)), justify="right", no_wrap=True)
    texts = [_aligned(rows.cells(lines, metric)) for metric in metrics]
    bests = [rows.best(evaluation, metric) for metric in metrics]
    for row, *cells in zip(lines, *texts, strict=True):
        if row.source is None:
            bold = ["bold" if row.name in best else "" for best in bests]
            table.add_row(Text(row.name), *(Text(cell, style) for cell, style in zip(cells, bold, strict=True)))
        else:
            name = Text(f"{row.name} [{sources.index(row.source) + 1}]")
            table.add_row(name, *(Text(cell) for cell in cells), style="dim")
    return table


def _aligned(cells: Sequence[tuple[str, str]]) -> list[str]:
    """Cells of one width each side, so that the points stand under one another."""
    width = max(len(spread) for _, spread in cells)
    return [value + spread.ljust(width) for value, spread in cells]


def _body(evaluation: Evaluation, name: Callable[[str], str], bold: tuple[str, str]) -> list[list[str]]:
    """The main table as text: candidates, the best between the marks ``bold``, then the published rows."""
    table = [*rows.candidates(evaluation), *rows.comparable(evaluation)]
    lines = [[name(_line(_name(row)))] for row in table]
    for metric in rows.columns(evaluation):
        best = rows.best(evaluation, metric)
        for line, row, cell in zip(lines, table, rows.cells(table, metric), strict=True):
            start, end = bold if row.source is None and row.name in best else ("", "")
            line.append(start + "".join(cell) + end)
    return lines


def _name(row: Row) -> str:
    return row.name if row.source is None else f"{row.name} ({row.source})"


def _sentences(evaluation: Evaluation, but: Container[str] = ()) -> list[str]:
    """The differences in words, but for some candidates."""
    return [
        f"{d.candidate} − {evaluation.against}: {rows.label(d.metric)} {d.text} {d.judgement}"
        for d in rows.differences(evaluation)
        if d.candidate not in but
    ]


def _plain(estimate: Estimate) -> dict[str, float | int | None]:
    """JSON and CSV know no NaN: it becomes null."""
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {key: value if isfinite(value) else None for key, value in ends.items()} | {"n": estimate.n}


def _numbers(evaluation: Evaluation) -> Mapping[str, object]:
    missing = {
        metric: {"value": None, "low": None, "high": None, "n": 0, "reason": reason}
        for metric, reason in evaluation.missing.items()
    }
    return {
        candidate: {metric: _plain(estimate) for metric, estimate in row.items()} | missing
        for candidate, row in evaluation.estimates.items()
    }


def _differences(evaluation: Evaluation) -> Mapping[str, object]:
    differences = {
        candidate: {
            metric: _plain(difference) | {"judgement": rows.judge(metric, difference)}
            for metric, difference in row.items()
        }
        for candidate, row in evaluation.differences.items()
    }
    return {"against": evaluation.against, "differences": differences}


def _lines(evaluation: Evaluation) -> Iterator[Sequence[object]]:
    """One number a line; what kind it is says whether it may stand beside ours."""
    yield "kind", "candidate", "metric", "value", "low", "high", "n", "source", "remark"
    for candidate, row in evaluation.estimates.items():
        for metric, estimate in row.items():
            yield "candidate", candidate, metric, *_plain(estimate).values(), None, None
    for metric, reason in evaluation.missing.items():
        yield "missing", None, metric, None, None, None, 0, None, reason
    for number in evaluation.published:
        yield _published("published", number, number.doubt)
    for number, reason in evaluation.others:
        yield _published("not comparable", number, "; ".join(part for part in (reason, number.doubt) if part))


def _published(kind: str, number: Published, remark: str) -> Sequence[object]:
    source = ", ".join(part for part in (number.source, number.table) if part)
    return kind, number.method, number.metric, number.value, None, None, None, source, remark


def _per_image(evaluation: Evaluation) -> Iterator[Sequence[object]]:
    """One line an image and candidate."""
    keys = list(dict.fromkeys(key for row in evaluation.per_image.values() for key in row))
    yield "name", "candidate", *keys
    for candidate, row in evaluation.per_image.items():
        values = [row[key].tolist() if key in row else [None] * len(evaluation.names) for key in keys]
        for name, *line in zip(evaluation.names, *values, strict=True):
            yield name, candidate, *(value if value is None or isfinite(value) else None for value in line)


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(lines: Iterator[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def _github(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    align = ["left"] * len(head)
    return tabulate(body, head, "github", disable_numparse=True, colalign=align)


def _list(items: Sequence[str]) -> list[str]:
    """A Markdown list as one paragraph; none for no items."""
    return ["\n".join(f"- {_escape(item)}" for item in items)] if items else []


def _escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", _line(text))


def _line(text: str) -> str:
    """Text without line breaks, which would end a row or a comment."""
    return " ".join(text.split())
