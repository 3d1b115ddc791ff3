"""Landscapes drawn on the fly, so that a colorizer can be trained without any photographs."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gancolor.data.landscape import landscape
from gancolor.data.paint import Canvas
from gancolor.errors import InputError
from gancolor.interfaces import Source, Split


@dataclass(frozen=True)
class Scene:
    """A drawn picture.

    Attributes:
        rgb: 8-bit sRGB.
        labels: what each pixel shows, a :class:`~gancolor.data.paint.Label`.
    """

    rgb: UInt8[Tensor, "3 H W"]
    labels: UInt8[Tensor, "H W"]


class Scenes(Source):
    """Streets, meadows, fields and coasts, drawn from nothing but their names.

    Every scene is a function of the seed and its name, whatever was drawn before.

    Args:
        train: scenes to train on.
        val: scenes to evaluate on.
        size: their height and width in pixels, at least 16.
        seed: another one gives other scenes.

    Raises:
        InputError: a count or a seed below zero, or a size below 16.
    """

    def __init__(self, train: int = 20000, val: int = 500, size: int = 64, seed: int = 0):
        if min(train, val, seed) < 0:
            raise InputError(f"train={train}, val={val}, seed={seed}: none of them may be negative")
        if size < 16:
            raise InputError(f"size={size}: scenes are at least 16 pixels a side")
        self.train = train
        self.val = val
        self.size = size
        self.seed = seed

    def names(self, split: Split) -> list[str]:
        """``train/000000``, ``train/000001``, … or ``val/…``."""
        count = {"train": self.train, "val": self.val}[split]
        return [f"{split}/{index:06d}" for index in range(count)]

    def read(self, name: str, min_side: int | None = None) -> UInt8[Tensor, "3 H W"]:
        """One scene as 8-bit sRGB, always of the full size: a smaller one would show other textures.

        Raises:
            KeyError: there is no scene of that name.
        """
        return self.draw(name).rgb

    def draw(self, name: str) -> Scene:
        """One scene and what its pixels show.

        Raises:
            KeyError: there is no scene of that name.
        """
        canvas = Canvas.blank(self.size, np.random.default_rng([self.seed, *self._place(name)]))
        landscape(canvas)
        rgb, labels = canvas.develop()
        return Scene(torch.from_numpy(rgb).movedim(2, 0).contiguous(), torch.from_numpy(labels))

    def _place(self, name: str) -> tuple[int, int]:
        """A name as numbers: of its split, and within it."""
        split, _, index = name.partition("/")
        counts = {"train": self.train, "val": self.val}
        if split in counts and index.isdecimal() and int(index) < counts[split] and index == f"{int(index):06d}":
            return list(counts).index(split), int(index)
        raise KeyError(
            f"no scene {name!r}: there are {self.train} from 'train/000000' and {self.val} from 'val/000000'"
        )
