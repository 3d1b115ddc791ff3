"""Who is compared: gancolor as its users run it, the reference, and a copy of pix2pix's own repository.

Each is compared as a loader alone, as a step on one batch that stays in memory, and as the whole training. A contender
is a function of what all of them share and of a :class:`~benchmarks.turns.Pace`, which hands it its batches.
"""

import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from torch.utils.data import DataLoader

from benchmarks.pix2pix import Photographs, Pix2Pix
from benchmarks.turns import Pace
from gancolor.color import rgb_to_lab
from gancolor.config import Run, parse
from gancolor.data.loader import TrainLoader
from gancolor.interfaces import Batch

CONFIGS = Path(__file__).parent.parent / "configs"
# The same networks and loss as the reference's: configs/pix2pix.yaml has another norm and another loss beside.
OVERLAYS = ["pix2pix.yaml", "losses/l1.yaml"]
SAME = ["--colorizer.discriminator.init_args.norm=batch"]
PACKED = "data/shards.yaml"
LONG = 10**12  # images: validation and the end of the training never come


@dataclass(frozen=True)
class Task:
    """What every contender is given.

    Attributes:
        folder: ``photographs/train`` in it holds the photographs, ``shards`` the same packed; anything may be written
            beside.
        batch: images in a batch.
        size: side of the pictures that the networks see, in pixels.
        workers: processes that read; 0 where a loader is measured alone.
        device: ``cpu`` or ``cuda``.
        repository: the copy of pix2pix's repository, if any.
    """

    folder: Path
    batch: int
    size: int
    workers: int
    device: str
    repository: Path | None

    @property
    def photographs(self) -> Path:
        """Where pix2pix looks for them below its dataroot."""
        return self.folder / "photographs" / "train"

    @property
    def shards(self) -> Path:
        """Where they are packed."""
        return self.folder / "shards"

    @property
    def unpacked(self) -> Path:
        """Where some packed ones lie as files, to be decoded plainly."""
        return self.folder / "unpacked"


# gancolor


def build(task: Task, options: list[str]) -> Run:
    """The run that a user would start with these options; ``FILE.yaml`` is an overlay below ``configs``."""
    given = [f"--config={CONFIGS / option}" if option.endswith(".yaml") else f"--{option}" for option in options]
    base = [f"--config={CONFIGS / overlay}" for overlay in OVERLAYS]
    packed = PACKED in options
    place = {
        "data.source.init_args.root": task.shards if packed else task.photographs,
        **({} if packed else {"data.source.init_args.holdout": 0.001}),
        "data.size": task.size,
        "data.load_size": round(task.size * 286 / 256),
        "data.batch_size": task.batch,
        "data.workers": task.workers,
        "training.accelerator": task.device,
        "training.validate_every": LONG,
        "colorizer.images": LONG,
        "run_dir": mkdtemp(dir=task.folder),
    }
    return parse([*base, *SAME, *given, *(f"--{key}={value}" for key, value in place.items())])


@dataclass(frozen=True)
class PacedBatches:
    """A loader that trainer and :class:`~gancolor.data.loader.TrainLoader`'s users take for an endless epoch."""

    batches: Iterable[Batch]
    pace: Pace
    images: Any  # whose names a report of bad losses would give

    def __len__(self) -> int:
        return LONG

    def __iter__(self) -> Iterator[Batch]:
        return self.pace(self.batches)


@dataclass(frozen=True)
class PacedData:
    """A run's data whose training batches come when it is their turn."""

    data: Any
    batches: PacedBatches

    def train_loader(self) -> PacedBatches:
        """In the place of the real one, which may be what they come from."""
        return self.batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)


def our_loader(task: Task, pace: Pace, options: list[str]) -> None:
    """uint8 batches, as they travel to the device."""
    for _ in pace(_endless(build(task, options).data.train_loader())):
        pass


def our_loader_and_lab(task: Task, pace: Pace, options: list[str]) -> None:
    """The same, and their Lab computed on this core too."""
    for batch in pace(_endless(build(task, options).data.train_loader())):
        rgb_to_lab(batch.rgb)


def our_step(task: Task, pace: Pace, options: list[str]) -> None:
    """Trainer's step on one batch: its copy to the device, its Lab, both moves, the log."""
    run = build(task, options)
    loader = run.data.train_loader()
    _fit(run, loader, repeat(next(iter(loader))), pace)


def our_training(task: Task, pace: Pace, options: list[str]) -> None:
    """Everything."""
    run = build(task, options)
    loader = run.data.train_loader()
    _fit(run, loader, _endless(loader), pace)


def _fit(run: Run, loader: TrainLoader, batches: Iterable[Batch], pace: Pace) -> None:
    data: Any = PacedData(run.data, PacedBatches(batches, pace, loader.images))
    run.training.fit(run.colorizer, data, run.run_dir)


# the reference


def reference_loader(task: Task, pace: Pace) -> None:
    """Light and ab, computed by the reader."""
    for _ in pace(_endless(_reference_data(task))):
        pass


def reference_step(task: Task, pace: Pace) -> None:
    """pix2pix's step on one batch."""
    _reference_training(task, repeat(next(iter(_reference_data(task)))), pace)


def reference_training(task: Task, pace: Pace) -> None:
    """Everything."""
    _reference_training(task, _endless(_reference_data(task)), pace)


def _reference_data(task: Task) -> DataLoader:
    return DataLoader(Photographs(task.photographs, task.size), task.batch, shuffle=True, num_workers=task.workers)


def _reference_training(task: Task, batches: Iterable[Any], pace: Pace) -> None:
    model = Pix2Pix(task.device)
    for light, ab in pace(batches):
        model.step(light, ab)


# pix2pix's repository


def repository_loader(task: Task, pace: Pace) -> None:
    """Its loader."""
    for _ in pace(_endless(_repository(task)[0])):
        pass


def repository_step(task: Task, pace: Pace) -> None:
    """Its step on one batch."""
    data, model = _repository(task)
    _repository_training(repeat(next(iter(data))), model, pace)


def repository_training(task: Task, pace: Pace) -> None:
    """Everything, as its train.py has it, but without visualizing."""
    data, model = _repository(task)
    _repository_training(_endless(data), model, pace)


def _repository(task: Task) -> tuple[Any, Any]:
    """Its data and its model, from its own command line; its packages are called data, models and options."""
    sys.path.insert(0, str(task.repository))
    options = {
        "dataroot": task.folder / "photographs",
        "checkpoints_dir": task.folder / "checkpoints",
        "name": "colorization",
        "model": "colorization",
        "dataset_mode": "colorization",
        "netG": "unet_256",
        "batch_size": task.batch,
        "crop_size": task.size,
        "load_size": round(task.size * 286 / 256),
        "num_threads": task.workers,
        "gpu_ids": 0 if task.device == "cuda" else -1,
        "display_id": -1,
    }
    sys.argv = ["train.py", *(f"--{key}={value}" for key, value in options.items())]
    asked = importlib.import_module("options.train_options").TrainOptions().parse()
    data = importlib.import_module("data").create_dataset(asked)
    model = importlib.import_module("models").create_model(asked)
    model.setup(asked)
    return data, model


def _repository_training(batches: Iterable[Any], model: Any, pace: Pace) -> None:
    for batch in pace(batches):
        model.set_input(batch)
        model.optimize_parameters()


def _endless(epochs: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from epochs
