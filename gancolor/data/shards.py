"""Photographs in the tar shards that ``gancolor pack`` writes, as a source."""

import io
import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from gancolor.data.decoding import decode
from gancolor.data.shard_index import ShardIndex
from gancolor.errors import InputError
from gancolor.interfaces import Source, Split, Unreadable


class Shards(Source):
    """Photographs that ``gancolor pack`` has put into tar shards; each is read from its place, whatever the order.

    Args:
        root: the folder of the shards.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        return Shards, (self.root,)  # another process opens the files itself

    @cached_property
    def _folder(self) -> Path:
        return Path(self.root).expanduser()

    @cached_property
    def _train(self) -> ShardIndex:
        return _checked(ShardIndex(self._folder, "train"))

    @cached_property
    def _val(self) -> ShardIndex:
        return _checked(ShardIndex(self._folder, "val"))

    def names(self, split: Split) -> Sequence[str]:
        """The photographs' own paths, in the order of the source that they were packed from.

        Raises:
            FileNotFoundError: a shard or the index is missing.
            InputError: one of them is damaged.
        """
        return {"train": self._train, "val": self._val}[split].names
