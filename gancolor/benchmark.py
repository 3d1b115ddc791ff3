"""A trained generator's row beside the gray baseline's: which images, which numbers, and where they are written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path

import numpy as np
import torch
import yaml
from jaxtyping import UInt8
from PIL import Image
from rich.console import Console
from torch import Tensor
from tqdm import tqdm

from gancolor.callbacks import panel
from gancolor.checkpoint import Trained, build, load
from gancolor.color import Lab, gray, lab_to_rgb, rgb_to_lab
from gancolor.data import Folder, ListFile
from gancolor.data.images import ValImages
from gancolor.data.loader import ValLoader
from gancolor.errors import InputError
from gancolor.features import MissingWeights, inception, lpips_alex
from gancolor.interfaces import Source
from gancolor.metrics import FID, LPIPS, PSNR, SSIM, Colorfulness, Frozen
from gancolor.scores import MetricFactory, Scores, table

FULL_RANK = 2049  # images: with fewer, the covariances of FID's 2,048 features are singular
PANEL = 8  # images in the picture


@dataclass(frozen=True)
class Images:
    """Photographs to evaluate on.

    Attributes:
        source: where they come from.
        names: which of it.
        description: in words, for the report.
    """

    source: Source
    names: list[str]
    description: str


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        values: candidate → metric → value.
        images: how many photographs every value is over.
        missing: metric → why it was not measured.
        description: which photographs, in words.
        unreadable: how many others could not be used.
        picture: the first of them, a row a candidate.
    """

    values: dict[str, dict[str, float]]
    images: int
    missing: dict[str, str]
    description: str
    unreadable: int
    picture: UInt8[np.ndarray, "h w 3"]

    def show(self) -> None:
        """Print the table, and what must be known to read it."""
        console = Console()
        console.print(table(f"{self.images} images: {self.description}", self.values))
        if "fid" not in self.missing:
            console.print("FID is paired: the same images, real and colorized.", highlight=False)
            if self.images < FULL_RANK:
                console.print(f"FID over fewer than {FULL_RANK} images cannot be compared with published ones.")
        if self.unreadable:
            console.print(
                f"{self.unreadable} more images could not be used and are left out; the log above names them."
            )
        for name, reason in self.missing.items():
            console.print(f"{name} was not measured. {reason}", highlight=False, soft_wrap=True)

    def write(self, folder: Path) -> None:
        """Leave ``table.json`` (candidate → metric → value and n) and ``samples.png`` in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            # JSON knows no NaN, which is FID's answer to a single image.
            candidate: {n: {"value": v if isfinite(v) else None, "n": self.images} for n, v in row.items()}
            | {name: {"value": None, "n": 0, "reason": reason} for name, reason in self.missing.items()}
            for candidate, row in self.values.items()
        }
        (folder / "table.json").write_text(json.dumps(content, indent=2) + "\n")
        Image.fromarray(self.picture).save(folder / "samples.png")


def images_at(path: Path) -> Images:
    """All images under a folder, or those that a text file lists; of a data set with ``train`` and ``val``, the latter.

    Raises:
        InputError: nothing there, or no images.
    """
    try:
        if path.is_file():
            source: Source = ListFile(str(path), str(path))
            return Images(source, source.names("val"), f"the images listed in {path}")
        root = path / "val" if (path / "val").is_dir() and (path / "train").is_dir() else path
        source = Folder(str(root), holdout=0.0)
        return Images(source, source.names("train"), f"all images under {root}")
    except UnicodeDecodeError as error:
        raise InputError(f"--data: {path} is neither a folder nor a text file with one image path a line") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = str(error).partition(": ")[2]  # after the name of the source's own argument
        raise InputError(f"--data: {reason}") from error


def validation_images(checkpoint: Path) -> Images:
    """The validation images of the run that wrote a checkpoint, as its configuration has them.

    Raises:
        InputError: no configuration beside the checkpoint.
    """
    config = checkpoint.absolute().parents[1] / "config.yaml"
    if not config.is_file():
        raise InputError(f"{checkpoint}: no {config} that says what it was validated on; give --data")
    data = yaml.safe_load(config.read_text())["data"]
    source = build(Source, data["source"])
    return Images(source, source.names("val")[: data.get("val_images")], f"the validation images of {config}")


def metrics(weights: Path | None) -> tuple[dict[str, MetricFactory], dict[str, str]]:
    """Every metric that can be measured here, and why the others cannot.

    Args:
        weights: folder to look in first for the networks of LPIPS and FID.

    Raises:
        NotADirectoryError: no such folder.
        InputError: a file of weights is damaged.
    """
    found: dict[str, MetricFactory] = {"psnr": PSNR, "ssim": SSIM}
    missing: dict[str, str] = {}
    learned = {"lpips": (lpips_alex, LPIPS), "fid": (inception, FID)}
    for name, (pretrained, metric) in learned.items():
        try:
            found[name] = partial(metric, Frozen(pretrained(weights)))
        except MissingWeights as error:
            missing[name] = str(error)
    found["colorfulness"] = Colorfulness
    found["colorfulness_abs"] = partial(Colorfulness, absolute=True)
    return found, missing


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Attributes:
        size: side of the pictures in pixels: the short side is resized to it, then the center is cropped. None is the
            size of the training.
        images: evaluate on the first so many only.
        batch_size: pictures at a time.
        workers: processes that decode.
        device: where to compute; None takes a GPU if there is one.

    Raises:
        InputError: a number out of its range.
    """

    size: int | None = None
    images: int | None = None
    batch_size: int = 32
    workers: int = 2
    device: str | None = None

    def __post_init__(self) -> None:
        for name, least in {"size": 1, "images": 1, "batch_size": 1, "workers": 0}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"--{name} is {value}: it must be at least {least}")


def run(checkpoint: Path, data: Path | None, weights: Path | None, settings: Settings) -> Report:
    """Evaluate a checkpoint on a folder or list of photographs, or on its run's own validation images.

    Raises:
        InputError: what was given cannot be used.
        FileNotFoundError: no such file or folder.
    """
    trained = load(checkpoint)
    photographs = images_at(data) if data else validation_images(checkpoint)
    found, missing = metrics(weights)
    return evaluate(trained, photographs, found, missing, settings)


@torch.inference_mode()
def evaluate(
    trained: Trained,
    photographs: Images,
    found: Mapping[str, MetricFactory],
    missing: Mapping[str, str],
    settings: Settings,
) -> Report:
    """Colorize every photograph and measure gray, ours and real over the same pixels.

    Raises:
        InputError: a device that is not there, a size that the network cannot take, or no photograph that can be read.
    """
    device = _device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    generator, size = trained.generator.to(device), settings.size or trained.size
    if size % generator.stride:
        raise InputError(f"--size is {size}: this network needs a multiple of {generator.stride}")
    names = photographs.names[: settings.images]
    loader = ValLoader(ValImages(photographs.source, names, size), settings.batch_size, settings.workers)
    of_itself = {name: make for name, make in found.items() if name.startswith("colorfulness")}
    scores = Scores({"gray": found, "ours": found, "real": of_itself})
    rows: dict[str, Tensor] = {}
    for batch in tqdm(loader, desc="evaluating", unit="batch"):
        real = batch.rgb.to(device)
        light = rgb_to_lab(real).light
        fakes = {"gray": gray(real), "ours": lab_to_rgb(Lab(light, generator(light).ab)), "real": real}
        scores.update(real, fakes)
        rows = rows or {name: rgb[:PANEL].cpu() for name, rgb in fakes.items()}
    if not scores.images:
        raise InputError(f"none of {photographs.description} can be read")
    values, picture = scores.compute(), panel(rows)
    return Report(values, scores.images, dict(missing), photographs.description, len(loader.unreadable), picture)


def _device(name: str) -> torch.device:
    """The device, once something could be put on it."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter from a torch built without CUDA
        raise InputError(f"--device {name}: {str(error).splitlines()[0]}") from error
