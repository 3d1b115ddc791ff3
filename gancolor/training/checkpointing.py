"""When a training is saved, and when it leaves: always between two steps, and at the same step on every process."""

import errno
import io
import logging
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.utilities import rank_zero_only

from gancolor import atomic
from gancolor.checkpoint import read
from gancolor.colorizer import Colorizer
from gancolor.errors import InputError, Stopped
from gancolor.interfaces import Batch
from gancolor.training.guard import FiniteGuard
from gancolor.training.preemption import Preemption, exit_code

CHECKPOINTS = "checkpoints"  # in a run's folder
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"

# What Lightning keeps of a validation that was cut off in its first batch: a resumed run begins with it.
_CUT_OFF = {"ready": 1, "started": 1, "processed": 0, "completed": 0}

FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger("gancolor")


class AtomicIO(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and keeps the one before as ``previous.ckpt``.

    Attributes:
        failure: why the last one could not be written. Only the first process writes; all must learn of it.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self._sound = False  # whether the file in our place is known to be

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Write a checkpoint; its further names are the ``also`` of the options."""
        path, options = Path(path), storage_options or {}
        content = io.BytesIO()  # torch's own writer does not tell a full disk from other errors
        torch.save(checkpoint, content)
        try:
            former = path.with_name(PREVIOUS) if self._sound or _is_sound(path) else None
            atomic.write(path, content.getbuffer(), options.get("also", ()), former)
        except OSError as error:
            self.failure = unwritten(path, error)
        else:
            self.failure, self._sound = None, True


class Checkpointing(Checkpoint):
    """Saves ``last.ckpt`` and ``best.ckpt``, and ends a training that was told to leave.

    Args:
        folder: where the checkpoints go.
        every: batches between two of them; each validation saves too, after which the better one becomes the best.
        io: writes them.
        preemption: knows whether to leave.
        guard: knows whether what is to be saved is worth it.
    """

    def __init__(self, folder: Path, every: int, io: AtomicIO, preemption: Preemption, guard: FiniteGuard) -> None:
        self.folder, self.every = folder, every
        self.io, self.preemption, self.guard = io, preemption, guard
        self.best: float | None = None
        self._leaving = 0
        self._validation_pending = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Meet the other processes."""
        self.preemption.connect()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave before the first step, if a signal came by now: there is nothing to save."""
        if number := self.preemption.agree():
            self._leave(number)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Leave, now that the saved step's row is in the log."""
        if self._leaving:
            self._leave(self._leaving)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Save if it is time, or time to leave; where a validation follows, it saves."""
        self._leaving = self.preemption.poll()
        batches, validate_every = trainer.fit_loop.epoch_loop.total_batch_idx + 1, trainer.val_check_batch
        assert validate_every is not None
        if trainer.should_stop or batches % validate_every == 0:
            return
        if self._leaving or batches % self.every == 0:
            self._save(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse to validate what is no number; leave, and validate in the resumed run, if told to."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, Colorizer)
        self.guard.check(pl_module, weights=True)
        self._leaving = self.preemption.poll()
        self._leave_validation(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Leave in the midst of a validation, where one process does it alone.

        Several of them have not equally many batches, so they cannot ask one another: they finish it.
        """
        if not trainer.sanity_checking and self.preemption.alone:
            self._leaving = self.preemption.poll()
            self._leave_validation(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, and give the best its name; a signal that came by now is left for before the next step."""
        if trainer.sanity_checking:
            return
        self._leaving = self.preemption.agree()
        score = trainer.callback_metrics["val/psnr"].item()
        better = self.best is None or score > self.best
        if better:
            self.best = score
        self._save(trainer, pl_module, also=[self.folder / BEST] if better else [])

    def _leave_validation(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The last validation is not put off: a run that has seen all its images is not resumed.
        if self._leaving and not trainer.should_stop:
            self._validation_pending = True
            self._save(trainer, pl_module)
            self._leave(self._leaving)

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, also: list[Path] | None = None) -> None:
        """Save the log and then the checkpoint, so that no row before it can be lost."""
        assert isinstance(pl_module, Colorizer)
        self.guard.check(pl_module, weights=True)
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.folder / LAST, storage_options={"also": also or []})
        if failure := trainer.strategy.broadcast(self.io.failure):
            raise Stopped(failure)

    def _leave(self, number: int) -> None:
        raise Stopped(f"stopped by {signal.Signals(number).name}", exit_code(number))

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Have a validation that was left, or not begun, done by the resumed run from its first image on."""
        if self._validation_pending:
            loop = checkpoint["loops"]["fit_loop"]
            loop["epoch_loop.val_loop.batch_progress"] |= {"total": dict(_CUT_OFF), "current": dict(_CUT_OFF)}

    def state_dict(self) -> dict[str, Any]:
        """The best score so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on comparing with it."""
        self.best = state_dict["best"]


def unwritten(path: str | Path, error: OSError) -> str:
    """Why a file cannot be written, and what helps where the disk is full."""
    advice = ": make room there" if error.errno in FULL else ""
    return f"{path} cannot be written ({error.strerror or error}){advice}"


def _is_sound(path: Path) -> bool:
    try:
        read(path)
    except (FileNotFoundError, InputError):
        return False
    return True


def newest(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that can be read, or none where there is no checkpoint.

    Raises:
        InputError: there are checkpoints, and all of them are damaged.
    """
    found = [path for path in (folder / LAST, folder / PREVIOUS) if path.exists()]
    for path in found:
        if _is_sound(path):
            if path.name != LAST:
                say = rank_zero_only(_log.warning)  # all processes look
                say("%s is missing or damaged: going on with %s, the one before", folder / LAST, path)
            return path
    if found:
        raise InputError(f"{' and '.join(map(str, found))}: damaged; begin again in another --run_dir")
    return None
