"""Photographs on disk, as sources: a folder, ImageNet's layout, Tiny ImageNet's, or lists of files.

Names are POSIX paths relative to the source's root.
"""

import hashlib
import os
from functools import cache, cached_property
from pathlib import Path
from typing import NoReturn

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gancolor.data.decoding import decode
from gancolor.data.lists import numbered
from gancolor.errors import InputError
from gancolor.interfaces import Files, Split

_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow only identifies them; EPS needs Ghostscript


class Folder(Files):
    """All images under a folder, at any depth and in any mix of formats; hidden files and folders are left out.

    Args:
        root: the folder.
        val_root: a folder of validation images, which may lie inside ``root``; its images are then not trained on.
        holdout: without ``val_root``, the share of images in 0…1 that is held out for validation. The choice hangs on
            each relative path alone, so it stays when files are added; of two images or more at least one is held out
            and one is not. 0 trains on everything and leaves no validation images.
    """

    def __init__(self, root: str, val_root: str | None = None, holdout: float = 0.05) -> None:
        if not 0 <= holdout < 1:
            raise InputError(f"data.source.holdout is {holdout}; it must be at least 0 and below 1")
        self.root = root
        self.val_root = val_root
        self.holdout = holdout

    @cached_property
    def _names(self) -> dict[Split, list[str]]:
        root = _folder(self.root, "data.source.root")
        names = _images(root, "data.source.root")
        if self.val_root is None:
            return _hold_out(names, self.holdout)
        val_root = _folder(self.val_root, "data.source.val_root")
        val = [_relative(val_root / name, root) for name in _images(val_root, "data.source.val_root")]
        train = sorted(set(names).difference(val))
        if not train:
            raise FileNotFoundError(f"data.source.root: {root} holds no image that is not under val_root, {val_root}")
        return {"train": train, "val": val}

    def names(self, split: Split) -> list[str]:
        """The images of a split, sorted by path; those of ``val_root`` are named relative to ``root`` too."""
        return self._names[split]

    def path(self, name: str) -> Path:
        """The file of one image."""
        return _at(self.root, name)

    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """Decode one image."""
        return decode(self.path(name), min_side)

    def stored(self, name: str) -> bytes:
        """The file of one image."""
        return self.path(name).read_bytes()

    def stamp(self, name: str) -> str:
        """Size and time of change."""
        return _stamp(self.path(name))


class ImageFolder(Files):
    """Torchvision's layout, as of ImageNet and Imagenette: ``root/train/<class>/…`` and ``root/val/<class>/…``.

    Args:
        root: the folder that holds ``train`` and ``val``.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    @cached_property
    def _names(self) -> dict[Split, list[str]]:
        return _splits(self.root, "train", "val", "train/<class>/… and val/<class>/…")

    def names(self, split: Split) -> list[str]:
        """The images of a split, sorted by path."""
        return self._names[split]

    def path(self, name: str) -> Path:
        """The file of one image."""
        return _at(self.root, name)

    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """Decode one image."""
        return decode(self.path(name), min_side)

    def stored(self, name: str) -> bytes:
        """The file of one image."""
        return self.path(name).read_bytes()

    def stamp(self, name: str) -> str:
        """Size and time of change."""
        return _stamp(self.path(name))


class TinyImageNet(Files):
    """Tiny ImageNet as it is distributed: ``root/train/<wnid>/images/*.JPEG`` and ``root/val/images/*.JPEG``.

    Args:
        root: the folder that holds ``train`` and ``val``, mostly called ``tiny-imagenet-200``.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    @cached_property
    def _names(self) -> dict[Split, list[str]]:
        return _splits(self.root, "train", "val/images", "train/<wnid>/images/… and val/images/…")

    def names(self, split: Split) -> list[str]:
        """The images of a split, sorted by path."""
        return self._names[split]

    def path(self, name: str) -> Path:
        """The file of one image."""
        return _at(self.root, name)

    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """Decode one image."""
        return decode(self.path(name), min_side)

    def stored(self, name: str) -> bytes:
        """The file of one image."""
        return self.path(name).read_bytes()

    def stamp(self, name: str) -> str:
        """Size and time of change."""
        return _stamp(self.path(name))


class ListFile(Files):
    """Images named in text files, one path a line; blank lines and lines that begin with ``#`` are skipped.

    Args:
        train: the list of training images, whose order is kept.
        val: the list of validation images, whose order is kept.
        root: the folder that the listed paths are relative to; by default that of the list of training images.
    """

    def __init__(self, train: str, val: str, root: str | None = None) -> None:
        self.train = train
        self.val = val
        self.root = root

    @property
    def _root(self) -> str:
        return str(Path(self.train).parent) if self.root is None else self.root

    @cached_property
    def _names(self) -> dict[Split, list[str]]:
        root = _folder(self._root, "data.source.root")
        return {
            "train": _listed(self.train, root, "data.source.train"),
            "val": _listed(self.val, root, "data.source.val"),
        }

    def names(self, split: Split) -> list[str]:
        """The images of a split, in the list's order."""
        return self._names[split]

    def path(self, name: str) -> Path:
        """The file of one image."""
        return _at(self._root, name)

    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """Decode one image."""
        return decode(self.path(name), min_side)

    def stored(self, name: str) -> bytes:
        """The file of one image."""
        return self.path(name).read_bytes()

    def stamp(self, name: str) -> str:
        """Size and time of change."""
        return _stamp(self.path(name))


def _at(root: str, name: str) -> Path:
    """Where an image lies; ``../val/a.jpg`` is meant from where root is named, even if that is a symbolic link."""
    return Path(os.path.normpath(Path(root).expanduser() / name))


def _stamp(path: Path) -> str:
    """Size in bytes, and the time of change in nanoseconds."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


@cache  # asking makes Pillow import all its formats
def _suffixes() -> frozenset[str]:
    """Lower-case suffixes of the formats that Pillow decodes."""
    formats = Image.registered_extensions()
    return frozenset(suffix for suffix, name in formats.items() if name in Image.OPEN and name not in _NOT_DECODED)


def _folder(root: str, key: str) -> Path:
    """An existing folder, ``~`` expanded."""
    folder = Path(root).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"{key}: {folder} does not exist; name the folder that holds the photographs")
    if not folder.is_dir():
        raise NotADirectoryError(f"{key}: {folder} is a file; name the folder that holds the photographs")
    return folder


def _images(folder: Path, key: str) -> list[str]:
    """All images under a folder as sorted POSIX paths relative to it; links to folders are followed."""
    images, others = [], 0
    for where, folders, files in os.walk(folder, onerror=_fail, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [name for name in files if not name.startswith(".")]
        found = [name for name in shown if os.path.splitext(name)[1].lower() in _suffixes()]  # noqa: PTH122 (10× Path)
        relative = Path(where).relative_to(folder)
        images += [(relative / name).as_posix() for name in found]
        others += len(shown) - len(found)
    if not images:
        known = " ".join(sorted(_suffixes()))
        raise FileNotFoundError(f"{key}: {folder} holds no image, only {others} other files; images end in {known}")
    return sorted(images)


def _fail(error: OSError) -> NoReturn:
    """Os.walk would pass over a folder that it may not read."""
    raise error


def _relative(path: Path, root: Path) -> str:
    """A POSIX path from root, with ``..`` where it leads outside."""
    return Path(os.path.relpath(path, root)).as_posix()


def _hold_out(names: list[str], share: float) -> dict[Split, list[str]]:
    """Split by a hash of each name: whether one is held out does not depend on the others, but for tiny sets."""
    if share == 0:
        return {"train": names, "val": []}
    ranks = {name: int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8]) / 2**64 for name in names}
    ranked = sorted(names, key=lambda name: ranks[name])
    count = sum(rank < share for rank in ranks.values())
    val = set(ranked[: min(max(count, 1), len(names) - 1)])
    return {"train": [name for name in names if name not in val], "val": sorted(val)}


def _splits(root: str, train: str, val: str, layout: str) -> dict[Split, list[str]]:
    """The images of two subfolders, or an error that says which layout was expected and which one it may be."""
    folder = _folder(root, "data.source.root")
    if not ((folder / train).is_dir() and (folder / val).is_dir()):
        raise FileNotFoundError(f"data.source.root: {folder} does not hold {layout}{_advice(folder)}")

    def names(split: str) -> list[str]:
        return [f"{split}/{name}" for name in _images(folder / split, "data.source.root")]

    return {"train": names(train), "val": names(val)}


def _advice(folder: Path) -> str:
    """What to do instead, from what the folder looks like."""
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        return "; it looks like torchvision's layout: use ImageFolder"
    inner = [child for child in sorted(folder.iterdir()) if (child / "train").is_dir() and (child / "val").is_dir()]
    if inner:
        return f"; its subfolder does: use {inner[0]}"
    return "; use Folder for photographs that lie in any other way"


def _listed(file: str, root: Path, key: str) -> list[str]:
    """The paths that a text file lists; every one must exist."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{key}: {path} does not exist; name a text file with one image path a line")
    names = []
    for number, name in numbered(path):
        if not (root / name).is_file():
            raise FileNotFoundError(f"{key}: {path}, line {number}: {root / name} does not exist")
        names.append(name)
    if not names:
        raise FileNotFoundError(f"{key}: {path} lists no image")
    return names
