"""Where a run's numbers and pictures go. Pictures are uint8: W&B draws floats black without a word."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal, cast, get_args
from uuid import uuid4

import numpy as np
import wandb
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn
from wandb.errors import AuthenticationError, CommError, UsageError

from gancolor import atomic

WandbMode = Literal["online", "offline", "shared", "disabled"]


class Log(ABC):
    """A destination for numbers and pictures."""

    @abstractmethod
    def open(self, run_dir: Path) -> Logger:
        """Start logging a run; what is written to disk goes below ``run_dir``."""


class CSV(Log):
    """``log/version_N/metrics.csv`` in the run's folder: a row a step, a new version each time the run is resumed."""

    def open(self, run_dir: Path) -> Logger:
        """Start a new version."""
        return CSVLogger(run_dir, name="log")


class TensorBoard(Log):
    """``tensorboard/`` in the run's folder: ``tensorboard --logdir runs`` shows it."""

    def open(self, run_dir: Path) -> Logger:
        """Start an event file."""
        return TensorBoardLogger(run_dir, name="tensorboard", version="")


class WandB(Log):
    """Weights & Biases; a resumed run goes on there. Without an account: ``offline: true``, and ``wandb sync`` later.

    Args:
        project: W&B project.
        name: the run's name there; by default its folder's.
        offline: write to the run's folder only.
        timeout: seconds to wait for the server at the start, before going on offline.
    """

    def __init__(self, project: str = "gancolor", name: str | None = None, offline: bool = False, timeout: float = 10):
        self.project, self.name, self.offline, self.timeout = project, name, offline, timeout

    def open(self, run_dir: Path) -> WandbLogger:
        """Start a W&B run; without a key, or if the server does not answer, say so and go on offline."""
        if self.offline:
            return self._start(run_dir, "offline", _identity(run_dir))
        if os.environ.get("WANDB_MODE") in get_args(WandbMode):
            return self._start(run_dir, cast(WandbMode, os.environ["WANDB_MODE"]), _identity(run_dir))
        try:
            _require_key()
            return self._start(run_dir, "online", _identity(run_dir))
        except (CommError, AuthenticationError, UsageError) as error:
            reason = " ".join(str(error).split())
            rank_zero_warn(f"W&B cannot be used ({reason}); logging offline, `wandb sync {run_dir}/wandb/*` later")
            return self._start(run_dir, "offline", None)  # W&B holds the identity it failed with for in use

    def _start(self, run_dir: Path, mode: WandbMode, identity: str | None) -> WandbLogger:
        # The mode goes by the settings: Lightning's own switch is a variable that W&B has read before a fallback.
        settings = wandb.Settings(mode=mode, init_timeout=self.timeout, finish_timeout=60, silent=True)
        name = self.name or run_dir.name
        logger = WandbLogger(
            name, run_dir, id=identity, project=self.project, resume="allow" if identity else None, settings=settings
        )
        _ = logger.experiment  # connect now, not in the middle of the first step
        return logger


@rank_zero_only
def _identity(run_dir: Path) -> str:
    """What W&B knows the run by: kept in its folder, so that a resumed run goes on in the same charts."""
    kept = run_dir / "wandb-id.txt"
    if not kept.exists():
        atomic.write(kept, uuid4().hex[:8].encode())
    return kept.read_text()


@rank_zero_only
def _require_key() -> None:
    """Refuse to go on without a key: W&B itself would ask for one at the terminal and wait."""
    wandb.setup(wandb.Settings(silent=True))  # or login would ask the server for the account's name
    if not wandb.login(prompt=False, verify=False):
        raise UsageError("no API key; `wandb login` stores one")


def log_picture(logger: Logger, name: str, picture: np.ndarray, step: int) -> None:
    """Show a picture (uint8, H W 3) in a logger that can; one that cannot has the PNG file beside."""
    if isinstance(logger, WandbLogger):
        logger.log_image(name, [picture], step=step)
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(name, picture, step, dataformats="HWC")
