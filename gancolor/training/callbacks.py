"""What watches a training: its numbers, its pictures, its progress."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from tqdm import tqdm

from gancolor.color import gray
from gancolor.colorizer import Colorizer
from gancolor.interfaces import Batch
from gancolor.loggers import log_picture
from gancolor.metrics import PSNR, SSIM, AbDistance, Colorfulness, ColorfulnessRatio, RareRecall
from gancolor.scores import MetricFactory, Scores

TILE = 128  # pixels: smaller pictures are shown enlarged by a whole factor
MARGIN = 56  # pixels at least, for the rows' names
_THROUGHPUT = {  # as the bar shows it
    "images_per_second": ("img/s", "{:.3g}"),
    "data_wait": ("data wait", "{:.0%}"),
    "gpu_memory_gb": ("GPU", "{:.1f} GB"),
    "mfu": ("MFU", "{:.0%}"),
}


class Evaluate(pl.Callback):
    """Logs the validation metrics of the generator, of a gray picture and of the real ones.

    Attributes:
        values: candidate → metric → value, as of the last validation.
    """

    def __init__(self) -> None:
        self.values: dict[str, dict[str, float]] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start from nothing."""
        device = pl_module.device  # NCCL sums over processes only what is on the GPU
        metrics: dict[str, MetricFactory] = {
            "psnr": lambda: PSNR().to(device),
            "ssim": lambda: SSIM().to(device),
            "colorfulness": lambda: Colorfulness().to(device),
            "cf_ratio": lambda: ColorfulnessRatio().to(device),
            "rare_recall": lambda: RareRecall().to(device),
            "ab_distance": lambda: AbDistance().to(device),
        }
        self._scores = Scores({"gray": metrics, "ours": metrics, "real": {"colorfulness": metrics["colorfulness"]}})

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in what the generator made of a batch."""
        self._scores.update(batch.rgb, {"gray": gray(batch.rgb), "ours": outputs.rgb, "real": batch.rgb})

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the generator's numbers as ``val/…`` and the others' as ``val/gray/…`` and ``val/real/…``."""
        assert isinstance(pl_module, Colorizer)
        if trainer.sanity_checking:
            return
        self.values = self._scores.compute()
        for candidate, row in self.values.items():
            prefix = "val" if candidate == "ours" else f"val/{candidate}"
            # Every process has the same number; without sync_dist Lightning advises it at each of them.
            pl_module.log_dict({f"{prefix}/{name}": value for name, value in row.items()}, sync_dist=True)
        pl_module.log("step", float(pl_module.images_seen), sync_dist=True)


class ImagePanel(pl.Callback):
    """Writes the first validation images as gray | ours | real, each time the same ones, and shows them to the loggers.

    Args:
        folder: where ``IMAGES-SEEN.png`` go; made when the first is written.
        images: how many.
    """

    def __init__(self, folder: Path, images: int = 8):
        self.folder, self.images = folder, images
        self._rows: dict[str, list[Tensor]] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start an empty panel."""
        self._rows = {"gray": [], "ours": [], "real": []}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in images until there are enough; of several processes, the first one's."""
        wanted = self.images - sum(len(rgb) for rgb in self._rows["real"])
        if wanted > 0:
            rows = {"gray": gray(batch.rgb), "ours": outputs.rgb, "real": batch.rgb}
            for name, rgb in rows.items():
                self._rows[name].append(rgb[:wanted].cpu())

    @rank_zero_only
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the panel."""
        assert isinstance(pl_module, Colorizer)
        if not self._rows["real"]:  # the images of this process's share are all unreadable
            return
        picture = panel({name: torch.cat(parts) for name, parts in self._rows.items()})
        self.folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(self.folder / f"{pl_module.images_seen:09d}.png")
        for logger in trainer.loggers:
            log_picture(logger, "samples", picture, pl_module.images_seen)


class Progress(ProgressBar):
    """A bar over the whole training, in images seen, with the latest losses; validation shows as a pause in it."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._enabled = True

    def disable(self) -> None:
        """Lightning calls this on every process but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Lightning's counterpart of disable."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar where the training stands."""
        assert isinstance(pl_module, Colorizer)
        self._bar = tqdm(
            total=pl_module.images,
            initial=pl_module.images_seen,
            unit="img",
            unit_scale=True,
            desc="training",
            dynamic_ncols=True,
            disable=not self._enabled,
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Move the bar; read the losses, which waits for the device, only when they are logged anyway."""
        assert isinstance(pl_module, Colorizer)
        assert self._bar is not None
        if trainer._logger_connector.should_update_logs:
            self._bar.set_postfix(_latest(trainer.callback_metrics), refresh=False)
        # The last batch may see more images than were asked for; a bar beyond its total would vanish.
        self._bar.update(min(pl_module.images_seen, pl_module.images) - self._bar.n)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar: what is said next begins a line of its own."""
        self.on_train_end(trainer, pl_module)


def _latest(metrics: Mapping[str, Tensor]) -> dict[str, str]:
    """Losses and throughput, of all that is logged, as the bar shows them."""
    shown: dict[str, str] = {}
    for key, value in metrics.items():
        kind, _, name = key.partition("/")
        if kind == "train":
            shown[name] = f"{value.item():.3g}"
        elif kind == "throughput":
            label, unit = _THROUGHPUT[name]
            shown[label] = unit.format(value.item())
    return shown


def panel(rows: dict[str, UInt8[Tensor, "B 3 H W"]]) -> UInt8[np.ndarray, "h w 3"]:
    """Pictures side by side, a row each of the same photographs, with the row's name at the left."""
    pictures = torch.cat([torch.cat(list(images), dim=2) for images in rows.values()], dim=1)
    size = next(iter(rows.values())).shape[-2]
    factor = max(1, TILE // size)
    tiles = Image.fromarray(pictures.movedim(0, 2).cpu().numpy())
    tiles = tiles.resize((tiles.width * factor, tiles.height * factor), Image.Resampling.NEAREST)
    font = ImageFont.load_default(16)
    margin = max(MARGIN, *(16 + int(font.getbbox(name)[2]) for name in rows))
    result = Image.new("RGB", (margin + tiles.width, tiles.height), "white")
    result.paste(tiles, (margin, 0))
    draw = ImageDraw.Draw(result)
    for i, name in enumerate(rows):
        draw.text((8, int((i + 0.5) * size * factor)), name, "black", font, anchor="lm")
    return np.asarray(result)
