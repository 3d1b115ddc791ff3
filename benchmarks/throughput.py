"""Time training against pix2pix's: the loader on one core, the step on one batch, and both together.

Every contender is a process of its own and all take turns, a round of which compares them; medians over the rounds are
told. ``reference`` is pix2pix's loader and step as written in pix2pix.py. The limits are what plain JPEG decoding and
plain matrix products reach in the same rounds; for a step they say how many images a second it would make at the rate
of matrix products, so that its share of them is its model-FLOP utilization.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from benchmarks import contenders, limits, photographs
from benchmarks.contenders import PACKED, Task
from benchmarks.machine import about
from benchmarks.turns import Contender, Turn, take_turns
from gancolor import arguments
from gancolor.errors import InputError

HERE = Path(__file__).parent
SIZE = 256  # pixels
LINKS = 20_000  # to the photographs: no epoch ends while it is timed
READ = 16  # images in a batch where a loader is timed alone; its turn is of four or eight
PREFETCHED = 2  # batches that each worker process reads in advance
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
OURS: dict[str, dict[str, list[str]]] = {  # overlays and options, as a user would give them
    "cpu": {
        "fp32": ["training.channels_last=true", "training.compile=true"],
        "bf16": ["trainer/fast.yaml"],
    },
    "cuda": {"fp32": ["training.compile=true"], "bf16": ["trainer/fast.yaml"]},
}
GOALS = {
    "cpu": {"loader, files": 3.5, "loader, packed": 10.0, "step, fp32": 1.1, "step, bf16": 1.4},
    "cuda": {"training, bf16": 3.0, "training, bf16, packed": 3.0},
}
WAIT_GOAL = 0.05  # share of the time, on a GPU


@dataclass(frozen=True)
class Section:
    """What takes turns together.

    Attributes:
        contenders: by name.
        images: that each has done after a turn; for a limit, as many as it stands for.
        rows: of the table: ours, theirs and the limits of which the highest counts, by name.
        threads: of each process.
        steps: of a turn.
        lead: steps before a turn's, to use up what was read while others had their turn.
    """

    contenders: dict[str, Contender]
    images: dict[str, float]
    rows: list[tuple[str, str, list[str]]]
    threads: int
    steps: int
    lead: int = 0


@dataclass(frozen=True)
class Row:
    """A line of the table; rates are images a second, lists have an entry a round.

    Attributes:
        ours: name of our contender.
        theirs: name of the other.
        limit: name of the limit.
        our_rates: ours.
        their_rates: theirs.
        limit_rates: the limit.
        our_wait: share of our time in which the next batch was waited for.
        their_wait: of theirs.
        goal: for the ratio of the two, if there is one.
    """

    ours: str
    theirs: str
    limit: str
    our_rates: list[float]
    their_rates: list[float]
    limit_rates: list[float]
    our_wait: list[float]
    their_wait: list[float]
    goal: float | None

    @property
    def ratios(self) -> list[float]:
        """How many times faster we are, round by round."""
        return [mine / other for mine, other in zip(self.our_rates, self.their_rates, strict=True)]

    @property
    def shares(self) -> list[float]:
        """Our share of the limit, round by round."""
        return [mine / limit for mine, limit in zip(self.our_rates, self.limit_rates, strict=True)]


def loaders(task: Task, steps: int) -> Section:
    """Loaders on one core, beside plain decoding of the same files."""
    task, batches = replace(task, batch=READ, workers=0), 4 * min(steps, 2)
    sides: dict[str, Contender] = {
        "loader, files": partial(contenders.our_loader, task, options=[]),
        "loader, packed": partial(contenders.our_loader, task, options=[PACKED]),
        "loader and Lab, files": partial(contenders.our_loader_and_lab, task, options=[]),
        "reference": partial(contenders.reference_loader, task),
    }
    if task.repository:
        sides["repository"] = partial(contenders.repository_loader, task)
    folders = {"files": task.photographs, "packed": task.unpacked}
    plain: dict[str, Contender] = {
        f"plain decoding, {kind}, {name}": partial(limits.decode, folder, READ, by)
        for kind, folder in folders.items()
        for name, by in limits.decoders().items()
    }
    rows = [
        (ours, theirs, [name for name in plain if ours.rpartition(", ")[2] in name])
        for theirs in _others(sides)
        for ours in sides
        if ours.startswith("loader")
    ]
    return Section(sides | plain, dict.fromkeys(sides | plain, batches * READ), rows, 1, batches)


def steps_(task: Task, steps: int, threads: int) -> Section:
    """The step on one batch, beside matrix products."""
    task = replace(task, workers=0)
    sides: dict[str, Contender] = {
        f"step, {precision}": partial(contenders.our_step, task, options=options)
        for precision, options in OURS[task.device].items()
    }
    sides["reference"] = partial(contenders.reference_step, task)
    if task.repository:
        sides["repository"] = partial(contenders.repository_step, task)
    return _beside_products(sides, "step", task, steps, threads)


def trainings(task: Task, steps: int, threads: int) -> Section:
    """From files to weights, beside matrix products."""
    options = OURS[task.device]["bf16"]
    sides: dict[str, Contender] = {"training, bf16": partial(contenders.our_training, task, options=options)}
    if task.device == "cuda":  # where the CPUs' decoding can be what limits
        sides["training, bf16, packed"] = partial(contenders.our_training, task, options=[*options, PACKED])
    sides["reference"] = partial(contenders.reference_training, task)
    if task.repository:
        sides["repository"] = partial(contenders.repository_training, task)
    return replace(_beside_products(sides, "training", task, steps, threads), lead=PREFETCHED * task.workers)


def _beside_products(sides: dict[str, Contender], ours: str, task: Task, steps: int, threads: int) -> Section:
    products: dict[str, Contender] = {
        f"matrix products, {name}": partial(limits.multiply, task.device, DTYPES[name])
        for name in DTYPES
        if f"{ours}, {name}" in sides
    }
    worth = steps * limits.multiply_flops(task.device) / limits.step_flops(SIZE)
    images = dict.fromkeys(sides, float(steps * task.batch)) | dict.fromkeys(products, worth)
    rows = [
        (name, theirs, [f"matrix products, {name.split(', ')[1]}"])
        for theirs in _others(sides)
        for name in sides
        if name.startswith(ours)
    ]
    return Section(sides | products, images, rows, threads, steps)


def _others(sides: dict[str, Contender]) -> list[str]:
    return [name for name in ("reference", "repository") if name in sides]


def rows_of(section: Section, taken: dict[str, list[Turn]], goals: dict[str, float]) -> list[Row]:
    """What the turns say."""
    rates = {name: [section.images[name] / turn.seconds for turn in turns] for name, turns in taken.items()}
    waits = {name: [turn.waiting / turn.seconds for turn in turns] for name, turns in taken.items()}
    rows = []
    for ours, theirs, candidates in section.rows:
        limit = max(candidates, key=lambda name: median(rates[name]))
        goal = goals.get(ours) if theirs == "reference" else None
        three = rates[ours], rates[theirs], rates[limit]
        rows.append(Row(ours, theirs, limit, *three, waits[ours], waits[theirs], goal))
    return rows


def show(rows: Sequence[Row], device: str, console: Console) -> None:
    """Print the table."""
    table = Table(
        "", "images/s", "against", "images/s", "times (rounds)", "goal", "limit", "our share", "data wait", "against"
    )
    for row in rows:
        times = median(row.ratios)
        goal = f"≥ {row.goal:g}: {'met' if times >= row.goal else 'missed'}" if row.goal else ""
        wait, other = median(row.our_wait), median(row.their_wait)
        waits = (f"{wait:.1%}", f"{other:.1%}") if row.ours.startswith("training") else ("", "")
        if waits[0] and device == "cuda":
            goal += f"; wait < {WAIT_GOAL:.0%}: {'met' if wait < WAIT_GOAL else 'missed'}"
        table.add_row(
            row.ours,
            f"{median(row.our_rates):.3g}",
            row.theirs,
            f"{median(row.their_rates):.3g}",
            f"{times:.2f} ({min(row.ratios):.2f}–{max(row.ratios):.2f})",
            goal,
            f"{median(row.limit_rates):.3g} {row.limit}",
            f"{median(row.shares):.0%}",
            *waits,
        )
    console.print(table)


def prepare(task: Task, given: Path | None, images: int) -> str:
    """Lay the photographs where all contenders look for them, and pack them; returns what they are."""
    if given:
        found, source = photographs.find(given, images), given.name
    else:
        cuts = task.folder / "cuts"
        cuts.mkdir()
        found, source = photographs.cut(cuts, images), "cuts of those in scikit-image's wheel"
    photographs.link(found, task.photographs, LINKS)
    once = task.folder / "once"
    photographs.link(found, once, LINKS if task.device == "cuda" else max(len(found), 4 * READ))
    size = sum(path.stat().st_size for path in found) / len(found)
    packed = photographs.pack(once, task.shards, task.unpacked)
    return f"{len(found)} JPEG files of {size / 1000:.0f} KB on average, packed {packed / 1000:.0f} KB; {source}"


def measure(task: Task, turns: int, steps: int, threads: int) -> tuple[list[Row], dict]:
    """All sections: the table's rows, and every turn."""
    sections = [loaders(task, steps), steps_(task, steps, threads), trainings(task, steps, threads)]
    rows: list[Row] = []
    everything = {}
    with tqdm(total=sum((turns + 1) * len(section.contenders) for section in sections), unit="turn") as bar:
        for name, section in zip(("loader", "step", "training"), sections, strict=True):
            (task.folder / name).mkdir()
            places = task.device, section.threads, turns, section.steps, section.lead, task.folder / name
            taken = take_turns(section.contenders, *places, bar)
            rows += rows_of(section, taken, GOALS[task.device])
            everything[name] = {who: [asdict(turn) for turn in its] for who, its in taken.items()}
    return rows, everything


def main(given: list[str]) -> None:
    """Parse, time, show and write."""
    command_line = arguments.parser("benchmarks/throughput.py", "Time training against pix2pix's, in turns.")
    option = command_line.add_argument
    cores = len(os.sched_getaffinity(0))
    option("--photographs", type=Path | None, help="folder of JPEG files; by default cut from scikit-image's own")
    option("--images", type=int, default=256, help="how many of them")
    option("--peer", type=Path | None, help="copy of pix2pix's repository, to be timed too")
    option("--device", type=str, default="cpu", help="cpu or cuda")
    option("--batch", type=int | None, help="images of a step; 4 on the CPU, 64 on a GPU")
    option("--threads", type=int, default=cores, help="of each process that trains; those that read have one")
    option("--workers", type=int | None, help="processes that read for a training; 1 on the CPU, 12 on a GPU")
    option("--turns", type=int, default=5, help="of each contender; medians are told")
    option(
        "--steps", type=int | None, help="of a turn; 2 on the CPU, 20 on a GPU; a loader alone reads 64 or 128 images"
    )
    option("--output", type=Path, default=HERE / "results", help="folder for throughput.json and throughput.txt")
    asked = arguments.parse(command_line, given)
    if asked.device not in GOALS:
        raise InputError(f"--device is {asked.device}: it must be cpu or cuda")
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device is here")
    batch, workers, steps = (64, 12, 20) if asked.device == "cuda" else (4, 1, 2)
    workers = workers if asked.workers is None else asked.workers
    batch, steps = asked.batch or batch, asked.steps or steps
    console = Console(record=True, width=180)
    with TemporaryDirectory() as work:
        task = Task(Path(work), batch, SIZE, workers, asked.device, asked.peer)
        pictures = prepare(task, asked.photographs, asked.images)
        rows, turns = measure(task, asked.turns, steps, asked.threads)
    options = "; ".join(f"{name}: {', '.join(given) or 'no more'}" for name, given in OURS[asked.device].items())
    packages = ("gancolor", "torch", "torchvision", "pytorch-lightning", "pillow", "scikit-image")
    described = about("benchmarks/throughput.py", given, asked.threads, packages) | {
        "device": torch.cuda.get_device_name() if asked.device == "cuda" else "CPU",
        "photographs": pictures,
        "step": f"{batch} images of {SIZE}×{SIZE} pixels, {limits.step_flops(SIZE) / 1e9:.1f} GFLOP each; "
        f"{workers} processes read; medians of {asked.turns} rounds, {steps} steps a turn",
        "ours": f"configs/pix2pix.yaml, losses/l1.yaml, batch norm in both networks; {options}",
    }
    for key, value in described.items():
        console.print(f"{key}: {value}", highlight=False, soft_wrap=True)
    show(rows, asked.device, console)
    asked.output.mkdir(parents=True, exist_ok=True)
    result = described | {"rows": [asdict(row) for row in rows], "turns": turns}
    (asked.output / "throughput.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    console.save_text(str(asked.output / "throughput.txt"))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"throughput.py: {error}")
