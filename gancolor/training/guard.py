"""Losses and weights that are not numbers any more, and weights that no loss teaches: found in time."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor

from gancolor.colorizer import Colorizer
from gancolor.errors import InputError, Stopped
from gancolor.interfaces import Batch


class FiniteGuard(pl.Callback):
    """Stops a training whose losses are NaN or infinite, before its weights are logged, validated or saved.

    The verdicts of single steps stay on the device until they are read with a row of the log, or before a save: no step
    waits for them. An infinite *gradient* is a gradient scaler's daily business, and no error.

    Args:
        names: the training images' names; a batch's indices point into it.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._steps: list[tuple[int, dict[str, Tensor], Tensor]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Keep the step's losses; read them when they are logged, which waits for the device anyway."""
        assert isinstance(pl_module, Colorizer)
        self._steps.append((pl_module.images_seen, dict(outputs), batch.indices))
        if trainer._logger_connector.should_update_logs:
            self.check(pl_module)

    def check(self, colorizer: Colorizer, weights: bool = False) -> None:
        """Read what was kept; every process must call this at the same step.

        Raises:
            Stopped: a loss was not finite at any process, or, if asked for, a weight is not.
        """
        own = self._losses() or (self._weights(colorizer) if weights else None)
        self._steps.clear()
        reports: list[Any] = [own]
        if dist.is_available() and dist.is_initialized():
            reports *= dist.get_world_size()
            dist.all_gather_object(reports, own)
        for rank, report in enumerate(reports):
            if report is not None:
                process = f"process {rank}: " if len(reports) > 1 else ""
                raise Stopped(f"{process}{report}; lower the optimizers' lr or colorizer.clip_norm")

    def _losses(self) -> str | None:
        """The first bad loss among the steps kept, in words."""
        if not self._steps:
            return None
        # One transfer for all; a step may have more terms than another, as a lazy penalty's has.
        verdicts = iter(torch.stack([t.isfinite() for _, terms, _ in self._steps for t in terms.values()]).tolist())
        for seen, terms, indices in self._steps:
            for name in [name for name in terms if not next(verdicts)]:
                files = ", ".join(self.names[int(index)] for index in indices)
                return f"the loss {name!r} is {terms[name].item()} after {seen} images, in the batch of {files}"
        return None

    def _weights(self, colorizer: Colorizer) -> str | None:
        """The first bad weight, in words: a step's gradient can spoil them though its losses are finite."""
        weights = {name: value for name, value in colorizer.state_dict().items() if value.is_floating_point()}
        verdicts = torch.stack([value.isfinite().all() for value in weights.values()])
        for name, finite in zip(weights, verdicts.tolist(), strict=True):
            if not finite:
                return f"{name} is not finite after {colorizer.images_seen} images, though the losses were"
        return None


class TaughtGuard(pl.Callback):
    """Refuses, after the first step, losses that leave a part of the generator as it is."""

    def __init__(self) -> None:
        self._looked = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Look for weights without a gradient.

        Raises:
            InputError: there are some; of several processes, each would wait for the others in the next step.
        """
        assert isinstance(pl_module, Colorizer)
        if not self._looked:
            for name, weight in pl_module.generator.named_parameters():
                if weight.requires_grad and weight.grad is None:
                    raise InputError(
                        f"colorizer.losses: none of them teaches generator.{name}; the predictor of a Profiled needs a "
                        "gancolor.losses.ProfileCrossEntropy"
                    )
        self._looked = True
