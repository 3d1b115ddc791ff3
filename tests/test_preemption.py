"""Two processes agree to leave, on the CPU and without waiting for one another's signals."""

import os
import signal
from pathlib import Path

import torch.distributed as dist
import torch.multiprocessing as mp

from gancolor.training.preemption import Preemption, exit_code


def test_a_signal_is_noted_and_the_handlers_come_back() -> None:
    preemption = Preemption()
    before = signal.getsignal(signal.SIGUSR1)
    with preemption.watching():
        assert preemption.alone
        assert preemption.agree() == 0
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.agree() == signal.SIGUSR1  # the first one
    assert signal.getsignal(signal.SIGUSR1) == before


def test_exit_codes() -> None:
    assert [exit_code(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == [75, 75, 130]


STEPS, AT = 12, 5


def count(rank: int, folder: str) -> None:
    """Poll like a training; rank 1 alone gets a signal, at its step AT."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    preemption, stopped = Preemption(), STEPS
    with preemption.watching():
        preemption.connect()
        assert not preemption.alone
        for step in range(STEPS):
            if rank == 1 and step == AT:
                os.kill(os.getpid(), signal.SIGTERM)
            if preemption.poll():
                stopped = step
                break
    (Path(folder) / str(rank)).write_text(str(stopped))
    dist.destroy_process_group()


def test_all_processes_stop_at_the_same_step_though_one_got_the_signal(tmp_path: Path) -> None:
    mp.start_processes(count, (str(tmp_path),), nprocs=2, start_method="fork")
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == [str(AT + 1)] * 2
