"""Reading processes under the signals that a scheduler or a terminal sends to a whole job."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from gancolor.data.workers import handler_kept, outlive_signals


class Slow(Dataset):
    """Its items say which process made them."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> int:
        time.sleep(0.02)
        return os.getpid()


@pytest.fixture(autouse=True)
def nobody_watches_children() -> Iterator[None]:
    """As in a fresh process: a DataLoader of an earlier test has left its handler."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGCHLD, before)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_workers_outlive_the_signals_of_others_and_end_at_ours() -> None:
    with handler_kept(signal.SIGCHLD):
        items = iter(DataLoader(Slow(), num_workers=1, worker_init_fn=outlive_signals))
    pid = int(next(items))
    if (shell := os.fork()) == 0:  # somebody else
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            os.kill(pid, number)
        os._exit(0)
    os.waitpid(shell, 0)
    assert {int(item) for item in items} == {pid}
    items = iter(DataLoader(Slow(), num_workers=1, worker_init_fn=outlive_signals))
    pid = int(next(items))
    os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)


def test_a_killed_worker_is_told_at_the_next_batch_and_not_before() -> None:
    before = signal.getsignal(signal.SIGCHLD)
    with handler_kept(signal.SIGCHLD):
        items = iter(DataLoader(Slow(), num_workers=1))
    assert signal.getsignal(signal.SIGCHLD) == before
    os.kill(int(next(items)), signal.SIGKILL)
    time.sleep(0.3)  # nothing is raised here
    assert torch.ones(1).item() == 1
    with pytest.raises((RuntimeError, ConnectionError), match=r"DataLoader worker|refused|reset"):
        list(items)
