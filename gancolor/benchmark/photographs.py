"""Which photographs an evaluation is over, and how each one is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from gancolor.benchmark.protocol import Images
from gancolor.checkpoint import build
from gancolor.data import Folder, ListFile
from gancolor.errors import InputError
from gancolor.interfaces import Source


@dataclass(frozen=True)
class Photographs:
    """Photographs to evaluate on.

    Attributes:
        source: where they come from.
        names: which of it, in order.
        description: in words, for the report.
    """

    source: Source
    names: Sequence[str]
    description: str


@dataclass(frozen=True)
class Cut:
    """From a photograph of any size to the square that is measured; nothing is refused for being small.

    Attributes:
        size: side of the square, in pixels.
        geometry: ``crop`` takes the largest square in the middle, ``squash`` changes the aspect ratio.
        interpolation: of the resizing.
        antialias: whether a smaller picture averages over all pixels it came from, as Pillow does and OpenCV does not.
    """

    size: int
    geometry: str = "crop"
    interpolation: str = "bicubic"
    antialias: bool = True

    def __call__(self, rgb: UInt8[Tensor, "3 H W"]) -> UInt8[Tensor, "3 size size"]:
        """The square."""
        if rgb.shape[1:] == (self.size, self.size):
            return rgb
        sides = {"crop": [self.size], "squash": [self.size, self.size]}[self.geometry]
        resized = F.resize(rgb, sides, InterpolationMode(self.interpolation), antialias=self.antialias)
        return F.center_crop(resized, [self.size, self.size])


def photographs_at(path: Path) -> Photographs:
    """All images under a folder, or those that a text file lists; of a data set with ``train`` and ``val``, the latter.

    Raises:
        InputError: nothing there, or no images.
    """
    try:
        if path.is_file():
            source: Source = ListFile(str(path), str(path))
            return Photographs(source, source.names("val"), f"the images listed in {path}")
        root = path / "val" if (path / "val").is_dir() and (path / "train").is_dir() else path
        source = Folder(str(root), holdout=0.0)
        return Photographs(source, source.names("train"), f"all images under {root}")
    except UnicodeDecodeError as error:
        raise InputError(f"--data: {path} is neither a folder nor a text file with one image path a line") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = str(error).partition(": ")[2]  # after the name of the source's own argument
        raise InputError(f"--data: {reason}") from error


def validated_on(checkpoint: Path) -> Photographs:
    """The validation images of the run that wrote a checkpoint, as its configuration has them.

    Raises:
        InputError: no configuration beside the checkpoint.
    """
    config = checkpoint.absolute().parents[1] / "config.yaml"
    if not config.is_file():
        raise InputError(f"{checkpoint}: no {config} that says what it was validated on; give --data")
    data = yaml.safe_load(config.read_text())["data"]
    source = build(Source, data["source"])
    return Photographs(source, source.names("val")[: data.get("val_images")], f"the validation images of {config}")


def stem(name: str) -> str:
    """A file's name without folders and extension, by which lists and outputs are matched."""
    return PurePosixPath(name).stem


def select(photographs: Photographs, wanted: Images) -> Photographs:
    """Those that a protocol names, in its order; where it names none, or none of them is here, as many in ours."""
    by_stem = {stem(name): name for name in photographs.names}
    found = [by_stem[name] for name in wanted.rule() if name in by_stem]
    if not found:
        start = max(wanted.first - 1, 0)  # a rule may count from 0
        found = list(photographs.names[start:][: wanted.count])
    some = "" if len(found) == len(photographs.names) else f"{len(found)} of "
    return Photographs(photographs.source, found, some + photographs.description)
