"""Batches of photographs whose order and crops are functions of (seed, epoch, index) and of nothing else.

That one rule makes a run resume exactly, with any number of worker processes and on any number of GPUs.
"""

import logging
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.distributed
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from gancolor.data.images import Sample, TrainImages, ValImages, seeded
from gancolor.data.workers import handler_kept, outlive_signals
from gancolor.errors import InputError
from gancolor.interfaces import Batch

_NAMED = 20  # unreadable images that are logged by name
_EVERY = 100  # after them, the count is logged this often

_log = logging.getLogger("gancolor")


class _Plan:
    """The batch sampler of a DataLoader, which cannot be exchanged; what it says can be, before each pass."""

    batches: Iterable[list[Any]] = ()

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.batches)


class Reader:
    """Reads batches of a data set in worker processes that live as long as the reader.

    Attributes:
        unreadable: the images met so far that cannot be used, with the reason.

    Args:
        images: what to read.
        workers: number of processes, each with one thread; 0 reads in the calling one.
        unreadable: what other readers of the same source have met, and reported, already; added to.
        prefetch: batches that each of the workers reads in advance.
    """

    def __init__(
        self,
        images: TrainImages | ValImages,
        workers: int,
        unreadable: dict[str, str] | None = None,
        prefetch: int = 2,
    ) -> None:
        self.unreadable = {} if unreadable is None else unreadable
        self._plan = _Plan()
        self._loader = DataLoader(
            images,
            batch_sampler=self._plan,
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=outlive_signals,
            persistent_workers=workers > 0,
            prefetch_factor=prefetch if workers > 0 else None,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # without one of its own it draws from the global generator
        )

    def read(self, batches: Iterable[list[Any]]) -> Iterator[Batch]:
        """Read one batch for each list of the data set's keys; a batch without a readable image is left out."""
        self._plan.batches = batches
        with handler_kept(signal.SIGCHLD):
            passes = iter(self._loader)
        for batch, unreadable in passes:
            for name, reason in unreadable.items():
                self._report(name, reason)
            if batch is not None:
                yield batch

    def _report(self, name: str, reason: str) -> None:
        if name in self.unreadable:
            return
        self.unreadable[name] = reason
        count = len(self.unreadable)
        if count <= _NAMED:
            _log.warning("%s is not used: %s%s", name, reason, " (more are only counted)" if count == _NAMED else "")
        elif count % _EVERY == 0:
            _log.warning("%d images are not used so far", count)


class TrainLoader:
    """Shuffled, augmented batches, one epoch an iteration; the incomplete last batch of an epoch is dropped.

    A batch is that of one optimizer step over *all* processes: each of W processes receives its contiguous W-th of it.
    Lightning saves and restores the place in the data by itself, through ``state_dict`` and ``load_state_dict``.

    Attributes:
        unreadable: the images met so far that cannot be used, with the reason.

    Args:
        images: the training images.
        batch_size: images in a batch, over all processes.
        workers: processes that read.
        unreadable: what other loaders of the same source have met, and reported, already; added to.
        prefetch: batches that each of the workers reads in advance.
    """

    def __init__(
        self,
        images: TrainImages,
        batch_size: int,
        workers: int,
        unreadable: dict[str, str] | None = None,
        prefetch: int = 2,
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.workers = workers
        self._reader = Reader(images, workers, unreadable, prefetch)
        self.unreadable = self._reader.unreadable
        self._epoch = 0
        self._batches = 0  # delivered in this epoch; what workers fetch in advance does not count
        self._announced: int | None = None  # what the trainer calls its epoch

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.images) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the epoch.

        Raises:
            InputError: the batch size is not divisible by the number of processes.
        """
        for batch in self._reader.read(self._keys()):
            # Counted before the step that uses it: a checkpoint of that step must not repeat the batch.
            self._batches += 1
            if self._batches == len(self):
                self._epoch, self._batches = self._epoch + 1, 0
            yield batch

    def state_dict(self) -> dict[str, int | None]:
        """The place in the data, the same on every process: epoch, and how many of its batches are delivered."""
        place = {"epoch": self._epoch, "batches": self._batches, "announced": self._announced}
        return {**place, "images": len(self.images)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to a place; the next iteration starts there.

        Raises:
            InputError: this data has no such place.
        """
        images = state_dict.get("images", len(self.images))  # the first checkpoints do not say
        if state_dict["batches"] and images != len(self.images):  # between two epochs they may change
            raise InputError(
                f"the checkpoint was trained on {images} images, but there are {len(self.images)} now: resume with the "
                "data and the data.exclude that it was trained with, or begin a new run"
            )
        if state_dict["batches"] >= len(self):
            raise InputError(
                f"the checkpoint stands after batch {state_dict['batches']} of an epoch that has only {len(self)} now: "
                "resume with the data and the data.batch_size that it was trained with"
            )
        self._epoch, self._batches = state_dict["epoch"], state_dict["batches"]
        self._announced = state_dict["announced"]

    @property
    def sampler(self) -> "TrainLoader":
        """The loader itself: where Lightning looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Take notice that the trainer begins this epoch, or goes on with it after a restart.

        A new loader goes to that epoch: from a checkpoint of an epoch's end Lightning 2.6 does not restore the place.
        An epoch that the trainer left early (``limit_train_batches``) is not finished. Otherwise the place stands:
        Lightning counts an epoch twice when it restarts at its end with ``max_steps``.
        """
        if self._announced is None:
            self._epoch, self._batches = epoch, 0
        elif epoch != self._announced and self._batches:
            self._epoch, self._batches = self._epoch + 1, 0
        self._announced = epoch

    def _keys(self) -> Iterator[list[tuple[int, int]]]:
        """What is left of the epoch for this process; made as it is read, since an epoch may be of millions."""
        rank, share = _rank_and_share(self.batch_size)
        epoch = self._epoch
        order = torch.randperm(len(self.images), generator=seeded(self.images.seed, epoch))
        batches = order[: len(self) * self.batch_size].view(len(self), -1, share)[self._batches :, rank]
        return ([(epoch, index) for index in batch.tolist()] for batch in batches)


class ValLoader:
    """Center crops in a fixed order, every image exactly once over all processes and never one more.

    Process r of W reads images r, r + W, …; its last batch may be short, and it may have a batch fewer than others.

    Attributes:
        unreadable: the images met so far that are left out, with the reason.

    Args:
        images: the validation images.
        batch_size: images in a batch, over all processes.
        workers: processes that read.
        unreadable: what other loaders of the same source have met, and reported, already; added to.
    """

    def __init__(
        self, images: ValImages, batch_size: int, workers: int, unreadable: dict[str, str] | None = None
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.workers = workers
        self._reader = Reader(images, workers, unreadable)
        self.unreadable = self._reader.unreadable

    def __len__(self) -> int:
        """Batches of this process."""
        return len(self._keys())

    def __iter__(self) -> Iterator[Batch]:
        """All of them, from the first.

        Raises:
            InputError: the batch size is not divisible by the number of processes.
        """
        return self._reader.read(self._keys())

    def _keys(self) -> list[list[int]]:
        rank, share = _rank_and_share(self.batch_size)
        processes = self.batch_size // share
        if len(self.images) < processes:  # one without any would skip the validation, and the others wait for it
            raise InputError(
                f"there are {len(self.images)} validation images for {processes} processes: hold out one for each"
            )
        mine = range(rank, len(self.images), processes)
        return [list(mine[start : start + share]) for start in range(0, len(mine), share)]


def _collate(samples: list[Sample]) -> tuple[Batch | None, dict[str, str]]:
    unreadable = {name: reason for sample in samples for name, reason in sample.unreadable.items()}
    pictures = [sample.rgb for sample in samples if sample.rgb is not None]
    indices = [sample.place for sample in samples if sample.rgb is not None]
    return (Batch(_stack(pictures), torch.tensor(indices)) if pictures else None), unreadable


def _stack(pictures: list[UInt8[Tensor, "3 H W"]]) -> UInt8[Tensor, "B 3 H W"]:
    """One batch, whose pixels stay interleaved in memory as decoders deliver them.

    To take the channels apart costs as much as all cutting and mirroring; ``rgb_to_lab`` does it on the device.
    """
    return torch.stack([rgb.permute(1, 2, 0) for rgb in pictures]).permute(0, 3, 1, 2)


def _rank_and_share(batch_size: int) -> tuple[int, int]:
    """This process's rank, and how many images of a batch each process reads."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, batch_size
    processes = torch.distributed.get_world_size()
    if batch_size % processes:
        raise InputError(f"data.batch_size is {batch_size}: it must be a multiple of the {processes} processes")
    return torch.distributed.get_rank(), batch_size // processes
