"""Photographs in the tar shards that ``gancolor pack`` writes, as a source."""

import io
import os
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from gancolor.data.decoding import decode
from gancolor.data.shard_index import SPLITS, Place, ShardIndex
from gancolor.errors import InputError
from gancolor.interfaces import Files, Split, Unreadable


class Shards(Files):
    """Photographs that ``gancolor pack`` has put into tar shards; each is read from its place, whatever the order.

    Args:
        root: the folder of the shards.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        return Shards, (self.root,)  # another process opens the files itself

    @cached_property
    def _indices(self) -> dict[Split, ShardIndex]:
        return {}

    def _index(self, split: Split) -> ShardIndex:
        if split not in self._indices:
            index = ShardIndex(Path(self.root).expanduser(), split)
            try:
                index.check()
            except (FileNotFoundError, InputError) as error:
                raise type(error)(f"data.source.root: {error}") from error
            self._indices[split] = index
        return self._indices[split]

    def names(self, split: Split) -> Sequence[str]:
        """The photographs' own paths, in the order of the source that they were packed from.

        Raises:
            FileNotFoundError: a shard or the index is missing.
            InputError: one of them is damaged.
        """
        return self._index(split).names

    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """Decode one photograph.

        Raises:
            KeyError: there is no photograph of that name.
        """
        shard, place = self._place(name)
        return decode(io.BytesIO(_read(shard, place, name)), min_side, f"{name}: in {shard}")

    def stored(self, name: str) -> bytes:
        """The JPEG file of one photograph.

        Raises:
            KeyError: there is no photograph of that name.
        """
        return _read(*self._place(name), name)

    def stamp(self, name: str) -> str:
        """Shard, place in it, and when the shard was written."""
        shard, place = self._place(name)
        return f"{shard.name} {place.offset} {place.size} {shard.stat().st_mtime_ns}"

    def _place(self, name: str) -> tuple[Path, Place]:
        for split in SPLITS:
            index = self._index(split)
            place = index.find(name)
            if place is not None:
                return index.folder / index.shards[place.shard]["url"], place
        raise KeyError(f"no photograph {name!r} in {self.root}")


class _Opened:
    """A file that is read at any place, and closed when nobody holds it any longer."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


_opened = lru_cache(maxsize=256)(_Opened)  # a process may hold about a thousand files open


def _read(shard: Path, place: Place, name: str) -> bytes:
    """A photograph's JPEG file; ``pread`` keeps no position in the shard, so forked workers may share what is open."""
    try:
        data = os.pread(_opened(shard).descriptor, place.size, place.offset)
    except OSError as error:
        raise Unreadable(f"{name}: in {shard}: {error.strerror}") from error
    if len(data) < place.size:
        raise Unreadable(f"{name}: in {shard}: the shard has been cut off")
    return data
