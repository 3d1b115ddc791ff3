"""From a command line and YAML files to the parts of a run. The signatures are the schema."""

import argparse
import difflib
import importlib
import inspect
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from pytorch_lightning.utilities import rank_zero_only

from gancolor.colorizer import Colorizer
from gancolor.data import ColorData
from gancolor.interfaces import InputError
from gancolor.training import Training

RUNS = Path("runs")
LAST = Path("checkpoints") / "last.ckpt"
CONFIG = "config.yaml"
RUN_DIR_VARIABLE = "GANCOLOR_RUN_DIR"  # so that the processes a run launches agree on its folder


@dataclass(frozen=True)
class Run:
    """Everything that a command line asked for, built.

    Attributes:
        colorizer: the networks and their game.
        data: the photographs.
        training: the machine and the logs.
        run_dir: where results go.
        resume: the checkpoint to go on from, if any.
    """

    colorizer: Colorizer
    data: ColorData
    training: Training
    run_dir: Path
    resume: Path | None


def parser() -> ArgumentParser:
    """The command line of train.py."""
    result = ArgumentParser(
        prog="train.py",
        description="Train a colorizer. Later files and options override earlier ones; any key of a YAML file is an "
        "option too, as --key.subkey VALUE.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    result.add_argument("--config", action="config", help="a YAML file; may be given several times")
    result.add_argument("--run_dir", type=str | None, help="where results go; by default a new folder below runs/")
    result.add_argument("--resume", type=str | None, help="'last', or the path of a checkpoint, to go on from")
    result.add_argument("--seed", type=int, default=0, help="of initialization, order, augmentation and noise")
    result.add_class_arguments(Colorizer, "colorizer")
    result.add_class_arguments(ColorData, "data")
    result.add_class_arguments(Training, "training")
    result.link_arguments("seed", "colorizer.seed")
    result.link_arguments("seed", "data.seed")
    return result


def parse(arguments: Sequence[str]) -> Run:
    """Build what a command line asks for; on a fresh run, keep the resolved configuration in the run's folder.

    Raises:
        InputError: a key, a value or a file that cannot be used; one line that names it.
    """
    command_line = parser()
    try:
        asked = command_line.parse_args(_with_saved_config(arguments))
    except ArgumentError as error:
        raise InputError(_explain(str(error), command_line)) from error
    resume = _find_checkpoint(asked.resume, asked.run_dir) if asked.resume else None
    run_dir = _choose_run_dir(asked, resume)
    torch.manual_seed(asked.seed)
    built = command_line.instantiate_classes(asked)
    _keep_config(command_line, asked, run_dir)
    return Run(built.colorizer, built.data, built.training, run_dir, resume)


def _with_saved_config(arguments: Sequence[str]) -> list[str]:
    """A resumed run that is given no configuration takes its own."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--config", "--run_dir", "--resume"):
        first.add_argument(option)
    given, _ = first.parse_known_args(arguments)
    if given.resume is None or given.config is not None:
        return list(arguments)
    checkpoint = _find_checkpoint(given.resume, given.run_dir)
    return ["--config", str(checkpoint.parents[1] / CONFIG), *arguments]


def _find_checkpoint(resume: str, run_dir: str | None) -> Path:
    """The checkpoint that --resume means."""
    if resume != "last":
        path = Path(resume)
    elif run_dir is not None:
        path = Path(run_dir) / LAST
    else:
        found = sorted(RUNS.glob(f"*/{LAST}"), key=lambda p: p.stat().st_mtime)
        if not found:
            raise InputError(f"--resume last: no run below {RUNS}/ has a checkpoint yet; name one with --run_dir")
        path = found[-1]
    if not path.is_file():
        raise InputError(f"--resume: there is no checkpoint {path}")
    return path


def _choose_run_dir(asked: Namespace, resume: Path | None) -> Path:
    """The folder asked for, or the resumed run's, or a new one named after the first YAML file and the time."""
    if asked.run_dir is not None:
        run_dir = Path(asked.run_dir)
        if resume is None and _rank() == 0 and (run_dir / LAST).exists():
            raise InputError(f"--run_dir {run_dir} holds a run already: add --resume last, or choose another folder")
    elif resume is not None:
        run_dir = resume.parents[1]
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
def _keep_config(command_line: ArgumentParser, asked: Namespace, run_dir: Path) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    kept = asked.clone()
    for key in ("config", "run_dir", "resume"):
        kept.pop(key)
    (run_dir / CONFIG).write_text(command_line.dump(kept, skip_none=False))


def _explain(message: str, command_line: ArgumentParser) -> str:
    """The parser's message on one line, with the nearest valid name where a name is unknown."""
    line = " ".join(message.split())
    unknown = re.search(r"arguments: --([\w.]+)|Option '([\w.]+)'|option '(\w+)'|has no attribute '(\w+)'", message)
    if unknown is None:
        return line
    name = next(group for group in unknown.groups() if group)
    nearest = difflib.get_close_matches(name, _valid_names(message, command_line), n=1, cutoff=0)
    return f"{line}: did you mean {nearest[0]!r}?" if nearest else line


def _valid_names(message: str, command_line: ArgumentParser) -> list[str]:
    """The names that could have stood where jsonargparse found one it does not know."""
    if module := re.search(r"module '([\w.]+)' has no attribute", message):
        return [name for name in vars(importlib.import_module(module.group(1))) if name[0].isupper()]
    if class_path := re.search(r"class_path '([\w.]+)'", message):
        module, _, name = class_path.group(1).rpartition(".")
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    keys = list(command_line.get_defaults().keys())
    if group := re.search(r"Group '([\w.]+)'", message):
        return [key.removeprefix(f"{group.group(1)}.") for key in keys if key.startswith(f"{group.group(1)}.")]
    return keys
