"""Train a small run undisturbed, then again with random kills, each resumed by the same command, and compare the two.

What must be equal, bit for bit: the weights, their average, both optimizers' states, the best checkpoint and the log.
After each kill the last checkpoint, or the one that it announces to go on from, must be readable, and what a person can
mend must be said in one line. A kill comes when the progress bar reaches a place drawn at random.
"""

import csv
import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import torch
import yaml
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from gancolor import arguments
from gancolor.checkpoint import KEY, read
from gancolor.errors import InputError
from gancolor.training.checkpointing import BEST, LAST, newest

HERE = Path(__file__).parent
TRAIN = HERE.parent / "train.py"
BAR = re.compile(r"\|\s*([\d.]+)(k?)/[\d.]+k? \[")
TMPFS = 64 * 2**20  # bytes, of which one run's checkpoints take a small part
PATIENCE = 300  # seconds that a training may say nothing, its progress bar included

Kill = Callable[["Leg"], None]


@dataclass
class Leg:
    """One start of the training, until it ends by itself or by us.

    Attributes:
        process: the training.
        checkpoints: where it saves.
        images: seen, by its progress bar.
        said: everything it wrote to standard error.
    """

    process: subprocess.Popen[bytes]
    checkpoints: Path
    images: int = 0
    said: str = ""

    def follow(self, until: float) -> bool:
        """Read its progress bar up to a place; whether it came that far.

        Raises:
            TimeoutError: it said nothing for too long, and was killed.
        """
        while block := self._read():
            self.said += block.decode(errors="replace")
            if places := BAR.findall(self.said[-400:]):
                number, thousand = places[-1]
                self.images = round(float(number) * (1000 if thousand else 1))
                if self.images >= until:
                    return True
        return False

    def end(self) -> int:
        """Wait for its end, and return the exit code.

        Raises:
            TimeoutError: it said nothing for too long, and was killed.
        """
        self.follow(until=float("inf"))
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._give_up()
        finally:
            assert self.process.stderr is not None
            self.process.stderr.close()

    def _read(self) -> bytes:
        """What it says next; nothing when all its processes have ended."""
        assert self.process.stderr is not None
        ready, _, _ = select.select([self.process.stderr], [], [], PATIENCE)
        return os.read(self.process.stderr.fileno(), 65536) if ready else self._give_up()

    def _give_up(self) -> NoReturn:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        raise TimeoutError(f"the training hangs: nothing for {PATIENCE} s after {self.said[-3000:]}")

    @property
    def line(self) -> str:
        """What it said last, without progress bars."""
        lines = [line for line in re.split(r"[\r\n]+", self.said) if line.strip() and "img/s" not in line]
        return lines[-1] if lines else ""


@dataclass(frozen=True)
class Blow:
    """A kind of kill: what is done, and what the training must answer.

    Attributes:
        strike: does it.
        code: the exit code expected; −9 if nothing can answer.
        line: what its last line must begin with.
    """

    strike: Kill
    code: int
    line: str = ""


def to_training(number: int) -> Kill:
    """A signal to the training process alone."""
    return lambda leg: leg.process.send_signal(number)


def to_all(number: int) -> Kill:
    """A signal to all processes of the training, as schedulers and terminals send them."""
    return lambda leg: os.killpg(leg.process.pid, number)


def to_worker(leg: Leg) -> None:
    """SIGKILL to one of the processes that read photographs, as the kernel does when memory is short."""
    pid = leg.process.pid
    while not (workers := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.05)  # it has just begun
    os.kill(int(workers[-1]), signal.SIGKILL)


def fill_disk(leg: Leg) -> None:
    """Leave no room where the checkpoints go."""
    with (leg.checkpoints / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**20))
        except OSError:
            return


STOPPED = "train.py: stopped by"
BLOWS = {
    "SIGTERM": Blow(to_training(signal.SIGTERM), 75, STOPPED),
    "SIGTERM to all": Blow(to_all(signal.SIGTERM), 75, STOPPED),
    "SIGUSR1 to all": Blow(to_all(signal.SIGUSR1), 75, STOPPED),
    "Ctrl-C": Blow(to_all(signal.SIGINT), 130, STOPPED),
    "SIGKILL": Blow(to_all(signal.SIGKILL), -9),
    "SIGKILL again": Blow(to_all(signal.SIGKILL), -9),  # twice as often as others: it is the hardest
    "killed worker": Blow(to_worker, 1, "train.py: a process that reads photographs was lost"),
    "full disk": Blow(fill_disk, 1, "train.py: "),
}


def configuration(photographs: str | None, images: int) -> dict[str, Any]:
    """A run of small networks with everything that has a state: drop-out, batch norm, two Adams, an average."""
    source = {"class_path": "gancolor.data.Scenes", "init_args": {"train": 2000, "val": 40, "size": 36}}
    if photographs:
        layout = "TinyImageNet" if (Path(photographs) / "wnids.txt").is_file() else "Folder"
        source = {"class_path": f"gancolor.data.{layout}", "init_args": {"root": str(Path(photographs).resolve())}}
    return {
        "colorizer": {
            "generator": {
                "class_path": "gancolor.generators.UNet",
                "init_args": {"depth": 5, "width": 8, "dropout": 0.5},
            },
            "discriminator": {"class_path": "gancolor.discriminators.PatchGAN", "init_args": {"layers": 2, "width": 8}},
            "adversarial": {"class_path": "gancolor.adversarial.Vanilla"},
            "losses": {
                "l1": {"class_path": "gancolor.losses.L1", "init_args": {"weight": 50.0}},
                "rarity": {"class_path": "gancolor.losses.RarityL1", "init_args": {"weight": 50.0}},
            },
            "ema_decay": 0.999,
            "images": images,
        },
        "data": {"source": source, "size": 32, "load_size": 36, "batch_size": 8, "workers": 2, "val_images": 40},
        "training": {
            "accelerator": "cpu",
            "measure_images": 64,
            "validate_every": max(8, images // 8),
            "checkpoint_every": max(8, images // 50),
            "log_every": 10,
        },
    }


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs as a folder, which needs root; whether there is one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS}", "tmpfs", folder]
    mounted = sys.platform == "linux" and os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def start(config: Path, run_dir: Path, *options: str, launcher: Sequence[str] = ()) -> Leg:
    """Begin, or go on: it is one command."""
    command = [sys.executable, *launcher, TRAIN, "--config", config, "--run_dir", run_dir, "--resume", "auto", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    return Leg(process, run_dir / "checkpoints")


def differences(left: Any, right: Any, where: str = "") -> Iterator[str]:
    """Where two checkpoints, or two logs, are not the same bit for bit."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left.keys() | right.keys():
            yield from differences(left.get(key), right.get(key), f"{where}/{key}")
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from differences(*pair, f"{where}/{index}")
    elif isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        if not torch.equal(left, right):
            yield where
    elif left != right:
        yield where


def content(run_dir: Path) -> dict[str, Any]:
    """All that must be equal of two runs; of a checkpoint, all but Lightning's account of its own restarts."""
    found: dict[str, Any] = {"log": {}}
    for name in (LAST, BEST):
        kept = ("state_dict", "optimizer_states", "callbacks", KEY)
        checkpoint = read(run_dir / "checkpoints" / name)
        found[name] = {key: checkpoint[key] for key in kept}
    for path in sorted(run_dir.glob("log/version_*/metrics.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                found["log"].setdefault(row["step"], {}).update({k: v for k, v in row.items() if v and _repeats(k)})
    return found


def _repeats(column: str) -> bool:
    """Whether a column of the log is the same in every run: not the speed, nor how Lightning counts epochs."""
    return column != "epoch" and not column.startswith("throughput/")


def kill_and_look(leg: Leg, name: str, place: int, rows: Table) -> bool:
    """Let a leg come to a place, kill it there, and judge what it leaves; whether all is well."""
    if not leg.follow(until=place):
        rows.add_row(name, str(place), "", "", "", f"ended by itself, {leg.end()}: {leg.line}")
        return False
    seen, blow = leg.images, BLOWS[name]
    blow.strike(leg)
    code = leg.end()
    (leg.checkpoints / "filler").unlink(missing_ok=True)
    try:
        last = newest(leg.checkpoints)
    except InputError as error:
        rows.add_row(name, str(seen), "", "", "", str(error))
        return False
    kept = read(last)[KEY]["images"] if last else 0
    well = code == blow.code and leg.line.startswith(blow.line) and "Traceback" not in leg.said
    verdict = "ok" if well else f"exit code {code}: {leg.line}"
    where = "from the start" if last is None else last.name
    rows.add_row(name, str(seen), str(kept), str(max(0, seen - kept)), where, verdict)
    return well


def disturbed(config: Path, run_dir: Path, images: int, kills: int, rng: random.Random, rows: Table) -> bool:
    """A training with kills, resumed to its end; whether every kill was answered rightly."""
    with small_disk(run_dir / "checkpoints") as mounted:
        names = [name for name in BLOWS if mounted or name != "full disk"]
        if not mounted:
            Console(stderr=True).print("no full disks: a tmpfs needs root")
        kinds = rng.sample(names * (kills // len(names) + 1), kills)
        places = sorted(rng.sample(range(images // 100, images - images // 100), kills))
        well = True
        for name, place in tqdm(list(zip(kinds, places, strict=True)), desc="kills", unit="kill"):
            well &= kill_and_look(start(config, run_dir), name, place, rows)
        for _ in range(2):  # to the end, and then once more: a run that is over ends well
            last = start(config, run_dir)
            if last.end():
                raise SystemExit(f"the training did not end well: {last.line}")
        different = list(differences(content(run_dir), content(run_dir.with_name("undisturbed"))))
        Console(width=120).print(rows)
        for where in different:
            Console().print(f"different: {where}", highlight=False)
        return well and not different


def main(given: list[str]) -> None:
    """Parse, train twice, compare."""
    command_line = arguments.parser("benchmarks/kills.py", "Kill a training at random, resume it, compare.")
    command_line.add_argument("--photographs", type=str | None, help="a folder of photographs; by default, scenes")
    command_line.add_argument("--images", type=int, default=12_000, help="length of the training, in images seen")
    command_line.add_argument("--kills", type=int, default=20, help="number of kills")
    command_line.add_argument("--seed", type=int, default=0, help="of kinds and places")
    asked = arguments.parse(command_line, given)
    rows = Table("kill", "images seen", "in the checkpoint", "lost", "goes on with", "verdict")
    with TemporaryDirectory() as folder:
        config, begin = Path(folder) / "kills.yaml", time.monotonic()
        config.write_text(yaml.safe_dump(configuration(asked.photographs, asked.images)))
        whole = start(config, Path(folder) / "undisturbed")
        if whole.end():
            sys.exit(f"the undisturbed training did not end well: {whole.line}")
        undisturbed = time.monotonic() - begin
        well = disturbed(config, Path(folder) / "disturbed", asked.images, asked.kills, random.Random(asked.seed), rows)
        total = time.monotonic() - begin - undisturbed
    say = Console(soft_wrap=True, highlight=False).print
    say(f"{asked.images} images: {undisturbed:.0f} s undisturbed, {total:.0f} s with {asked.kills} kills")
    say("bit-identical, every kill answered" if well else "FAILED")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
