"""Several processes in one test: forked, so that none imports torch again, and started as torchrun would."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import distributed, multiprocessing


def together(count: int, folder: Path, work: Callable[[int], Any], seconds: float = 120) -> list[Any]:
    """What ``work(rank)`` returns in each of ``count`` processes; every failure is raised here, and a hang is one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    started = multiprocessing.start_processes(_worker, (count, port, folder, work), count, False, start_method="fork")
    assert started is not None
    deadline = time.monotonic() + seconds
    while not started.join(timeout=1):
        if time.monotonic() > deadline:
            for process in started.processes:
                process.kill()
            raise TimeoutError(f"{count} processes have not finished in {seconds} s")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def _worker(rank: int, count: int, port: int, folder: Path, work: Callable[[int], Any]) -> None:
    values = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "GROUP_RANK": 0,
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "GROUP_WORLD_SIZE": 1,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "test",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    os.environ.update({name: str(value) for name, value in values.items()})
    rank_zero_only.rank = rank  # Lightning reads it when it is imported, which the parent did long ago
    torch.save(work(rank), folder / f"{rank}.pt")
    if distributed.is_initialized():
        distributed.destroy_process_group()
