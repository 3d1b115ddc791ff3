"""Contenders that take turns: each is a process of its own, which works when it is told to and waits otherwise.

Both sides of a comparison so meet the same noise of the machine, and neither the threads nor the memory of the other.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

T = TypeVar("T")
# Every process is forked from one that has done these slow imports already and nothing else.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["torch", "torchvision", "pytorch_lightning", "kornia.color", "skimage.color"])


@dataclass(frozen=True)
class Turn:
    """What a turn took.

    Attributes:
        seconds: wall-clock time of its steps.
        waiting: the part of it in which the next batch was waited for.
    """

    seconds: float
    waiting: float


@dataclass(frozen=True)
class Pace:
    """Hands out a contender's batches when its turn has come, and takes the time until they are used up."""

    pipe: Connection
    device: str

    def _synchronize(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def __call__(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches, for ever; between turns ``next`` blocks."""
        stock = iter(batches)
        while True:
            lead, steps = self.pipe.recv()
            for _ in range(lead):
                yield next(stock)
            self._synchronize()
            start, waiting = time.perf_counter(), 0.0
            for _ in range(steps):
                asked = time.perf_counter()
                batch = next(stock)
                waiting += time.perf_counter() - asked
                yield batch
            self._synchronize()
            self.pipe.send(Turn(time.perf_counter() - start, waiting))


Contender = Callable[[Pace], None]


class Side:
    """A contender in its process.

    Args:
        contender: goes through the batches that a :class:`Pace` hands out; must be picklable.
        device: what it computes on.
        threads: of its process, for arithmetic.
        log: the file that gets what it prints.
    """

    def __init__(self, contender: Contender, device: str, threads: int, log: Path) -> None:
        self._log = log
        self._pipe, theirs = PROCESSES.Pipe()
        work = contender, Pace(theirs, device), threads, log, multiprocessing.get_start_method()
        self._process = PROCESSES.Process(target=_work, args=work)
        self._process.start()
        theirs.close()  # so that its end is noticed here

    def turn(self, steps: int, lead: int = 0) -> Turn:
        """Let it go so many steps, after others whose time does not count.

        Raises:
            RuntimeError: it failed; with what it printed.
        """
        try:
            self._pipe.send((lead, steps))
            return self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            ended = f"{self._log.stem} ended with exit code {self._process.exitcode} (−9: perhaps for lack of memory)"
            raise RuntimeError(f"{ended}:\n{self._log.read_text()}") from error

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()


def _work(contender: Contender, pace: Pace, threads: int, log: Path, start_method: str) -> None:
    """A contender's process; what it starts itself begins as in a program of its own."""
    multiprocessing.set_start_method(start_method, force=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    torch.set_num_threads(threads)
    contender(pace)


def take_turns(
    contenders: dict[str, Contender],
    device: str,
    threads: int,
    turns: int,
    steps: int,
    lead: int,
    folder: Path,
    bar: tqdm,
) -> dict[str, list[Turn]]:
    """The turns of every contender: the first's, the second's, …, the first's again; a round before is to warm up."""
    with ExitStack() as ends:
        sides = {}
        for name, contender in contenders.items():
            sides[name] = Side(contender, device, threads, folder / f"{name}.log")
            ends.callback(sides[name].stop)
        taken: dict[str, list[Turn]] = {name: [] for name in sides}
        for turn in range(turns + 1):
            for name, side in sides.items():
                bar.set_postfix_str(name)
                done = side.turn(steps, lead)
                if turn:
                    taken[name].append(done)
                bar.update()
        return taken
