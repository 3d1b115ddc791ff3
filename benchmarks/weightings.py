"""Train the quick-start with every way to weigh rare colors, and look at what it makes of ambiguous things.

All rows have the same networks, scenes, order, learning rates and number of images; only the color loss differs, and
the head where it classifies. Only the row that names a GAN plays the game. Each row is trained once a seed, several
trainings at a time, and what is in --work already is not trained again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from math import isnan
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm import tqdm

from benchmarks.ambiguity import Drawn, look
from benchmarks.machine import about
from benchmarks.seeds import over_seeds
from gancolor import arguments
from gancolor.benchmark.rows import half_width
from gancolor.checkpoint import KEY, load, read
from gancolor.color import Lab, gray, lab_to_rgb, rgb_to_lab
from gancolor.data import Scenes
from gancolor.errors import InputError
from gancolor.training.callbacks import panel
from gancolor.training.checkpointing import CHECKPOINTS, LAST

HERE = Path(__file__).parent
ROOT = HERE.parent
QUICKSTART = {"train": 8000, "size": 64}  # its scenes

_LOSSES, _WEIGHTING = "--colorizer.losses", "init_args.weighting"
_BINS = ["--config", "configs/losses/bins.yaml", "--colorizer.generator.init_args.head.init_args.reduction", "2"]
_EVEN = [f"{_LOSSES}.bins.{_WEIGHTING}", "SmoothedPrior", f"{_LOSSES}.bins.{_WEIGHTING}.init_args.uniform", "1"]
_PUBLISHED = ["--config", "configs/losses/rarity_published.yaml"]
_ALONE = ["--config", "configs/adversarial/none.yaml"]
ROWS = {  # what is added to the quick-start
    "L1": ["--config", "configs/losses/l1.yaml", *_ALONE],
    "L1 + GAN": ["--config", "configs/losses/l1.yaml"],
    "MSE": [_LOSSES, '{"mse": {"class_path": "gancolor.losses.MSE", "init_args": {"weight": 100}}}', *_ALONE],
    "published, sum": [*_PUBLISHED, *_ALONE],
    "published, product": [*_PUBLISHED, f"{_LOSSES}.rarity.{_WEIGHTING}.init_args.combine", "product", *_ALONE],
    "theirs, mean 1": ["--config", "configs/losses/rarity.yaml", *_ALONE],
    "smoothed prior": _ALONE,
    "bins, unweighted": [*_BINS, *_EVEN, *_ALONE],
    "bins, rebalanced": [*_BINS, *_ALONE],
}
COLUMNS = {  # number → heading and format
    "psnr": ("PSNR\ndB", "{:.2f}"),
    "rare_recall": ("rare\nrecall", "{:.3f}"),
    "ab_distance": ("ab\ndistance", "{:.3f}"),
    "cf_ratio": ("CF\nratio", "{:.2f}"),
    "saturation of ambiguous": ("saturation:\nambiguous", "{:.2f}"),
    "saturation of cars": ("\ncars", "{:.2f}"),
    "saturation of balloons": ("\nballoons", "{:.2f}"),
    "saturation of leaves": ("\nleaves", "{:.2f}"),
    "saturation of the rest": ("\nthe rest", "{:.2f}"),
    "cars like cars": ("cars\nlike cars", "{:.2f}"),
}

Values = Mapping[str, Sequence[float]]  # number → one a seed


def command(row: str, seed: int, images: int, folder: Path) -> list[str]:
    """What train.py is given for a run; it may be given again, and then goes on."""
    options = ["--colorizer.images", images, "--training.validate_every", images, "--data.workers", 0, "--seed", seed]
    given = ["--config", "configs/quickstart.yaml", *ROWS[row], *options, "--run_dir", folder, "--resume", "auto"]
    return [str(argument) for argument in given]


def train(row: str, seed: int, images: int, folder: Path) -> None:
    """Train, or go on, in a process of its own with one thread.

    Raises:
        RuntimeError: it did not end well; what it said last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "said.txt").open("w") as said:
        ended = subprocess.run(
            [sys.executable, "train.py", *command(row, seed, images, folder)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        raise RuntimeError(f"{row}, seed {seed}: {(folder / 'said.txt').read_text()[-2000:]}")


def trained(folder: Path, images: int) -> bool:
    """Whether a run has seen its images."""
    last = folder / CHECKPOINTS / LAST
    return last.is_file() and read(last)[KEY]["images"] >= images


def train_all(folders: Mapping[tuple[str, int], Path], images: int, jobs: int) -> None:
    """Train what is not trained yet."""
    todo = {key: folder for key, folder in folders.items() if not trained(folder, images)}
    done = len(folders) - len(todo)
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(folders), initial=done, unit="run", desc="training") as bar:
        runs = [pool.submit(train, *key, images, folder) for key, folder in todo.items()]
        try:
            for run in as_completed(runs):
                run.result()
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)


@torch.inference_mode()
def colorize(checkpoint: Path, rgb: UInt8[Tensor, "N 3 H W"]) -> UInt8[Tensor, "N 3 H W"]:
    """The pictures in a trained generator's colors, as a training's validation does it."""
    generator = load(checkpoint).generator
    lights = [rgb_to_lab(some).light for some in rgb.split(50)]
    return torch.cat([lab_to_rgb(Lab(light, generator(light).ab)) for light in lights])


def tell(found: Mapping[str, Values], title: str) -> Table:
    """A row a way to weigh: mean ± half the interval."""
    table = Table("", *[heading for heading, _ in COLUMNS.values()], title=title)
    for row, numbers in found.items():
        cells = []
        for name, (_, form) in COLUMNS.items():
            mean = over_seeds(numbers[name])
            half = half_width(mean)
            cells.append(form.format(mean.value) + ("" if isnan(half) else f" ± {form.format(half)}"))
        table.add_row(row, *cells)
    return table


def main(given: list[str]) -> None:
    """Parse, train, look, show and write."""
    command_line = arguments.parser("benchmarks/weightings.py", "Compare what weighs rare colors, on drawn scenes.")
    option = command_line.add_argument
    option("--rows", type=list[str], default=list(ROWS), help="which, as a JSON list")
    option("--seeds", type=int, default=3, help="trainings of each row; intervals are over them")
    option("--images", type=int, default=8_000, help="length of each training, in images seen")
    option("--scenes", type=int, default=500, help="held-out scenes to evaluate on")
    option("--jobs", type=int, default=4, help="trainings at a time, each with one thread")
    option("--work", type=Path, default=ROOT / "runs" / "weightings", help="folder of the trainings")
    option("--output", type=Path, default=HERE / "results", help="folder for weightings.txt, .json and .png")
    asked = arguments.parse(command_line, given)
    if unknown := set(asked.rows) - set(ROWS):
        raise InputError(f"--rows: there is no {unknown.pop()!r}; there are {', '.join(ROWS)}")
    work = asked.work.resolve() / str(asked.images)
    folders = {
        (row, seed): work / f"{row.replace(' ', '-').replace(',', '')}-{seed}"
        for seed in range(asked.seeds)
        for row in asked.rows
    }
    train_all(folders, asked.images, asked.jobs)
    torch.set_num_threads(1)  # as in the trainings

    scenes = Drawn.held_out(Scenes(**QUICKSTART, val=asked.scenes))
    dull = gray(scenes.rgb)
    found: dict[str, Values] = {"gray": {name: [value] for name, value in look(dull, scenes).items()}}
    shown = scenes.telling(8)
    rows = {"gray": dull[shown]}
    for row in tqdm(asked.rows, desc="looking", unit="row"):
        made = [colorize(folders[row, seed] / CHECKPOINTS / LAST, scenes.rgb) for seed in range(asked.seeds)]
        looks = [look(fake, scenes) for fake in made]
        found[row] = {name: [one[name] for one in looks] for name in looks[0]}
        rows[row] = made[0][shown]
    rows["real"] = scenes.rgb[shown]

    asked.output.mkdir(parents=True, exist_ok=True)
    Image.fromarray(panel(rows)).save(asked.output / "weightings.png")
    described = about("benchmarks/weightings.py", given, 1, ("gancolor", "torch", "pytorch-lightning"))
    title = f"{asked.images} images, {asked.seeds} seeds, {asked.scenes} held-out scenes of 64×64 pixels"
    console = Console(record=True, width=170)
    for key, value in described.items():
        console.print(f"{key}: {value}", highlight=False, soft_wrap=True)
    console.print(tell(found, title))
    content = described | {"added": {row: " ".join(ROWS[row]) for row in asked.rows}, "values": found}
    (asked.output / "weightings.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    console.save_text(str(asked.output / "weightings.txt"))


if __name__ == "__main__":
    main(sys.argv[1:])
