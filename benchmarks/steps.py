"""Commands that need one another, side by side, each with a log of its own; a second run goes on where one stopped."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from tqdm import tqdm

from gancolor import atomic
from gancolor.errors import InputError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        name: that of its log.
        arguments: of Python, which runs in the repository's folder, such as ``("train.py", "--config", …)``.
        after: the steps whose results it needs.
        again: whether to run it though it was done before; it must know itself what is left to do.
    """

    name: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    again: bool = False

    @property
    def line(self) -> str:
        """The command, as typed in the repository's folder."""
        return shlex.join(["python", *self.arguments])


def run(steps: Sequence[Step], folder: Path, jobs: int, threads: int = 1) -> dict[str, str]:
    """Carry out what was not done before; a step that fails takes only those that need it with it.

    Args:
        steps: the steps that one needs come before it.
        folder: for the logs, ``NAME.log``, and what was done, ``NAME.done``, which holds the command.
        jobs: steps at a time.
        threads: of each.

    Returns:
        Step → why it failed; empty if none did.

    Raises:
        InputError: a step was done before by another command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = [step for step in steps if step.again or not _done(step, folder)]
    names = {step.name: step for step in left}
    sorter = TopologicalSorter({step.name: [name for name in step.after if name in names] for step in left})
    sorter.prepare()
    failures: dict[str, str] = {}
    running: dict[Future[str], str] = {}
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(steps), initial=len(steps) - len(left), unit="step") as bar:
        while sorter.is_active():
            for name in sorter.get_ready():
                running[pool.submit(_carry_out, names[name], dict(failures), folder, threads)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                if reason := future.result():
                    failures[name] = reason
                    tqdm.write(f"{name}: {reason}", file=sys.stderr)
                sorter.done(name)
                bar.update()
    return failures


def _done(step: Step, folder: Path) -> bool:
    mark = folder / f"{step.name}.done"
    if not mark.is_file():
        return False
    if (before := mark.read_text().strip()) != step.line:
        raise InputError(f"{mark}: {step.name} was made by another command, {before}; choose another --work")
    return True


def _carry_out(step: Step, failures: Mapping[str, str], folder: Path, threads: int) -> str:
    """Why it failed; nothing if it did not."""
    if lacking := [name for name in step.after if name in failures]:
        return f"not begun, as {' and '.join(lacking)} failed"
    log = folder / f"{step.name}.log"
    with log.open("a") as file:
        file.write(f"$ {step.line}\n")
        file.flush()
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, *step.arguments]
        code = subprocess.run(command, stdout=file, stderr=file, cwd=ROOT, env=environment).returncode
    if code:
        return f"ended with {code}: {_last_line(log)} (see {log}; {step.line})"
    atomic.write(folder / f"{step.name}.done", f"{step.line}\n".encode())
    return ""


def _last_line(log: Path) -> str:
    """What it said last."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()
