"""Time evaluate.py against the usual separate tools: FID, LPIPS, SSIM and PSNR of the same PNG files, on the CPU.

The usual tools are ``python -m pytorch_fid``, and LPIPS, SSIM and PSNR pair by pair (separate_tools.py). Both sides run
as commands of their own, in turns, with the same number of threads and the same weights. evaluate.py also measures its
two trivial rows, gray and half-saturated: its first table has three candidates, which the usual tools do one by one.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
import yaml
from jaxtyping import UInt8
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.io import write_png

from benchmarks.machine import about
from gancolor import arguments, features
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.data import Folder, Scenes
from gancolor.data.images import ValImages
from gancolor.features import frechet, perceptual
from gancolor.features.weights import load

HERE = Path(__file__).parent
METRICS = ["fid", "lpips", "ssim", "psnr"]  # what the usual tools measure
SATURATION = {"one": 0.75, "two": 0.25}  # the candidates are the photographs with this share of their chroma
BATCH = 32


@dataclass(frozen=True)
class Run:
    """A finished command.

    Attributes:
        seconds: wall-clock time.
        output: what it printed.
    """

    seconds: float
    output: str


def run(command: Sequence[str | Path], environment: Mapping[str, str]) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with what it printed.
    """
    start = time.perf_counter()
    job = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if job.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{job.stdout}")
    return Run(time.perf_counter() - start, job.stdout)


def write_pictures(folder: Path, photographs: Path | None, images: int, size: int) -> UInt8[Tensor, "N 3 H W"]:
    """The photographs and the candidates as folders of PNG files; returns the photographs."""
    source = Folder(str(photographs), holdout=0.0) if photographs else Scenes(val=images, size=size)
    names = source.names("train" if photographs else "val")[:images]
    real = torch.stack([sample.rgb for sample in ValImages(source, names, size) if sample.rgb is not None])
    lab = rgb_to_lab(real)
    for name, saturation in {"real": 1.0, **SATURATION}.items():
        (folder / name).mkdir()
        pictures = real if saturation == 1 else lab_to_rgb(Lab(lab.light, saturation * lab.ab))
        for index, picture in enumerate(pictures):
            write_png(picture, str(folder / name / f"{index:06d}.png"))
    return real


def write_hub(home: Path, weights: Path | None) -> None:
    """The weights where the usual tools look for them; they want the classifiers too, whose values do not matter."""
    cache = home / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    fid = load(frechet.FID_INCEPTION, weights)
    torch.save(classifier | fid, cache / "pt_inception-2015-12-05-6726825d.pth")
    shapes = {1: (4096, 9216), 4: (4096, 4096), 6: (1000, 4096)}
    classifier = {f"classifier.{n}.weight": torch.zeros(shape) for n, shape in shapes.items()}
    classifier |= {f"classifier.{n}.bias": torch.zeros(shape[0]) for n, shape in shapes.items()}
    torch.save(classifier | load(perceptual.ALEXNET, weights), cache / "alexnet-owt-7be5be79.pth")


def usual(folder: Path, candidate: str, environment: Mapping[str, str]) -> list[Run]:
    """One candidate by the separate tools."""
    pair = [folder / "real", folder / candidate]
    tools = [
        ["-m", "pytorch_fid", "--device", "cpu"],
        *([HERE / "separate_tools.py", t] for t in ("lpips", "similarity")),
    ]
    return [run([sys.executable, *tool, *pair], environment) for tool in tools]


def ours(folder: Path, candidates: Sequence[str], cache: Path, size: int, environment: Mapping[str, str]) -> Run:
    """The candidates by evaluate.py."""
    command = [sys.executable, HERE.parent / "evaluate.py", "--protocol", folder / "folder.yaml", "--size", str(size)]
    command += ["--data", folder / "real", "--output", folder / "results", "--cache", cache, "--device", "cpu"]
    command += ["--batch_size", str(BATCH)]
    return run([*command, *(f"--candidate={name}={folder / name}" for name in candidates)], environment)


@torch.inference_mode()
def networks(real: UInt8[Tensor, "N 3 H W"], weights: Path | None) -> float:
    """Seconds that Inception and LPIPS take for one folder of pictures, with nothing else around them."""
    inception, lpips = features.inception(weights), features.lpips_alex(weights)
    start = time.perf_counter()
    for batch in real.split(BATCH):
        inception(batch)
        activations = lpips.activations(batch)
        lpips.distance(activations, activations)
    return time.perf_counter() - start


def agreement(folder: Path, runs: Sequence[Run]) -> dict[str, list[float]]:
    """Metric → our number for the first candidate and that of the usual tools."""
    theirs = dict(re.findall(r"^(\w+): +([\d.e+-]+)", "\n".join(done.output for done in runs).lower(), re.MULTILINE))
    table = json.loads((folder / "results" / "table.json").read_text())["one"]
    return {metric: [table[metric]["value"], float(theirs[metric])] for metric in METRICS}


def measure(folder: Path, real: UInt8[Tensor, "N 3 H W"], weights: Path | None, threads: int, repeats: int) -> dict:
    """All timings, their medians over the repeats, and what these say."""
    changes = {"OMP_NUM_THREADS": str(threads), "TORCH_HOME": str(folder / "home"), "CUDA_VISIBLE_DEVICES": ""}
    changes |= {"GANCOLOR_WEIGHTS": str(weights.resolve())} if weights else {}
    environment = os.environ | changes
    torch.set_num_threads(threads)
    turns = []
    for repeat in range(repeats):
        separate = usual(folder, "one", environment)
        cache = folder / f"cache{repeat}"
        first, further = (
            ours(folder, names, cache, real.shape[-1], environment) for names in (["one"], ["one", "two"])
        )
        turns.append(
            {
                "usual": sum(done.seconds for done in separate),
                "first": first.seconds,
                "further": further.seconds,
                "networks": networks(real, weights),
                "agreement": agreement(folder, separate),
            }
        )
    middle = {key: median(turn[key] for turn in turns) for key in turns[0] if key != "agreement"}
    return {"median": middle, "turns": turns}


def tell(found: Mapping[str, float], agreed: Mapping[str, list[float]], images: int, console: Console) -> None:
    """Print what the medians say."""
    table = Table("", "seconds", "usual tools", "times faster", "networks' share", title=f"{images} images")
    # Photographs, gray, half-saturated and the candidate pass through the networks; later the new candidate only.
    for label, ours_, theirs, passes in (
        ("first candidate, with two trivial rows", "first", 1, 4),
        ("the same, against three rows of the usual tools", "first", 3, 4),
        ("each further candidate", "further", 1, 1),
    ):
        seconds, usual_seconds = found[ours_], theirs * found["usual"]
        share = passes * found["networks"] / seconds
        row = f"{seconds:.1f}", f"{usual_seconds:.1f}", f"{usual_seconds / seconds:.2f}", f"{share:.0%}"
        table.add_row(label, *row)
    console.print(table)
    for metric, (mine, theirs) in agreed.items():
        console.print(f"{metric}: {mine:.6f}, by the usual tool {theirs:.6f}", highlight=False)


def main(given: list[str]) -> None:
    """Parse, time, show and write."""
    command_line = arguments.parser("benchmarks/evaluation.py", "Time evaluate.py against the usual separate tools.")
    option = command_line.add_argument
    option("--photographs", type=Path | None, help="folder of photographs; by default scenes drawn on the fly")
    option("--images", type=int, default=200, help="how many")
    option("--size", type=int, default=256, help="their side in pixels")
    option("--weights", type=Path | None, help="folder of the weights of Inception and AlexNet")
    option("--threads", type=int, default=2, help="for both sides")
    option("--repeats", type=int, default=3, help="turns; medians are told")
    option("--output", type=Path, default=HERE / "results", help="folder for evaluation.json and evaluation.txt")
    asked = arguments.parse(command_line, given)
    console = Console(record=True, width=120)
    with TemporaryDirectory() as work:
        folder = Path(work)
        real = write_pictures(folder, asked.photographs, asked.images, asked.size)
        write_hub(folder / "home", asked.weights)
        protocol = yaml.safe_load((HERE.parent / "configs" / "benchmark" / "folder.yaml").read_text())
        (folder / "folder.yaml").write_text(yaml.safe_dump(protocol | {"metrics": METRICS}, allow_unicode=True))
        result = measure(folder, real, asked.weights, asked.threads, asked.repeats)
    packages = ("gancolor", "torch", "torchvision", "pytorch-fid", "lpips", "scikit-image")
    described = about("benchmarks/evaluation.py", given, asked.threads, packages) | {
        "pictures": f"{len(real)} of {asked.size}×{asked.size} pixels from {asked.photographs or 'built-in scenes'}",
    }
    for key, value in described.items():
        console.print(f"{key}: {value}", highlight=False, soft_wrap=True)
    tell(result["median"], result["turns"][-1]["agreement"], len(real), console)
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "evaluation.json").write_text(json.dumps(described | result, indent=2, ensure_ascii=False) + "\n")
    console.save_text(str(asked.output / "evaluation.txt"))


if __name__ == "__main__":
    main(sys.argv[1:])
