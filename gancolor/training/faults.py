"""What can happen to a training that is nobody's mistake, in one line each."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from gancolor.checkpoint import KEY, read
from gancolor.errors import InputError, Stopped
from gancolor.training.checkpointing import CHECKPOINTS, FULL, newest, unwritten


@contextmanager
def one_line(trainer: pl.Trainer, run_dir: Path) -> Iterator[None]:
    """Say why a training ended and where it stands, in one line of the first process, and end all processes.

    Args:
        trainer: who runs it.
        run_dir: where it writes.

    Raises:
        Stopped: it ended before its time; empty where another process speaks.
    """
    with ExitStack() as at_last:
        at_last.callback(_end_children, trainer)
        try:
            yield
        except (Stopped, OSError, RuntimeError, EOFError) as error:
            if agreed := _stopped(error):  # every process raises it at the same step, and ends by itself
                at_last.pop_all()
            else:
                _unwatch_children(trainer)
            stopped = agreed or _understood(error, run_dir)
            if stopped is None:
                raise
            if agreed and not trainer.is_global_zero:
                raise Stopped("", 0 if _is_child(trainer) else agreed.code) from None
            raise Stopped(f"{stopped}; {_whereabouts(run_dir)}", stopped.code) from None
        at_last.pop_all()


def _stopped(error: BaseException | None) -> Stopped | None:
    """What the processes agreed on, also where closing the logs failed on top of it."""
    while error is not None and not isinstance(error, Stopped):
        error = error.__context__
    return error


def _understood(error: Exception, run_dir: Path) -> Stopped | None:
    """What befell this process alone, in words."""
    if isinstance(error, OSError) and error.errno in FULL:
        return Stopped(unwritten(error.filename or run_dir, error))
    killed = isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")
    if killed or isinstance(error, ConnectionError | EOFError):  # the latter while it handed a batch over
        reason = str(error).splitlines()[0].rstrip(". ")
        return Stopped(f"a process that reads photographs was lost ({reason}): is the memory enough for data.workers?")
    return None


def _whereabouts(run_dir: Path) -> str:
    """What is left of a training that ended, and how to go on with it."""
    try:
        last = newest(run_dir / CHECKPOINTS)
    except InputError as error:
        return str(error)
    if last is None:
        return "nothing was saved yet: begin again"
    seen = read(last)[KEY]["images"]
    return f"{last} has seen {seen} images: go on with --resume auto --run_dir {run_dir}"


def _is_child(trainer: pl.Trainer) -> bool:
    """Whether Lightning started this process: it kills the first one in the midst of leaving if we report an error."""
    return (
        isinstance(getattr(trainer.strategy, "cluster_environment", None), LightningEnvironment)
        and trainer.local_rank > 0
    )


def _end_children(trainer: pl.Trainer) -> None:
    """End the processes that Lightning started: they would wait for this one. Other launchers see to it themselves."""
    _unwatch_children(trainer)
    if trainer.strategy.launcher is not None:
        trainer.strategy.launcher.kill(signal.SIGKILL)


def _unwatch_children(trainer: pl.Trainer) -> None:
    """Take the children from Lightning's observer, or it kills this process before it has spoken when one of them dies.

    It looks every five seconds at the launcher's own list of them, and is content when that is empty.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        watched, launcher.procs = launcher.procs, launcher.procs.copy()
        watched.clear()
