"""Every command in the README runs, in its order, as it stands there; only made small and put on the CPU."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import evaluate
import train
from gancolor.apps import cli
from gancolor.data import Scenes

ROOT = Path(__file__).parents[1]
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    for line in block.splitlines()
]
SMALL = {
    "colorizer.generator": "gancolor.generators.UNet",
    "colorizer.generator.depth": "5",
    "colorizer.generator.width": "4",
    "colorizer.discriminator.layers": "1",
    "colorizer.discriminator.width": "4",
    "colorizer.images": "16",
    "data.size": "32",
    "data.load_size": "34",
    "data.batch_size": "8",
    "data.workers": "0",
    "training.accelerator": "cpu",
    "training.devices": "1",
    "training.sync_batchnorm": "false",
    "training.validate_every": "8",
    "training.log_every": "1",
}


PROFILED = {"colorizer.generator.generator.depth": "5", "colorizer.generator.generator.width": "4"}


def small(command: str) -> list[str]:
    told = "configs/generator/profiles.yaml" in command
    options = {k: v for k, v in SMALL.items() if not (told and k.startswith("colorizer.generator"))}
    options |= PROFILED if told else {}
    return [word for key, value in options.items() for word in (f"--{key}", value)]


def run(command: str) -> None:
    program, *words = shlex.split(command)
    if program == "make":
        subprocess.run(["make", "--dry-run", "--directory", ROOT, *words], check=True, capture_output=True)
    elif program == "gancolor":
        sizes = {
            "doctor": ["--size", "32", "--keep", "nearly_gray"],
            "measure": ["--size", "32"],
            "pack": ["--size", "34"],
        }
        cli.main([*words, *([*sizes[words[0]], "--workers", "0"] if words[0] in sizes else [])])
    elif words[0] == "train.py":
        train.main([*words[1:], *(["--colorizer.images", "24"] if "--resume" in words else small(command))])
    else:
        assert words[0] == "evaluate.py"
        evaluate.main([*words[1:], "--workers", "0"])


@pytest.mark.filterwarnings("ignore:W&B cannot be used")  # there is no account here: it goes on offline, and says so
def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, scenes = tmp_path / "photos", Scenes(train=12, val=0, size=40)
    photos.mkdir()
    for i, name in enumerate(scenes.names("train")):
        Image.fromarray(scenes.read(name).permute(1, 2, 0).numpy()).save(photos / f"{i}.png")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for copy in ("unseen", "theirs"):
        shutil.copytree(photos, tmp_path / copy)
    (tmp_path / "no-weights").mkdir()
    for variable, value in {
        "HOME": str(tmp_path),
        "TORCH_HOME": str(tmp_path / "torch"),
        "GANCOLOR_WEIGHTS": str(tmp_path / "no-weights"),
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("GANCOLOR_RUN_DIR", raising=False)
    monkeypatch.setattr("torch.hub.download_url_to_file", _offline)
    monkeypatch.chdir(tmp_path)

    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        run(command.replace("~", str(tmp_path)))

    assert len(list((tmp_path / "runs").glob("*/checkpoints/last.ckpt"))) == 6
    assert len(list((tmp_path / "colorized").glob("*.png"))) == 12
    assert len(list((tmp_path / "choices").glob("*-sheet.png"))) == 12
    assert (tmp_path / "results" / "table.json").is_file()
    assert (tmp_path / "comparison" / "differences.json").is_file()
    assert list((tmp_path / "runs" / "watched" / "wandb").glob("offline-run-*"))


def _offline(*_: object, **__: object) -> None:
    raise OSError("no network in this test")


def test_files_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"\]\(([\w./-]+)\)|`((?:gancolor|configs|docs)/[\w./-]*|[A-Z]+\.md)`", text)
    assert len(named) >= 5
    for path in (link or code for link, code in named):
        assert (ROOT / path).exists(), path
