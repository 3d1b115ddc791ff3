"""Signals that ask a training to leave, and all its processes agreeing on the step after which they do."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

from gancolor.errors import INTERRUPTED, RESUMABLE

SIGNALS = (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)


class Preemption:
    """Notes a signal and leaves the training alone: it asks at the end of a step, and stops where nothing is half done.

    The processes of a training get a signal at different steps, and some get none. So each step reduces one integer
    over them, on the CPU and in the background: a step reads what the step before has sent, and waits for no GPU.
    """

    def __init__(self) -> None:
        self._noted = 0  # the signal's number
        self._group: Any = None
        self._sent: tuple[dist.Work, torch.Tensor] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note signals instead of dying of them. A second one changes nothing; SIGKILL tears nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def connect(self) -> None:
        """Meet the other processes, if there are any; each must call this, and then :meth:`poll` equally often."""
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            self._group = dist.new_group(backend="gloo")

    @property
    def alone(self) -> bool:
        """Whether there are no other processes to agree with."""
        return self._group is None

    def poll(self) -> int:
        """The signal that all processes stop for, or 0; of several processes, as of the last call."""
        if self._group is None:
            return self._noted
        agreed = self._receive()
        number = torch.tensor(self._noted)
        work = dist.all_reduce(number, dist.ReduceOp.MAX, self._group, async_op=True)
        assert work is not None
        self._sent = work, number
        return agreed

    def agree(self) -> int:
        """The signal that all processes stop for, or 0, as of now."""
        self.poll()
        return self.poll()

    def _receive(self) -> int:
        if self._sent is None:
            return 0
        work, number = self._sent
        work.wait()
        return int(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = self._noted or number


def exit_code(number: int) -> int:
    """What a command stopped by a signal, with everything saved, tells whoever started it."""
    return INTERRUPTED if number == signal.SIGINT else RESUMABLE
