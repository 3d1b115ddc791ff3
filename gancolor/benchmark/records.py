"""What is kept of every picture: small files on disk, a batch each, named by what their numbers depend on.

The name of a file is a hash of the pixels that were measured (or of the photograph and of whoever colored it) and of
the code and weights that measured them. So whatever is there is right, wherever and for whatever table it was computed:
an evaluation that was cut off goes on, photographs are measured once for all candidates, and a file that changed is
measured again without anybody asking.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO
from weakref import finalize
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gancolor.benchmark.distances import Rows
from gancolor.benchmark.intervals import GROUPS
from gancolor.benchmark.numbers import Records
from gancolor.errors import InputError


def digest(*parts: bytes | str) -> str:
    """A hash of several things, in order."""
    return sha256(b"".join(sha256(p.encode() if isinstance(p, str) else p).digest() for p in parts)).hexdigest()


class Store:
    """Files of records in a folder, which is made when the first is kept.

    Args:
        folder: may be shared by any number of evaluations, also at the same time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the records of a key are or will be."""
        return self.folder / key[:2] / f"{key}.npz"

    def keep(self, key: str, records: Mapping[str, Float[Tensor, "B ..."]]) -> None:
        """Write the records of a batch, all at once or not at all.

        Raises:
            InputError: the folder cannot be written to.
        """
        path = self.path(key)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **{name: value.cpu().numpy() for name, value in records.items()})
            partial.replace(path)
        except OSError as error:
            if partial.is_file():
                partial.unlink()
            raise InputError(
                f"{self.folder} cannot keep what is measured ({error}): name another by --cache"
            ) from error


@dataclass(frozen=True)
class Batch:
    """Where the records of some pictures are.

    Attributes:
        places: of the pictures in the list of photographs.
        files: record → file.
    """

    places: Sequence[int]
    files: Mapping[str, Path]

    def load(self, record: str) -> Float[np.ndarray, "B ..."]:
        """The values of one record.

        Raises:
            InputError: the file is damaged.
        """
        path = self.files[record]
        try:
            with path.open("rb") as file, np.load(file) as content:
                return content[record]
        except (BadZipFile, EOFError, KeyError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error}): delete it and run the same command again") from error


class StoredRows(Rows):
    """A record of one vector an image, read group by group.

    A group has a few rows of every file, and distances read groups hundreds of times. So the first to ask has all rows
    copied, sorted by group, into one temporary file, which goes with the object: 8 kB an image of 2,048 features.

    Args:
        record: its name.
        batches: in the order of the photographs.
    """

    def __init__(self, record: str, batches: Sequence[Batch]) -> None:
        self.record, self.batches = record, batches
        self.images = sum(len(batch.places) for batch in batches)
        sizes = [len(range(number, self.images, GROUPS)) for number in range(GROUPS)]
        self._first = np.cumsum([0, *sizes])  # place of each group's first row when sorted

    def group(self, number: int) -> Float[np.ndarray, "n D"]:
        """Rows ``number``, ``number + GROUPS``, ….

        Raises:
            InputError: a file is damaged, or the temporary folder is full.
        """
        file, length = self._sorted
        first, end = self._first[number : number + 2]
        file.seek(4 * length * first)
        return np.frombuffer(file.read(4 * length * (end - first)), np.float32).reshape(-1, length)

    @cached_property
    def _sorted(self) -> tuple[IO[bytes], int]:
        """The temporary file, and the length of a vector."""
        file, length, start = TemporaryFile(), 0, 0  # noqa: SIM115 (it lives as long as the rows)
        finalize(self, file.close)
        for batch in self.batches:
            vectors = batch.load(self.record).astype(np.float32, copy=False)
            try:
                self._write(file, vectors, start)
            except OSError as error:
                with suppress(OSError):  # no room for the rest of its buffer either
                    file.close()
                raise InputError(
                    f"{gettempdir()} cannot keep {self.record} for a while ({error}): name another by TMPDIR"
                ) from error
            start, length = start + len(vectors), vectors.shape[1]
        return file, length

    def _write(self, file: IO[bytes], vectors: Float[np.ndarray, "B D"], start: int) -> None:
        """Each to its place; ``start`` is the image of the first."""
        for image, vector in enumerate(vectors, start):
            file.seek(vector.nbytes * (self._first[image % GROUPS] + image // GROUPS))
            file.write(vector.tobytes())
        file.flush()  # here, where a full disk is expected


class StoredRecords(Records):
    """All records of one candidate.

    Args:
        batches: any order; sorted by their first places.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.batches = sorted((batch for batch in batches if batch.places), key=lambda batch: batch.places[0])
        self._rows: dict[str, StoredRows] = {}

    def column(self, name: str) -> Float[np.ndarray, " N"]:
        """A record of one number an image."""
        return np.concatenate([batch.load(name) for batch in self.batches])

    def columns(self) -> dict[str, Float[np.ndarray, " N"]]:
        """All records of one number an image."""
        return {name: self.column(name) for name in self.batches[0].files if self.batches[0].load(name).ndim == 1}

    def rows(self, name: str) -> Rows:
        """A record of one vector an image; each time the same object, by which others know it again."""
        return self._rows.setdefault(name, StoredRows(name, self.batches))
