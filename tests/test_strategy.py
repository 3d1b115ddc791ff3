"""Two processes against one: `train.py` as a user starts it, over gloo."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).parents[1]


def write_config(path: Path) -> None:
    """Small networks without noise, and SGD: Adam would blow rounding up to the size of its learning rate."""
    sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e-3}}
    config = {
        "colorizer": {
            "generator": {
                "class_path": "gancolor.generators.UNet",
                "init_args": {"depth": 5, "width": 8, "norm": "group", "dropout": 0.0},
            },
            "discriminator": {
                "class_path": "gancolor.discriminators.PatchGAN",
                "init_args": {"layers": 2, "width": 8, "norm": "group"},
            },
            "adversarial": {"class_path": "gancolor.adversarial.Vanilla"},
            "losses": {
                "l1": {"class_path": "gancolor.losses.L1", "init_args": {"weight": 50.0}},
                "rarity": {"class_path": "gancolor.losses.RarityL1", "init_args": {"weight": 50.0}},
            },
            "generator_optimizer": sgd,
            "discriminator_optimizer": sgd,
            "ema_decay": 0.9,
            "images": 40,  # five steps: later the kinks of ReLU and L1 turn rounding into more than 1e-6
        },
        "data": {
            "source": {"class_path": "gancolor.data.Scenes", "init_args": {"train": 64, "val": 5, "size": 36}},
            "size": 32,
            "load_size": 36,
            "batch_size": 8,
            "workers": 0,
        },
        "training": {"accelerator": "cpu", "validate_every": 24, "log_every": 1},
    }
    path.write_text(yaml.safe_dump(config))


def start(config: Path, run_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "train.py", "--config", config, "--run_dir", run_dir, *options]
    environment = {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(run_dir.parent)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def train(config: Path, run_dir: Path, *options: str, images: int = 40) -> dict[str, torch.Tensor]:
    done = start(config, run_dir, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    content = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert content["gancolor"]["images"] == images
    return content["state_dict"]


def validations(run_dir: Path) -> list[dict[str, float]]:
    with (run_dir / "log" / "version_0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/psnr"]]
    assert rows
    return [{name: float(value) for name, value in row.items() if name.startswith("val/") and value} for row in rows]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("one")
    write_config(folder / "config.yaml")
    return folder, train(folder / "config.yaml", folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", ["1", "2"])
def test_two_processes_equal_one(one: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path, accumulate: str) -> None:
    folder, weights = one
    options = ("--training.devices", "2", "--colorizer.accumulate", accumulate)
    two = train(folder / "config.yaml", tmp_path / "run", *options)
    assert two.keys() == weights.keys()
    assert any(name.startswith("average.") for name in two)
    for name, weight in weights.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
    for ours, theirs in zip(validations(tmp_path / "run"), validations(folder / "run"), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)  # of five images, which two processes cannot share evenly
    assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 3


@pytest.mark.slow
def test_two_processes_go_on_where_one_stopped(one: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path) -> None:
    config, flat = one[0] / "config.yaml", ("--colorizer.decay_from", "1")
    whole = train(config, tmp_path / "whole", *flat)
    train(config, tmp_path / "run", *flat, "--colorizer.images", "24", images=24)
    resumed = train(config, tmp_path / "run", *flat, "--training.devices", "2", "--resume", "last")
    for name, weight in whole.items():
        torch.testing.assert_close(resumed[name], weight, rtol=0, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.slow
def test_fewer_validation_images_than_processes_are_refused(tmp_path: Path) -> None:
    """One process would skip the validation, and the other wait for it for ever."""
    write_config(tmp_path / "config.yaml")
    done = start(tmp_path / "config.yaml", tmp_path / "run", "--training.devices", "2", "--data.val_images", "1")
    assert done.returncode == 1
    assert "there are 1 validation images for 2 processes" in done.stderr
    assert "Traceback" not in done.stderr
