"""Which photographs an evaluation is over, and how each one is cut."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from gancolor.benchmark.protocol import Images, stem
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
        if self.geometry == "crop":
            rgb = F.center_crop(rgb, [min(rgb.shape[1:])] * 2)
        return F.resize(rgb, [self.size] * 2, InterpolationMode(self.interpolation), antialias=self.antialias)


def photographs_at(path: Path, option: str = "--data") -> Photographs:
    """All images under a folder, or those that a text file lists; of a data set with ``train`` and ``val``, the latter.

    Args:
        path: the folder or the file.
        option: what it was given by, for messages.

    Raises:
        InputError: nothing there, no images, or a list that has one twice.
    """
    try:
        if path.is_file():
            source: Source = ListFile(str(path), str(path))
            names = source.names("val")
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise InputError(f"{option}: {path} lists {len(twice)} images more than once: {some(twice)}")
            return Photographs(source, names, f"the images listed in {path}")
        root = path / "val" if (path / "val").is_dir() and (path / "train").is_dir() else path
        source = Folder(str(root), holdout=0.0)
        return Photographs(source, source.names("train"), f"all images under {root}")
    except UnicodeDecodeError as error:
        raise InputError(f"{option}: {path} is neither a folder nor a text file with one image path a line") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = str(error).partition(": ")[2]  # after the name of the source's own argument
        raise InputError(f"{option}: {reason}") from error


def validated_on(checkpoint: Path) -> Photographs:
    """The validation images of the run that wrote a checkpoint, as its configuration has them.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        InputError: no configuration beside it.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint}: there is no such checkpoint")
    config = checkpoint.absolute().parents[1] / "config.yaml"
    if not config.is_file():
        raise InputError(f"{checkpoint}: no {config} that says what it was validated on; give --data")
    data = yaml.safe_load(config.read_text())["data"]
    source = build(Source, data["source"])
    return Photographs(source, source.names("val")[: data.get("val_images")], f"the validation images of {config}")


def some(names: Sequence[str], most: int = 5) -> str:
    """The first few of a list, for a message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def select(photographs: Photographs, wanted: Images) -> Photographs:
    """Those that a protocol names, in its order; where it names none, or none of them is here, as many in ours.

    Raises:
        InputError: a name that the protocol has is that of several files.
    """
    by_stem: dict[str, list[str]] = {}
    for name in photographs.names:
        by_stem.setdefault(stem(name), []).append(name)
    matches = [by_stem[name] for name in wanted.rule() if name in by_stem]
    if several := next((files for files in matches if len(files) > 1), None):
        raise InputError(f"--data: {some(several)} have one name: give the folder that holds only the photographs")
    found = [file for (file,) in matches]
    if not found:
        start = max(wanted.first - 1, 0)  # a rule may count from 0
        found = list(photographs.names[start:][: wanted.count])
    share = "" if len(found) == len(photographs.names) else f"{len(found)} of "
    return Photographs(photographs.source, found, share + photographs.description)
