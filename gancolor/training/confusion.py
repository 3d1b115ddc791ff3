"""How well a generator predicts, from lightness alone, which profile a picture's colors have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from gancolor.color import rgb_to_lab
from gancolor.colorizer import Colorizer
from gancolor.interfaces import Batch
from gancolor.loggers import log_picture


class Confusion(pl.Callback):
    """Logs how often the predicted profile is the real one, and draws which ones are taken for which.

    ``val/profile_accuracy`` says something where it is above ``val/profile_majority``, the share of the most frequent
    profile. Of a colorizer without a guide, or whose generator predicts no profiles, nothing is logged.

    Args:
        folder: where ``IMAGES-SEEN.png`` go; made when the first is written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._counts: Tensor | None = None  # row: real, column: predicted

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start from nothing."""
        assert isinstance(pl_module, Colorizer)
        profiles = pl_module.guide.channels if pl_module.guide else 0
        self._counts = torch.zeros(profiles, profiles, dtype=torch.long, device=pl_module.device) if profiles else None

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in what was predicted of a batch."""
        assert isinstance(pl_module, Colorizer)
        logits = outputs.prediction.profile_logits
        if self._counts is not None and pl_module.guide is not None and logits is not None:
            real = pl_module.guide(rgb_to_lab(batch.rgb))[:, :, 0, 0].argmax(1)
            pairs = real * len(self._counts) + logits.argmax(1)
            self._counts += torch.bincount(pairs, minlength=self._counts.numel()).view_as(self._counts)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the numbers and draw the picture, of all processes' images."""
        assert isinstance(pl_module, Colorizer)
        if trainer.sanity_checking or self._counts is None or pl_module.guide is None:
            return
        counts = trainer.strategy.reduce(self._counts, reduce_op="sum").double()
        if counts.sum() > 0:
            shares = {"accuracy": counts.trace(), "majority": counts.sum(1).max()}
            # Every process has the same number; without sync_dist Lightning advises it at each of them.
            pl_module.log_dict(
                {f"val/profile_{key}": (n / counts.sum()).float() for key, n in shares.items()}, sync_dist=True
            )
            self._draw(trainer, pl_module, confusion(counts.long().cpu().numpy(), pl_module.guide.names))

    @rank_zero_only
    def _draw(self, trainer: pl.Trainer, colorizer: Colorizer, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(self.folder / f"{colorizer.images_seen:09d}.png")
        for logger in trainer.loggers:
            log_picture(logger, "profiles", picture, colorizer.images_seen)


def confusion(counts: Int[np.ndarray, "K K"], names: Sequence[str]) -> UInt8[np.ndarray, "h w 3"]:
    """A confusion matrix as a picture: how many pictures of a row's profile are taken for each; dark is all of them."""
    share = counts / counts.sum(1, keepdims=True).clip(1)
    side = 2.5 + 0.8 * len(names)  # inches
    with mpl.rc_context({"text.parse_math": False}):  # a name may hold a dollar sign
        figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        right, most = counts.trace() / counts.sum(), counts.sum(1).max() / counts.sum()
        axes.set(xlabel="predicted profile", ylabel="real profile", title=f"{right:.1%} right; majority {most:.1%}")
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if share[row, column] > 0.5 else "black"
            text = f"{share[row, column]:.0%}\n{count}"
            axes.text(column, row, text, color=ink, ha="center", va="center", fontsize=9)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
