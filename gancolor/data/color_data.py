"""The data of a training run: a source, how its pictures are cut, and how they are batched."""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gancolor.data.augment import Augment
from gancolor.data.images import TrainImages, ValImages, none_readable, seeded
from gancolor.data.lists import Part, exclusions
from gancolor.data.loader import Reader, TrainLoader, ValLoader
from gancolor.errors import InputError
from gancolor.interfaces import Source, Split

_PIX2PIX = 286 / 256  # load size over crop size, Isola et al. 2017, section 6.2
_SPLITS = {"train": "training", "val": "validation"}

_log = logging.getLogger("gancolor")


class ColorData:
    """Photographs for training and validation. Constructing it touches no disk.

    Attributes:
        unreadable: the images met so far that cannot be used, with the reason; each is named in the log once.

    Args:
        source: where the photographs come from.
        size: side of the square pictures, in pixels.
        load_size: short side that a training picture is resized to before its random crop; by default 286/256 of
            ``size``, as in pix2pix.
        batch_size: images of one optimizer step, over all GPUs.
        workers: processes that read and cut pictures, for each GPU; 0 reads in the training process.
        prefetch: training batches that each worker reads in advance, and keeps in memory.
        flip: whether every second training picture, by chance, is mirrored.
        rotation: the largest angle, in degrees, that a training picture is turned by.
        jitter: how far brightness, contrast and saturation of a training picture may vary: 0.2 is ±20 %; hue varies
            by up to a tenth of it.
        val_images: validate on this many images, the first ones; by default on all.
        exclude: a text file with one name a line, as the source has it, of training images to leave out; blank lines
            and lines that begin with ``#`` are skipped. ``gancolor doctor`` writes one. Validation images stay, so
            that runs with different lists can be compared.
        seed: of order and crops.
    """

    def __init__(
        self,
        source: Source,
        size: int = 256,
        load_size: int | None = None,
        batch_size: int = 16,
        workers: int = 2,
        prefetch: int = 2,
        flip: bool = True,
        rotation: float = 0.0,
        jitter: float = 0.0,
        val_images: int | None = None,
        exclude: str | None = None,
        seed: int = 0,
    ) -> None:
        self.source = source
        self.size = size
        self.load_size = load_size
        self.batch_size = batch_size
        self.workers = workers
        self.prefetch = prefetch
        self.flip = flip
        self.rotation = rotation
        self.jitter = jitter
        self.val_images = val_images
        self.exclude = exclude
        self.seed = seed
        self.unreadable: dict[str, str] = {}
        self._check()

    def train_loader(self) -> TrainLoader:
        """Shuffled, augmented batches.

        Raises:
            FileNotFoundError: a folder or a list does not exist.
            InputError: fewer images than one batch, or none that can be used.
        """
        names = self._train_names
        if len(names) < self.batch_size:
            raise InputError(
                f"data.batch_size is {self.batch_size}, but there are only {len(names)} training images: lower it"
            )
        self._centered(names)
        load_size = round(self.size * _PIX2PIX) if self.load_size is None else self.load_size
        augment = Augment(self.size, load_size, self.flip, self.rotation, self.jitter)
        images = TrainImages(self.source, names, augment, self.seed)
        return TrainLoader(images, self.batch_size, self.workers, self.unreadable, self.prefetch)

    def val_loader(self) -> ValLoader:
        """Center crops of the validation images, each exactly once.

        Raises:
            FileNotFoundError: a folder or a list does not exist.
            InputError: there are no validation images, or none that can be used.
        """
        names = self._names("val")
        first = Part(names, range(len(names))[: self.val_images])
        return ValLoader(self._centered(first), self.batch_size, self.workers, self.unreadable)

    def sample(self, images: int) -> Iterator[UInt8[Tensor, "B 3 H W"]]:
        """Batches of center crops of that many training images, or of all, chosen by the seed.

        Every process reads the same ones. Unreadable images are left out.

        Raises:
            FileNotFoundError: a folder or a list does not exist.
            InputError: there are no training images, or none that can be used.
        """
        centered = self._centered(self._train_names)
        chosen = torch.randperm(len(centered), generator=seeded(self.seed))[:images]
        reader = Reader(centered, self.workers, self.unreadable)
        for batch in reader.read(part.tolist() for part in chosen.split(self.batch_size)):
            yield batch.rgb

    def _check(self) -> None:
        """Refuse arguments that cannot work."""
        least = {"size": 16, "load_size": self.size, "batch_size": 1, "val_images": 1, "workers": 0, "prefetch": 1}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise InputError(f"data.{name} is {value}: it must be at least {minimum}")
        for name, maximum in {"rotation": 180, "jitter": 1}.items():
            value = getattr(self, name)
            if not 0 <= value <= maximum:
                raise InputError(f"data.{name} is {value}: it must lie between 0 and {maximum}")

    def _names(self, split: Split) -> Sequence[str]:
        names = self.source.names(split)
        if not names:
            raise InputError(f"data.source has no {_SPLITS[split]} images: give it a folder or a list of them")
        return names

    @cached_property
    def _train_names(self) -> Sequence[str]:
        """The training images that are not excluded."""
        names = self._names("train")
        if self.exclude is None:
            return names
        excluded, unknown = exclusions(self.exclude, names, self.source.names("val"))
        kept = Part(names, np.flatnonzero(np.fromiter((name not in excluded for name in names), bool, len(names))))
        if unknown:
            _log.warning("data.exclude: %d names in %s are no image of data.source", unknown, self.exclude)
        if not kept:
            raise InputError(f"data.exclude: {self.exclude} names all {len(names)} training images; shorten it")
        _log.info("data.exclude: %d of %d training images are left out", len(names) - len(kept), len(names))
        return kept

    def _centered(self, names: Sequence[str]) -> ValImages:
        """The images, once one of them could be read."""
        images = ValImages(self.source, names, self.size)
        unreadable: dict[str, str] = {}
        for index in range(len(images)):
            sample = images[index]
            if sample.rgb is not None:
                return images
            unreadable |= sample.unreadable
        raise none_readable(unreadable)
