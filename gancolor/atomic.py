"""Files that are there whole or not at all, whenever the process is killed and whenever the disk is full."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, content: bytes | memoryview, also: Sequence[Path] = (), former: Path | None = None) -> None:
    """Put a new content in a file's place, once the disk has all of it.

    At every instant ``path`` is the old file or the new one, and when it is the new one, the names in ``also`` are too:
    they are hard links, which cost no space.

    Args:
        path: the file.
        content: all of it.
        also: further names of the new file, replaced before it.
        former: a name that keeps the old file.

    Raises:
        OSError: the disk is full, or cannot be written; all files are as they were.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if former is not None and path.exists():
            _name(path, former)
        for name in also:
            _name(part, name)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _name(file: Path, name: Path) -> None:
    """Give a file a further name, taken away from another file in one instant."""
    part = name.with_name(f".{name.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(file, part)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, part)
    try:
        part.replace(name)
    finally:
        part.unlink(missing_ok=True)  # two names of one file are left alone by rename(2)


def _sync_folder(folder: Path) -> None:
    """Have the disk write the names down too; the content alone would not survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
