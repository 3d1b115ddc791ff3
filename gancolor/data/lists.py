"""Which images: text files that name them, one a line, and parts of a source's list.

Blank lines and lines that begin with ``#`` are skipped.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from posixpath import normpath
from typing import overload

from jaxtyping import Int
from numpy import ndarray

from gancolor.errors import InputError


class Part(Sequence[str]):
    """Some of a source's names. It holds numbers only: a million strings would be copied into every forked worker.

    Args:
        names: all of them.
        places: where those that are meant stand among them.
    """

    def __init__(self, names: Sequence[str], places: Int[ndarray, " part"] | range) -> None:
        self.names = names
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Part": ...
    def __getitem__(self, index: int | slice) -> "str | Part":
        if isinstance(index, slice):
            return Part(self.names, self.places[index])
        return self.names[int(self.places[index])]


def numbered(path: Path, errors: str = "strict") -> list[tuple[int, str]]:
    """The names that a text file lists, each with the number of its line.

    Args:
        path: the file.
        errors: what becomes of bytes that are not UTF-8; see :func:`open`.

    Raises:
        UnicodeDecodeError: the file is no text.
    """
    lines = enumerate(path.read_text(encoding="utf-8-sig", errors=errors).splitlines(), start=1)
    return [(number, name) for number, line in lines if (name := line.strip()) and not name.startswith("#")]


def exclusions(file: str, *known: Sequence[str]) -> tuple[set[str], int]:
    """The images that a text file lists, of those that there are, and how many others it lists.

    ``./a.jpg`` is ``a.jpg``.

    Args:
        file: the list; one that names nothing excludes nothing.
        known: names of all images, split by split.

    Raises:
        InputError: there is no such file, or it names only what is not known.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"data.exclude: {path} does not exist; name a text file with one image a line")
    listed = {normpath(name) for _, name in numbered(path, "surrogateescape")}  # file names need not be Unicode
    found = {name for name in chain(*known) if normpath(name) in listed}
    if listed and not found:
        raise InputError(
            f"data.exclude: none of the {len(listed)} names in {path}, such as {min(listed)}, is an image of "
            f"data.source; its names are like {next(chain(*known), 'a.jpg')}"
        )
    return found, len(listed) - len(found)
