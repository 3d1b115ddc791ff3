"""Text files that name images: one a line; blank lines and lines that begin with ``#`` are skipped."""

from collections.abc import Collection
from pathlib import Path
from posixpath import normpath

from gancolor.errors import InputError


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


def exclusions(file: str, known: Collection[str]) -> tuple[set[str], int]:
    """The images that a text file lists, of those that there are, and how many others it lists.

    ``./a.jpg`` is ``a.jpg``.

    Args:
        file: the list; one that names nothing excludes nothing.
        known: names of all images.

    Raises:
        InputError: there is no such file, or it names only what is not known.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise InputError(f"data.exclude: {path} does not exist; name a text file with one image a line")
    listed = {normpath(name) for _, name in numbered(path, "surrogateescape")}  # file names need not be Unicode
    found = {name for name in known if normpath(name) in listed}
    if listed and not found:
        raise InputError(
            f"data.exclude: none of the {len(listed)} names in {path}, such as {min(listed)}, is an image of "
            f"data.source; its names are like {next(iter(known), 'a.jpg')}"
        )
    return found, len(listed) - len(found)
