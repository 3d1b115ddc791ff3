"""Whose pictures are measured: a trained network's, those in a folder, and the trivial ones."""

import json
import sys
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from gancolor import color, layers
from gancolor.benchmark.photographs import Photographs, some
from gancolor.benchmark.protocol import stem
from gancolor.benchmark.records import digest
from gancolor.checkpoint import describe, load
from gancolor.color import Lab, gray, lab_to_rgb, rgb_to_lab
from gancolor.data import Folder
from gancolor.errors import InputError
from gancolor.features import fingerprint
from gancolor.interfaces import Generator, Source


class Computed(ABC):
    """A candidate whose pictures are computed from the photographs.

    Attributes:
        identity: what its pictures depend on besides the photograph: equal identities make equal pictures.
    """

    identity: str

    @abstractmethod
    def __call__(self, real: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        """Color photographs."""


class Gray(Computed):
    """No color at all: the baseline that a colorizer must beat."""

    identity = "gray"

    def __call__(self, real: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        """The photographs' own lightness."""
        return gray(real)


class HalfSaturated(Computed):
    """The truth with half its chroma: what hedging looks like to each metric."""

    identity = "half-saturated"

    def __call__(self, real: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        """The photographs with a and b halved."""
        lab = rgb_to_lab(real)
        return lab_to_rgb(Lab(lab.light, lab.ab / 2))


class Real(Computed):
    """The photographs themselves."""

    identity = "real"

    def __call__(self, real: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        """The very same tensor."""
        return real


class Colorizer(Computed):
    """What a trained generator makes of the photographs' lightness.

    Args:
        generator: in evaluation mode, on the device of the photographs.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.identity = digest(_code(generator), json.dumps(describe(generator)), fingerprint(generator))

    def __call__(self, real: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        """The predicted color under the photograph's own lightness."""
        light = rgb_to_lab(real).light
        return lab_to_rgb(Lab(light, self.generator(light).ab))


def _code(network: nn.Module) -> str:
    """The source of every module of Python that a network's parts come from, but for torch's own."""
    names = {type(part).__module__ for part in network.modules()}
    own = sorted(name for name in names if name.partition(".")[0] != "torch")
    return "".join(getsource(module) for module in (color, layers, *(sys.modules[name] for name in own)))


@dataclass(frozen=True)
class Stored:
    """A candidate whose pictures lie in a folder.

    Attributes:
        source: where they come from.
        files: photograph → file of its picture.
    """

    source: Source
    files: Mapping[str, str]


def stored(name: str, folder: Path, photographs: Photographs) -> tuple[Stored, list[str]]:
    """A folder's pictures matched with photographs by name, never by order, and the files that match none.

    A picture belongs to a photograph if both have the same path from their roots, or else the same file name; the
    extension does not count.

    Raises:
        InputError: a photograph has no picture, or several.
    """
    try:
        source = Folder(str(folder), holdout=0.0)
        files = source.names("train")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"--candidate {name}: {str(error).partition(': ')[2]}") from error
    by_path, by_stem = defaultdict(list), defaultdict(list)
    for file in files:
        by_path[_path(file)].append(file)
        by_stem[stem(file)].append(file)
    same = {name: by_path.get(_path(name), []) for name in photographs.names}
    owned = {file for found in same.values() for file in found}
    matches = {
        photograph: found or [file for file in by_stem.get(stem(photograph), []) if file not in owned]
        for photograph, found in same.items()
    }
    _refuse_ambiguous(name, matches)
    if missing := [photograph for photograph, found in matches.items() if not found]:
        raise InputError(
            f"--candidate {name}: {len(missing)} of {len(matches)} photographs have no picture in {folder}: "
            f"{some(missing)}. Add them, or give --data a list of the photographs that every candidate has."
        )
    found = {photograph: match[0] for photograph, match in matches.items()}
    return Stored(source, found), sorted(set(files).difference(found.values()))


def _path(name: str) -> str:
    """A file's path without extension, as a name's stem is compared."""
    return str(PurePosixPath(name).with_name(stem(name)))


def _refuse_ambiguous(name: str, matches: Mapping[str, Sequence[str]]) -> None:
    """Raise where it cannot be told which picture is whose."""
    owners: dict[str, str] = {}
    for photograph, found in matches.items():
        if len(found) > 1:
            raise InputError(f"--candidate {name}: {photograph} has several pictures: {some(found)}; keep one")
        for file in found:
            if file in owners:
                raise InputError(
                    f"--candidate {name}: {file} could be of {owners[file]} or of {photograph}: give the pictures "
                    "the photographs' folders too"
                )
            owners[file] = photograph


def trained(path: Path, size: int | None, device: torch.device) -> tuple[Colorizer, int]:
    """A checkpoint's generator, and the size that it was trained at.

    Args:
        path: the checkpoint.
        size: at which it is evaluated; None is the size of the training.
        device: where it goes.

    Raises:
        FileNotFoundError: no such file.
        InputError: no checkpoint, or a size that the network cannot take.
    """
    content = load(path)
    size, stride = size or content.size, content.generator.stride
    if size % stride:
        raise InputError(f"size is {size}: the network of {path} needs a multiple of {stride}")
    return Colorizer(content.generator.to(device)), content.size
