"""A small run with everything that has a state, and what must be the same of two such runs."""

import csv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gancolor.adversarial import Vanilla
from gancolor.checkpoint import read
from gancolor.colorizer import Colorizer
from gancolor.data import ColorData, Scenes
from gancolor.discriminators import PatchGAN
from gancolor.generators import UNet
from gancolor.losses import L1
from gancolor.training import Training
from gancolor.training.checkpointing import newest

IRREGULAR = ("epoch", "throughput/")  # columns of the log: how Lightning counts restarts, and speed
BATCH, EPOCH, IMAGES = 2, 16, 42  # the run ends five batches into its third epoch
VALIDATE, SAVE, LOG = 10, 6, 3  # images, images, batches: they meet at odd places


def fit(run_dir: Path, resume: bool = False, **training: Any) -> None:
    torch.manual_seed(0)
    model = Colorizer(
        UNet(depth=4, width=4, dropout=0.5, norm="group"),
        PatchGAN(layers=1, width=4, norm="group"),
        Vanilla(),
        {"l1": L1(50.0)},
        images=IMAGES,
        ema_decay=0.9,
    )
    data = ColorData(Scenes(train=EPOCH, val=4, size=16), size=16, load_size=18, batch_size=BATCH, workers=0)
    settings = {"validate_every": VALIDATE, "checkpoint_every": SAVE, "log_every": LOG} | training
    Training(accelerator="cpu", **settings).fit(
        model, data, run_dir, newest(run_dir / "checkpoints") if resume else None
    )


def rows(run_dir: Path) -> dict[tuple[int, str], str]:
    """Images seen and column → value, over all versions of a run's log."""
    found: dict[tuple[int, str], str] = {}
    for path in sorted(run_dir.glob("log/version_*/metrics.csv")):
        with path.open() as file:
            for row in csv.DictReader(file):
                kept = {name: value for name, value in row.items() if value and not name.startswith(IRREGULAR)}
                found |= {(int(row["step"]), name): value for name, value in kept.items()}
    return found


def content(path: Path) -> dict[str, Any]:
    """A checkpoint without what counts Lightning's own restarts."""
    return {k: v for k, v in read(path).items() if k not in ("loops", "epoch", "hyper_parameters")}


def assert_same(left: Any, right: Any, where: str = "") -> None:
    assert type(left) is type(right), where
    if isinstance(left, Tensor):
        assert torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    else:
        assert left == right, where


def assert_same_run(left: Path, right: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        assert_same(content(left / "checkpoints" / name), content(right / "checkpoints" / name), name)
    assert rows(left) == rows(right)
    pictures = [{p.name: p.read_bytes() for p in run.glob("samples/*")} for run in (left, right)]
    assert pictures[0] == pictures[1]
