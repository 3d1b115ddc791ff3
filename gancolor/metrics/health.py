"""Whether a set of generated pictures is as colorful as the photographs, in numbers of the whole set.

Hedging between likely colors gives dull ones, which no mean error per pixel shows. As in
:mod:`~gancolor.metrics.running` these are torchmetrics' metrics: sums over batches and processes, of a fixed size.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torchmetrics import Metric

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.interfaces import ImageMetric
from gancolor.metrics.lab import ab_histogram, total_variation
from gancolor.metrics.pixels import colorfulness
from gancolor.palette import CELLS, cell_of


class RareRecall(Metric, ImageMetric):
    """The share of rarely colored pixels that get about their color: 1 is perfect, and hedging scores little.

    A pixel belongs to the cell of the ab plane that its real color is in (:func:`gancolor.palette.cell_of`). Rare are
    the cells with the fewest pixels, as many as together have at most ``share`` of all pixels, and at least one; of
    equally rare cells the first in the plane's order. A pixel is hit if ``‖Δab‖`` is at most ``near``.

    Args:
        share: of all real pixels, how many are rare at most; between 0 and 1.
        near: Lab units that a color may be off; 15 is a cell and a half.
    """

    full_state_update = False
    pixels: Tensor
    hits: Tensor

    def __init__(self, share: float = 0.1, near: float = 15.0) -> None:
        super().__init__()
        self.share, self.near = share, near
        for name in ("pixels", "hits"):
            self.add_state(name, torch.zeros(CELLS * CELLS, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch."""
        for f, r in zip(fake.split(1), real.split(1), strict=True):  # twice as fast as all at once: see metrics.lab
            ours, own = rgb_to_lab(f).ab, rgb_to_lab(r).ab
            hit = torch.hypot(*(AB_SCALE * (ours - own)).unbind(1)) <= self.near
            cells = cell_of(own)
            self.pixels = self.pixels + self._count(cells)
            self.hits = self.hits + self._count(cells[hit])

    def _count(self, cells: Tensor) -> Tensor:
        return torch.bincount(cells.flatten(), minlength=CELLS * CELLS).to(self.pixels.device)

    def compute(self) -> Float[Tensor, ""]:
        """The recall; NaN before the first picture."""
        order = self.pixels.argsort(stable=True)
        order = order[self.pixels[order] > 0]
        pixels, hits = self.pixels[order], self.hits[order]
        rare = int((pixels.cumsum(0) <= self.share * pixels.sum()).sum())
        return hits[: max(1, rare)].sum() / pixels[: max(1, rare)].sum()


class AbDistance(Metric, ImageMetric):
    """How far all generated colors are from all real ones: 0 for the same colors, 1 for none in common.

    :func:`~gancolor.metrics.lab.total_variation` of the mean :func:`~gancolor.metrics.lab.ab_histogram` of either, as
    ``evaluate.py`` has it; which pixel has which color does not matter.
    """

    full_state_update = False
    fake: Tensor
    real: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("fake", "real"):
            self.add_state(name, torch.zeros(CELLS * CELLS), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch."""
        self.fake = self.fake + ab_histogram(fake).sum(0).to(self.fake.device)
        self.real = self.real + ab_histogram(real).sum(0).to(self.real.device)
        self.images = self.images + len(fake)

    def compute(self) -> Float[Tensor, ""]:
        """The distance; NaN before the first picture."""
        return total_variation(self.fake / self.images, self.real / self.images)


class ColorfulnessRatio(Metric, ImageMetric):
    """How colorful the generated pictures are, as a share of what the photographs are: below 1 they are duller.

    The ratio of the means over images of :func:`~gancolor.metrics.pixels.colorfulness`; infinite for gray photographs.
    """

    full_state_update = False
    fake: Tensor
    real: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("fake", "real"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, fake: UInt8[Tensor, "B 3 H W"], real: UInt8[Tensor, "B 3 H W"]) -> None:
        """Take in a batch."""
        self.fake = self.fake + colorfulness(fake).sum().to(self.fake.device)
        self.real = self.real + colorfulness(real).sum().to(self.real.device)

    def compute(self) -> Float[Tensor, ""]:
        """The ratio; NaN before the first picture."""
        return self.fake / self.real
