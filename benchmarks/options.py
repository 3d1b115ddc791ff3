"""Time each of training's speed options: the step on one batch, with one option more from row to row or one exchanged.

All take turns, as in throughput.py; the first is pix2pix's step as written in pix2pix.py. A row that compiles takes
minutes to warm up.
"""

import os
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks import contenders, photographs
from benchmarks.contenders import Task
from benchmarks.turns import Contender, Turn, take_turns
from gancolor import arguments

FUSED = "fused"
BF16 = "training.precision=bf16-mixed"
FP16 = "training.precision=16-mixed"
TF32 = "training.tf32=true"
CHANNELS_LAST = "training.channels_last=true"
BENCHMARK = "training.cudnn_benchmark=true"
COMPILE = "training.compile=true"
OFF = ["training.tf32=false", "training.channels_last=false", "training.cudnn_benchmark=false"]
ROWS = {
    "cpu": [
        [],
        [FUSED],
        [FUSED, CHANNELS_LAST],
        [FUSED, COMPILE],
        [FUSED, CHANNELS_LAST, COMPILE],
        [FUSED, BF16],
        [FUSED, BF16, CHANNELS_LAST],
        [FUSED, BF16, COMPILE],
        [FUSED, BF16, CHANNELS_LAST, COMPILE],
    ],
    "cuda": [
        [],
        [FUSED],
        [FUSED, TF32],
        [FUSED, BF16],
        [FUSED, BF16, CHANNELS_LAST],
        [FUSED, BF16, CHANNELS_LAST, BENCHMARK],
        [FUSED, FP16, CHANNELS_LAST, BENCHMARK],
        [FUSED, BF16, CHANNELS_LAST, BENCHMARK, COMPILE],
    ],
}


def sides(task: Task) -> dict[str, Contender]:
    """The reference, and ours with each set of options."""
    result: dict[str, Contender] = {"reference": partial(contenders.reference_step, task)}
    for row in ROWS[task.device]:
        fused = str(FUSED in row).lower()
        optimizers = [f"colorizer.{role}_optimizer.init_args.fused={fused}" for role in ("generator", "discriminator")]
        given = [*OFF, *optimizers, *(option for option in row if option != FUSED)]
        name = ", ".join(option.removeprefix("training.").removesuffix("=true") for option in row) or "float32"
        result[name] = partial(contenders.our_step, task, options=given)
    return result


def show(taken: dict[str, list[Turn]], images: int) -> None:
    """Print the table: medians over the rounds."""
    table = Table("step", "images/s", "× the reference's (rounds)")
    for name, turns in taken.items():
        times = [r.seconds / turn.seconds for r, turn in zip(taken["reference"], turns, strict=True)]
        rate = images / median(turn.seconds for turn in turns)
        table.add_row(name, f"{rate:.3g}", f"{median(times):.2f} ({min(times):.2f}–{max(times):.2f})")
    Console(width=100).print(table)


def main(given: list[str]) -> None:
    """Parse, time and show."""
    command_line = arguments.parser("benchmarks/options.py", "Time each of training's speed options.")
    option = command_line.add_argument
    option("--device", type=str, default="cpu", help="cpu or cuda")
    option("--batch", type=int, default=4, help="images of a step")
    option("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each process")
    option("--turns", type=int, default=5, help="of each row; medians are told")
    option("--steps", type=int, default=2, help="of a turn")
    asked = arguments.parse(command_line, given)
    with TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "cut").mkdir()
        photographs.link(photographs.cut(folder / "cut", 64), folder / "photographs" / "train", 20_000)
        rows = sides(Task(folder, asked.batch, 256, 0, asked.device, None))
        with tqdm(total=(asked.turns + 1) * len(rows), unit="turn") as bar:
            taken = take_turns(rows, asked.device, asked.threads, asked.turns, asked.steps, 0, folder, bar)
    show(taken, asked.steps * asked.batch)
    print(f"batch {asked.batch}, {asked.device}, {asked.threads} threads, torch {torch.__version__}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
