"""From a command line and YAML files to the parts of a run. The signatures are the schema."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from gancolor import (  # noqa: F401  (--help tells of the classes that are imported, and their short names are known)
    adversarial,
    arguments,
    discriminators,
    generators,
    guides,
    losses,
    penalties,
)
from gancolor.checkpoint import KEY, read, start_from
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData
from gancolor.errors import InputError
from gancolor.training import CONFIG, Training
from gancolor.training.checkpointing import CHECKPOINTS, LAST, newest

RUNS = Path("runs")
RESUME = (
    "what to go on from: 'last', the path of a checkpoint, or 'auto': the last checkpoint in --run_dir if there is "
    "one, else begin, so that a cluster may start the same command again and again"
)
START_FROM = (
    "the checkpoint of another run, with whose weights this one begins: the same networks, or common ones for those of "
    "profiles; its optimizers and its place in the data are left to it"
)
# What Lightning launches agrees on the folder by this; what torchrun launches need not: only the first process writes.
RUN_DIR_VARIABLE = "GANCOLOR_RUN_DIR"


@dataclass(frozen=True)
class Run:
    """Everything that a command line asked for, built.

    Attributes:
        colorizer: the networks and their game.
        data: the photographs.
        training: the machine and the logs.
        run_dir: where results go.
        resume: the checkpoint to go on from, if any.
        config: all of it as one YAML text.
        start_from: the checkpoint that lends a fresh run its weights, if any.
        auto: whether to go on from whatever there is: a run that is over is none to complain of.
    """

    colorizer: Colorizer
    data: ColorData
    training: Training
    run_dir: Path
    resume: Path | None
    config: str
    start_from: Path | None = None
    auto: bool = False

    def train(self) -> None:
        """Train to the end, and leave the results in ``run_dir``."""
        if self.auto and self.resume and read(self.resume)[KEY]["images"] >= self.colorizer.images:
            _say(f"{self.run_dir} is trained: it has seen its {self.colorizer.images} images")
            return
        if self.start_from:
            start_from(self.start_from, self.colorizer.players)
        self.training.fit(self.colorizer, self.data, self.run_dir, self.resume, self.config)


def parser() -> ArgumentParser:
    """The command line of train.py."""
    result = arguments.parser(
        "train.py",
        "Train a colorizer. Later files and options override earlier ones; any key of a YAML file is an option too, "
        "as --key.subkey VALUE.",
    )
    result.add_argument("--config", action="config", help="a YAML file; may be given several times")
    result.add_argument("--run_dir", type=str | None, help="where results go; by default a new folder below runs/")
    result.add_argument("--resume", type=str | None, help=RESUME)
    result.add_argument("--start_from", type=str | None, help=START_FROM)
    result.add_argument("--seed", type=int, default=0, help="of initialization, order, augmentation and noise")
    result.add_class_arguments(Colorizer, "colorizer")
    result.add_class_arguments(ColorData, "data")
    result.add_class_arguments(Training, "training")
    result.link_arguments("seed", "colorizer.seed")
    result.link_arguments("seed", "data.seed")
    return result


def parse(given: Sequence[str]) -> Run:
    """Build what a command line asks for.

    Raises:
        InputError: a key, a value or a file that cannot be used; one line that names it.
    """
    if not given:
        raise InputError("there is nothing to train yet: begin with --config configs/quickstart.yaml")
    command_line = parser()
    resume = _find_checkpoint(given)
    asked = arguments.parse(command_line, _with_saved_config(given, resume))
    run_dir, begin = _choose_run_dir(asked, resume), _find_start(asked, resume)
    torch.manual_seed(asked.seed)
    built = arguments.instantiate(command_line, asked)
    auto = asked.resume == "auto"
    for key in ("config", "run_dir", "resume", "start_from"):
        asked.pop(key)
    config = command_line.dump(asked, skip_unset=False)
    return Run(built.colorizer, built.data, built.training, run_dir, resume, config, begin, auto)


def _with_saved_config(given: Sequence[str], resume: Path | None) -> list[str]:
    """A resumed run that is given no configuration takes its own."""
    if resume is None or arguments.peek(given, "config").config:
        return list(given)
    config = _folder_of(resume) / CONFIG
    if not config.is_file():
        raise InputError(f"--resume {resume}: there is no {config} that says how it was trained; give --config")
    return ["--config", str(config), *given]


def _folder_of(checkpoint: Path) -> Path:
    """The run that a checkpoint belongs to: the folder above ``checkpoints``."""
    return Path(os.path.normpath(checkpoint.parent / ".."))


def _find_checkpoint(given: Sequence[str]) -> Path | None:
    """The checkpoint that --resume means, if any."""
    known = arguments.peek(given, "run_dir", "resume")
    if not known.resume:
        return None
    resume, run_dir = known.resume[-1], Path(known.run_dir[-1]) if known.run_dir else None
    if resume == "auto":
        if run_dir is None:
            raise InputError("--resume auto: add --run_dir, so that the same command finds the same run again")
        return newest(run_dir / CHECKPOINTS)
    if resume != "last":
        if not Path(resume).is_file():
            raise InputError(f"--resume: there is no checkpoint {resume}")
        return Path(resume)
    run_dir = run_dir or _newest_run()
    path = newest(run_dir / CHECKPOINTS)
    if path is None:
        raise InputError(f"--resume: there is no checkpoint {run_dir / CHECKPOINTS / LAST}")
    return path


def _find_start(asked: Namespace, resume: Path | None) -> Path | None:
    """The checkpoint that --start_from means, if any; a run that has begun goes on from its own."""
    if asked.start_from and asked.resume not in (None, "auto"):
        raise InputError("--start_from begins a run and --resume goes on with one: leave out one of them")
    if asked.start_from is None or resume is not None:
        return None
    if not Path(asked.start_from).is_file():
        raise InputError(f"--start_from: there is no checkpoint {asked.start_from}")
    return Path(asked.start_from)


def _newest_run() -> Path:
    """The folder below runs/ that was trained last."""
    found = sorted(RUNS.glob(f"*/{CHECKPOINTS}/{LAST}"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise InputError(f"--resume last: no run below {RUNS}/ has a checkpoint yet; name one with --run_dir")
    return _folder_of(found[-1])


def _choose_run_dir(asked: Namespace, resume: Path | None) -> Path:
    """The folder asked for, or the resumed run's, or a new one named after the first YAML file and the time."""
    if asked.run_dir is not None:
        run_dir = Path(asked.run_dir)
        if resume is None and _rank() == 0 and (run_dir / CHECKPOINTS / LAST).exists():
            raise InputError(f"--run_dir {run_dir} holds a run already: add --resume last, or choose another folder")
    elif resume is not None and (_folder_of(resume) / CONFIG).is_file():
        run_dir = _folder_of(resume)
    elif RUN_DIR_VARIABLE in os.environ and _rank() > 0:
        run_dir = Path(os.environ[RUN_DIR_VARIABLE])
    else:
        name = Path(str(asked.config[0])).stem if asked.config else "run"
        run_dir = RUNS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    os.environ[RUN_DIR_VARIABLE] = str(run_dir)
    return run_dir


def _rank() -> int:
    """This process's number among those of the run, known from the environment before any of them talks."""
    return getattr(rank_zero_only, "rank", 0)


@rank_zero_only
def _say(text: str) -> None:
    """Tell the user, once."""
    Console().print(text, soft_wrap=True, highlight=False)
