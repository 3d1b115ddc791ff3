"""The pictures of a split as torch data sets: read, cut, and replaced or left out where that is impossible."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from gancolor.data.augment import Augment, center
from gancolor.errors import InputError
from gancolor.interfaces import Source, Unreadable


def seeded(*key: int) -> torch.Generator:
    """A random generator whose numbers are a function of the key."""
    digest = blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


class Sample(NamedTuple):
    """What becomes of one image.

    Attributes:
        rgb: the picture; None if it is left out.
        place: where it stands in the list of names.
        unreadable: the images that were tried in vain, with the reason.
    """

    rgb: UInt8[Tensor, "3 size size"] | None
    place: int
    unreadable: dict[str, str]


class TrainImages(Dataset[Sample]):
    """Augmented images; the next readable one stands in for one that is unreadable, so that batches stay full.

    Args:
        source: where the photographs come from.
        names: the images.
        augment: how a picture is cut.
        seed: of every crop.
    """

    def __init__(self, source: Source, names: Sequence[str], augment: Augment, seed: int) -> None:
        self.source = source
        self.names = names
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """The image of ``(epoch, index)``.

        Raises:
            InputError: not one of all images can be read.
        """
        epoch, start = key
        unreadable: dict[str, str] = {}
        for index in chain(range(start, len(self)), range(start)):
            name = self.names[index]
            try:
                rgb = self.source.read(name, self.augment.min_side)
                return Sample(self.augment(rgb, seeded(self.seed, epoch, start)), index, unreadable)
            except Unreadable as error:
                unreadable[name] = _reason(name, error)
        raise none_readable(unreadable)


class ValImages(Dataset[Sample]):
    """Center crops; an unreadable image is left out.

    Args:
        source: where the photographs come from.
        names: the images.
        size: side of the crop, in pixels.
    """

    def __init__(self, source: Source, names: Sequence[str], size: int) -> None:
        self.source = source
        self.names = names
        self.size = size

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """The image at this place."""
        name = self.names[index]
        try:
            return Sample(center(self.source.read(name, self.size), self.size), index, {})
        except Unreadable as error:
            return Sample(None, index, {name: _reason(name, error)})


def none_readable(unreadable: dict[str, str]) -> InputError:
    """The error when not one image can be read."""
    name, reason = next(iter(unreadable.items()))
    return InputError(f"none of the {len(unreadable)} images can be used; the first is {name}: {reason}")


def _reason(name: str, error: Unreadable) -> str:
    """The message without the image's name, which is reported beside it."""
    message = str(error)
    return message.partition(f"{name}: ")[2] or message
