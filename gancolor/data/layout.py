"""What lies at a place that a user names: the source that fits it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gancolor.data.photographs import Folder, ImageFolder, ListFile
from gancolor.data.shards import Shards
from gancolor.errors import InputError


def found_at(
    place: str, val: str | None = None, holdout: float | None = None
) -> Folder | ImageFolder | ListFile | Shards:
    """The source that a place looks like. Whether it has photographs shows when its names are asked for.

    Args:
        place: a text file with one path a line, shards, a folder with ``train`` and ``val`` in it, or any other.
        val: a folder of validation images, or for a text file another one; by default what ``place`` has itself,
            which for a text file are the same images.
        holdout: of a folder without validation images the share to hold out; by default that of :class:`Folder`.

    Raises:
        InputError: ``holdout`` is no share.
    """
    path = Path(place).expanduser()
    if path.is_file():
        return ListFile(place, val or place)
    if (path / "train.json").is_file() or any(path.glob("train-*.tar")):
        return Shards(place)
    if val is None and (path / "train").is_dir() and (path / "val").is_dir():
        return ImageFolder(place)
    return Folder(place, val) if holdout is None else Folder(place, val, holdout)


@contextmanager
def named(option: str, place: Path) -> Iterator[None]:
    """Find a source, and ask for its names, in here: what is wrong with the place is said of the option that gave it.

    Raises:
        InputError: nothing there, or no images.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{option}: {place} is neither a folder nor a text file with one image path a line") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{option}: {str(error).partition(': ')[2]}") from error
    except InputError as error:
        raise InputError(f"{option}: {str(error).removeprefix('data.source.root: ')}") from error
