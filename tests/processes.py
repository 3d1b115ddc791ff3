"""Several processes side by side, forked from the test's own: no import to wait for."""

import os
import socket
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

SECONDS = 120

# A fork of a process whose autograd has already talked to a GPU cannot differentiate.
forks = pytest.mark.skipif(torch.cuda.is_available(), reason="forks, and CUDA may be in use")


def side_by_side(count: int, work: Callable[[], Any], folder: Path) -> list[Any]:
    """What ``work`` returns on each process, by rank; Lightning's environment finds itself launched."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def one(rank: int) -> None:
        os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        torch.save(work(), folder / f"{rank}.pt")

    running = [get_context("fork").Process(target=one, args=(rank,), daemon=True) for rank in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join(SECONDS)
    assert [process.exitcode for process in running] == [0] * count
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]
