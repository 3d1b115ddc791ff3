"""The report's plots, as SVG that takes its ink from the page and is the same, byte for byte, for the same numbers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gancolor.benchmark import rows
from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.rows import Row
from gancolor.page import INK, style, svg

WIDTH = 4.4  # inches; half of the page
KNOWN = {"gray": "#888888", "half-saturated": "#a58fd8", "real": INK}
# Okabe and Ito (2008), "Color universal design", less black and yellow, which would be lost on dark or on light.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
JUDGED = {"better": "#009e73", "worse": "#d55e00", "different": "#0072b2", "no evidence": "#888888"}
LONGEST = 26  # letters of a name beside a plot; the table has the whole


def colors(names: Sequence[str]) -> dict[str, str]:
    """A color for every candidate."""
    others = [name for name in names if name not in KNOWN]
    return KNOWN | {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(others)}


def estimates(table: Sequence[Row], metric: str) -> str:
    """A metric's values and intervals, a row a candidate; published values are hollow."""
    table = [row for row in table if metric in row.estimates and np.isfinite(row.estimates[metric].value)]
    color = colors([row.name for row in table if row.source is None])

    def draw(axes: Axes) -> None:
        for place, row in enumerate(table):
            number = row.estimates[metric]
            if row.source is None:
                _interval(axes, place, number, color[row.name])
            else:
                axes.plot(number.value, place, "o", markersize=5, markerfacecolor="none", markeredgecolor=INK)

    return _plot(f"estimates-{metric}", rows.header(metric), [row.name for row in table], draw)


def differences(found: Mapping[str, Estimate], metric: str) -> str:
    """A forest plot: differences against the baseline in one metric, a row a candidate."""

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for place, difference in enumerate(found.values()):
            _interval(axes, place, difference, JUDGED[rows.judge(metric, difference)])

    return _plot(f"differences-{metric}", rows.header(metric), list(found), draw)


def distributions(values: Mapping[str, Float[np.ndarray, " images"]], metric: str) -> str:
    """How one number is distributed over the images, a violin a candidate; the bar is the median."""
    finite = {name: column[np.isfinite(column)] for name, column in values.items()}
    finite = {name: column.astype(float) for name, column in finite.items() if column.size}
    color = colors(list(finite))

    def draw(axes: Axes) -> None:
        for place, (name, column) in enumerate(finite.items()):
            parts = axes.violinplot(column, [place], orientation="horizontal", widths=0.85, showextrema=False)
            for body in parts["bodies"]:  # pyright: ignore[reportGeneralTypeIssues]
                body.set(facecolor=color[name], alpha=0.55, edgecolor="none")
            axes.plot(np.median(column), place, "|", color=INK, markersize=11, markeredgewidth=1.5)

    return _plot(f"distributions-{metric}", rows.header(metric), list(finite), draw)


def _interval(axes: Axes, place: int, number: Estimate, color: str) -> None:
    axes.plot([number.low, number.high], [place, place], color=color, linewidth=2.5, solid_capstyle="butt")
    axes.plot(number.value, place, "o", color=color, markersize=6)


def _plot(key: str, title: str, names: Sequence[str], draw: Callable[[Axes], None]) -> str:
    """One plot with a row a name, the first on top."""
    with style(key):
        figure = Figure(figsize=(WIDTH, 0.65 + 0.26 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.locator_params(axis="x", nbins=6)
        axes.set_title(title, fontsize=10, fontweight="bold")
        return svg(figure, key)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
