"""Several candidates' metrics over the same photographs, side by side."""

from collections.abc import Callable, Mapping

from jaxtyping import UInt8
from rich.table import Table
from torch import Tensor

from gancolor.interfaces import ImageMetric

MetricFactory = Callable[[], ImageMetric]


class Scores:
    """Metrics of several candidates, all fed with the same real images.

    Args:
        metrics: candidate → metric → how to make it, in the order of the table.
    """

    def __init__(self, metrics: Mapping[str, Mapping[str, MetricFactory]]):
        self.images = 0
        self._scores = {c: {name: make() for name, make in row.items()} for c, row in metrics.items()}

    def update(self, real: UInt8[Tensor, "B 3 H W"], fakes: Mapping[str, UInt8[Tensor, "B 3 H W"]]) -> None:
        """Take in a batch: the photographs and what each candidate made of them."""
        self.images += len(real)
        for candidate, scores in self._scores.items():
            for metric in scores.values():
                metric.update(fakes[candidate], real)

    def compute(self) -> dict[str, dict[str, float]]:
        """Candidate → metric → value, over all processes."""
        return {c: {name: metric.compute().item() for name, metric in s.items()} for c, s in self._scores.items()}


def table(title: str, values: Mapping[str, Mapping[str, float]]) -> Table:
    """The values as a table for the terminal, a row a candidate."""
    columns = list(dict.fromkeys(name for row in values.values() for name in row))
    result = Table(title=title, title_justify="left")
    result.add_column("")
    for column in columns:
        result.add_column(column, justify="right")
    for candidate, row in values.items():
        result.add_row(candidate, *(f"{row[c]:.4g}" if c in row else "–" for c in columns))
    return result
