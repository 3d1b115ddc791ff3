"""Processes that read for a training: they outlive the signals meant for it; their death is told at the next batch."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gancolor.errors import InputError


def outlive_signals(worker: int) -> None:
    """Ignore what asks a training to leave, but for the training process's own request to end.

    A worker that died of it would break the step that the training still finishes: PyTorch raises an error at once,
    wherever the training stands. A scheduler signals all processes of a job, and Ctrl-C those of a terminal.

    Args:
        worker: the worker's number, as a DataLoader's ``worker_init_fn`` is given it.
    """
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):  # macOS does not tell who signals: there SIGTERM ends a worker
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_end_at_request, args=(os.getppid(),), daemon=True).start()


def _end_at_request(parent: int) -> None:
    """Wait for the training process's SIGTERM, passing over everybody else's."""
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)


@contextmanager
def handler_kept(number: int) -> Iterator[None]:
    """Leave a signal to its present handler whatever is called meanwhile.

    A DataLoader takes SIGCHLD, and raises an error of a killed worker from there: in the middle of a step, of a save,
    or of handling that very error. Without it, the error comes where the next batch is asked for, seconds later.
    """
    before = signal.getsignal(number)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(number, before)


@contextmanager
def death_told(title: str) -> Iterator[None]:
    """Read in here: a killed worker is told in one line.

    Args:
        title: what is read, for the message.

    Raises:
        InputError: a worker was killed, mostly for want of memory.
    """
    try:
        yield
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        raise InputError(f"{title}: a worker was killed; type it again, with fewer --workers") from error
