"""The last line of a training of several processes: it comes whatever Lightning makes of the dying children."""

import errno
import subprocess
import sys

import pytest

# A first process as Lightning starts it, whose observer looks 50 times as often, so that it always comes in time.
FIRST = """
import errno, os, signal, subprocess, sys, time
from pathlib import Path
from types import SimpleNamespace
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from gancolor.errors import Stopped
from gancolor.training import faults

def slow(folder):
    time.sleep(1)

def end():
    print("child", child.wait(), flush=True)
    time.sleep(1)

faults.newest = slow
launcher = _SubprocessScriptLauncher(LightningEnvironment(), 2, 1)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep({lives}); raise SystemExit({code})"])
launcher.procs.append(child)
_ChildProcessObserver(os.getpid(), launcher.procs, sleep_period=0.1).start()
strategy = SimpleNamespace(launcher=launcher, cluster_environment=LightningEnvironment())
try:
    with faults.one_line(SimpleNamespace(strategy=strategy, is_global_zero=True, local_rank=0), Path("run")):
        {blow}
    print("done", flush=True)
except Stopped as stopped:
    print(stopped, flush=True)
except BaseException as error:
    print(repr(error), flush=True)
end()
"""


def first(blow: str, lives: float = 60.0, code: int = 0) -> list[str]:
    """What the first process says, line by line, in which something happens; and how its child ended."""
    program = FIRST.format(blow=blow, lives=lives, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


FULL = f"raise OSError({errno.ENOSPC}, 'full', 'log.csv')"
LINE = "log.csv cannot be written (full): make room there; nothing was saved yet: begin again"


def test_the_line_is_said_and_the_children_end() -> None:
    assert first(FULL) == [LINE, "child -9"]


def test_the_line_is_said_though_a_child_dies_meanwhile() -> None:
    assert first(FULL, lives=0.5, code=1) == [LINE, "child 1"]


@pytest.mark.parametrize("blow", ["raise KeyError('bug')", "raise RuntimeError('bug')", "raise KeyboardInterrupt()"])
def test_a_mistake_is_not_hidden_and_the_children_end(blow: str) -> None:
    assert first(blow) == [f"{blow.removeprefix('raise ')}", "child -9"]


def test_what_all_processes_agreed_on_ends_each_of_them_by_itself() -> None:
    assert first("raise Stopped('stopped by SIGTERM')", lives=2) == [
        "stopped by SIGTERM; nothing was saved yet: begin again",
        "child 0",
    ]


def test_a_training_that_is_done_waits_for_its_children() -> None:
    assert first("pass", lives=1) == ["done", "child 0"]
