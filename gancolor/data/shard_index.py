"""The index of tar shards: which photograph lies where. It is mapped into memory, so all processes share one copy.

Of each split, three files: ``train.json`` lists the shards as the ``wids`` library did, ``train.txt`` the photographs'
own paths, one a line, and ``train.npy`` their places, in the same order.
"""

import io
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b, md5
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from gancolor import atomic
from gancolor.errors import InputError
from gancolor.interfaces import Split

SPLITS: tuple[Split, Split] = ("train", "val")
_VERSION = 1  # of the rows, below
_PLACE = np.dtype(
    [
        ("line", "<u8"),  # where its path begins in the list of names, in bytes
        ("shard", "<u4"),
        ("offset", "<u8"),  # where its JPEG file begins in the shard, in bytes
        ("size", "<u4"),
        ("hash", "<u8"),  # of all names, sorted; so not of this row's own
        ("named", "<u4"),  # the row of the name with that hash
    ]
)
_AGAIN = "run `gancolor pack PHOTOGRAPHS FOLDER`, which writes what is missing and keeps what is there"


class Place(NamedTuple):
    """Where a photograph's JPEG file lies.

    Attributes:
        shard: number of the shard.
        offset: its first byte in the shard.
        size: its length in bytes.
    """

    shard: int
    offset: int
    size: int


class Names(Sequence[str]):
    """The names in a mapped list; each becomes a string when it is asked for.

    A million strings would be copied into every forked worker in the end, as reading one writes its reference count.

    Args:
        text: UTF-8, one name a line.
        lines: where each begins, in bytes.
    """

    def __init__(self, text: Shaped[ndarray, " bytes"], lines: Shaped[ndarray, " names"]) -> None:
        self.text = text
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return os.fsdecode(self.encoded(range(len(self))[index]))

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def encoded(self, index: int) -> bytes:
        """A name as it stands in the file."""
        end = self.lines[index + 1] if index + 1 < len(self) else len(self.text)
        return self.text[self.lines[index] : end - 1].tobytes()


class ShardIndex:
    """The index of one split.

    Args:
        folder: where the shards lie.
        split: which of them.
    """

    def __init__(self, folder: Path, split: Split) -> None:
        self.folder = folder
        self.split: Split = split

    @cached_property
    def content(self) -> dict[str, Any]:
        """The JSON file: ``shardlist``, and under ``gancolor`` what only we read.

        Raises:
            FileNotFoundError: it does not exist.
            InputError: it is damaged, or of another version.
        """
        path = self._file(f"{self.split}.json")
        try:
            content = json.loads(path.read_bytes())
            content, version = {key: content[key] for key in ("shardlist", "gancolor")}, content["gancolor"]["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is damaged or not ours ({error}); {_AGAIN}") from error
        if version != _VERSION:
            raise InputError(f"{path} is of version {version}, and this gancolor reads version {_VERSION}; {_AGAIN}")
        return content

    @property
    def shards(self) -> list[dict[str, Any]]:
        """Of each shard ``url``, ``nsamples``, ``filesize`` and ``md5sum``."""
        return self.content["shardlist"]

    def check(self) -> None:
        """See that everything is there, and as long as it was written; the checksums are for ``gancolor verify``.

        Raises:
            FileNotFoundError: a file is missing.
            InputError: a shard or the index is damaged.
        """
        sizes = self.content["gancolor"]["filesize"] | {shard["url"]: shard["filesize"] for shard in self.shards}
        for name, written in sizes.items():
            path = self._file(name)
            size = path.stat().st_size
            if size != written:
                raise InputError(f"{path} has {size} bytes, but was written with {written}; {_AGAIN}")

    def _file(self, name: str) -> Path:
        """An existing file of the index, or a shard."""
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"there is no {path}; {_AGAIN}")
        return path

    @cached_property
    def names(self) -> Sequence[str]:
        """The photographs' own paths, in the order of the source that they were packed from."""
        if not len(self._places):
            return []
        return Names(np.asarray(np.memmap(self.folder / f"{self.split}.txt", np.uint8, "r")), self._places["line"])

    @cached_property
    def _places(self) -> Shaped[ndarray, " names"]:
        return np.asarray(np.load(self.folder / f"{self.split}.npy", mmap_mode="r"))  # memmap itself indexes slowly

    def find(self, name: str) -> Place | None:
        """Where a photograph lies; None if it is none of these."""
        names, hashes, encoded = self.names, self._hashes, os.fsencode(name)
        wanted = _hash(encoded)
        for rank in range(int(np.searchsorted(hashes, wanted)), len(hashes)):
            if hashes[rank] != wanted or not isinstance(names, Names):
                break
            place = self._places[self._places[rank]["named"]]
            if names.encoded(int(self._places[rank]["named"])) == encoded:
                return Place(int(place["shard"]), int(place["offset"]), int(place["size"]))
        return None

    @cached_property
    def _hashes(self) -> Shaped[ndarray, " names"]:
        return np.ascontiguousarray(self._places["hash"])  # or searching would copy them each time


def _hash(name: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(name, digest_size=8).digest(), "little"))


def save_index(
    folder: Path, split: Split, names: Sequence[str], places: Sequence[Place], shards: list[dict[str, Any]], **more: Any
) -> None:
    """Write the three files; the JSON file, which makes them valid, goes first and comes last.

    Args:
        folder: where the shards lie.
        split: which of them.
        names: the photographs' own paths.
        places: where each lies.
        shards: of each ``url``, ``nsamples``, ``filesize`` and ``md5sum``.
        more: whatever else is to be remembered.
    """
    encoded = [os.fsencode(name) for name in names]
    table = np.zeros(len(names), _PLACE)
    table["line"][1:] = np.cumsum([len(name) + 1 for name in encoded])[:-1]
    hashes = np.array([_hash(name) for name in encoded], np.uint64)
    table["named"] = np.argsort(hashes, kind="stable")
    table["hash"] = hashes[table["named"]]
    for column, values in zip(Place._fields, zip(*places, strict=True), strict=False):
        table[column] = values
    rows = io.BytesIO()
    np.save(rows, table)
    files = {f"{split}.txt": b"".join(name + b"\n" for name in encoded), f"{split}.npy": rows.getvalue()}
    (folder / f"{split}.json").unlink(missing_ok=True)
    for name, data in files.items():
        atomic.write(folder / name, data)
    ours = {
        "version": _VERSION,
        "filesize": {name: len(data) for name, data in files.items()},
        "md5sum": {name: md5(data).hexdigest() for name, data in files.items()},
    }
    content = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": split,
        "shardlist": shards,
        "gancolor": {**ours, **more},
    }
    atomic.write(folder / f"{split}.json", json.dumps(content, indent=1).encode())
