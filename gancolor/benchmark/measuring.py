"""The loop over the photographs: read, color, measure, keep; by any number of processes, each image exactly once."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from gancolor.benchmark.candidates import Computed, Stored
from gancolor.benchmark.measures import Measure
from gancolor.benchmark.photographs import Cut, Photographs
from gancolor.benchmark.records import Batch, Store, StoredRecords, digest
from gancolor.color import Lab, lab_to_rgb, rgb_to_lab
from gancolor.interfaces import Unreadable


@dataclass(frozen=True)
class Taken:
    """A batch of photographs, read and cut.

    Attributes:
        places: of those that can be used, in the list.
        real: the photographs.
        stored: candidate → its pictures of them.
        unreadable: photograph → why it cannot be used; left out of every row.
        faulty: candidate → photograph → what is wrong with the candidate's picture.
        sides: heights and widths that the photographs had before they were cut.
    """

    places: list[int]
    real: UInt8[Tensor, "B 3 H W"]
    stored: dict[str, UInt8[Tensor, "B 3 H W"]]
    unreadable: dict[str, str]
    faulty: dict[str, dict[str, str]]
    sides: set[tuple[int, int]]


class Reading(Dataset[Taken]):
    """Batches of photographs, with what candidates have on disk of them.

    Args:
        photographs: all of them.
        cut: how they become squares.
        stored: candidates whose pictures lie in folders. A picture has the size of its photograph, and is cut like it,
            or of the square already.
        keep_light: give the candidates' pictures the photographs' own lightness.
    """

    def __init__(
        self, photographs: Photographs, cut: Cut, stored: Mapping[str, Stored], keep_light: bool = False
    ) -> None:
        self.photographs, self.cut, self.stored, self.keep_light = photographs, cut, stored, keep_light

    def __getitem__(self, places: Sequence[int]) -> Taken:
        """The photographs at these places."""
        taken: list[tuple[int, Tensor, dict[str, Tensor]]] = []
        unreadable: dict[str, str] = {}
        faulty: dict[str, dict[str, str]] = {}
        sides: set[tuple[int, int]] = set()
        for place in places:
            name = self.photographs.names[place]
            try:
                real = self.photographs.source.read(name)
            except Unreadable as error:
                unreadable[name] = str(error)
                continue
            sides.add((real.shape[1], real.shape[2]))
            found, wrong = self._found(name, real)
            for candidate, reason in wrong.items():
                faulty.setdefault(candidate, {})[name] = reason
            if not wrong:
                taken.append((place, self.cut(real), found))
        size = self.cut.size
        real = torch.stack([r for _, r, _ in taken]) if taken else torch.empty(0, 3, size, size, dtype=torch.uint8)
        stored = {name: torch.stack([found[name] for *_, found in taken]) for name in self.stored if taken}
        if self.keep_light and taken:
            light = rgb_to_lab(real).light
            stored = {name: lab_to_rgb(Lab(light, rgb_to_lab(fake).ab)) for name, fake in stored.items()}
        return Taken([place for place, *_ in taken], real, stored, unreadable, faulty, sides)

    def _found(self, name: str, real: UInt8[Tensor, "3 H W"]) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The candidates' pictures of a photograph, and what is wrong with others."""
        found, wrong = {}, {}
        for candidate, stored in self.stored.items():
            try:
                picture = stored.source.read(stored.files[name])
            except Unreadable as error:
                wrong[candidate] = str(error)
                continue
            if picture.shape[1:] not in (real.shape[1:], (self.cut.size, self.cut.size)):
                wrong[candidate] = (
                    f"{stored.files[name]} is {_sides(picture)}, but its photograph {_sides(real)}: give it that size, "
                    f"or {self.cut.size}×{self.cut.size}, cut as the photograph is"
                )
            found[candidate] = self.cut(picture)
        return found, wrong


def _sides(picture: UInt8[Tensor, "3 H W"]) -> str:
    return f"{picture.shape[2]}×{picture.shape[1]}"


@dataclass
class Measured:
    """Where everything is that was measured.

    Attributes:
        batches: candidate → what is kept of it.
        places: of the photographs that could be used, in order.
        unreadable: the others, with the reason.
        faulty: candidate → photograph → what is wrong with the candidate's picture.
        sides: heights and widths that the photographs had before they were cut.
    """

    batches: dict[str, list[Batch]]
    places: list[int] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    faulty: dict[str, dict[str, str]] = field(default_factory=dict)
    sides: set[tuple[int, int]] = field(default_factory=set)

    def add(self, other: "Measured | Taken") -> None:
        """Take in what was found on other photographs."""
        self.places += other.places
        self.unreadable |= other.unreadable
        self.sides |= other.sides
        for candidate, wrong in other.faulty.items():
            self.faulty.setdefault(candidate, {}).update(wrong)

    def records(self, candidate: str) -> StoredRecords:
        """What is kept of a candidate."""
        return StoredRecords(self.batches[candidate])


def measure(
    reading: Reading,
    candidates: Mapping[str, Computed | Stored],
    measures: Mapping[str, Sequence[Measure]],
    store: Store,
    device: torch.device,
    batch_size: int,
    workers: int,
) -> Measured:
    """Measure every candidate on every photograph, as far as that is not kept from before.

    Of W processes the r-th takes the batches r, r + W, …; a batch has the same images whatever W is, so every image
    counts once and the numbers are the same.

    Args:
        reading: the photographs.
        candidates: name → whose pictures.
        measures: candidate → what to measure of it.
        store: what was measured before, and where to keep the rest.
        device: where to compute.
        batch_size: images at a time; other batches are other files in the store.
        workers: processes that read.
    """
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    everything = range(len(reading.photographs.names))
    mine = [everything[i : i + batch_size] for i in range(0, len(everything), batch_size)][rank::processes]
    found = Measured({name: [] for name in candidates})
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # float32 is float32, on every GPU
    bar = tqdm(total=sum(map(len, mine)), desc="measuring", unit="img", disable=rank > 0, file=sys.stderr)
    with torch.inference_mode(), exact, bar:
        for places, taken in zip(mine, _read(reading, mine, workers), strict=True):
            found.add(taken)
            if taken.places and not taken.faulty:  # a batch with a fault is measured when that is mended
                for name, batch in _measure(taken, candidates, measures, store, device):
                    found.batches[name].append(batch)
            bar.update(len(places))
    return _gather(found)


def _read(reading: Reading, batches: Sequence[Sequence[int]], workers: int) -> Iterable[Taken]:
    """All batches in order, read ahead by other processes."""
    generator = torch.Generator()  # without one of its own it draws from the global generator
    return DataLoader(reading, batch_size=None, sampler=batches, num_workers=workers, generator=generator)


def _measure(
    taken: Taken,
    candidates: Mapping[str, Computed | Stored],
    measures: Mapping[str, Sequence[Measure]],
    store: Store,
    device: torch.device,
) -> Iterable[tuple[str, Batch]]:
    """One batch of all candidates: what is not kept yet is measured and kept."""
    real = taken.real.to(device)
    real_digest = _pixels(taken.real)
    for name, candidate in candidates.items():
        stored = isinstance(candidate, Stored)
        picture_digest = _pixels(taken.stored[name]) if stored else digest(real_digest, candidate.identity, device.type)
        fake: Tensor | None = None
        files = {}
        for measure in measures[name]:
            key = digest(measure.identity, picture_digest, "" if measure.of_itself else real_digest)
            if not store.path(key).is_file():
                if fake is None:
                    fake = taken.stored[name].to(device) if stored else candidate(real)
                store.keep(key, measure.function(fake, real))
            files |= dict.fromkeys(measure.records, store.path(key))
        yield name, Batch(taken.places, files)


def _pixels(pictures: UInt8[Tensor, "B 3 H W"]) -> str:
    return digest(repr(tuple(pictures.shape)), pictures.contiguous().numpy().tobytes())


def _gather(mine: Measured) -> Measured:
    """What all processes found; each has the whole of it."""
    if not dist.is_initialized():
        return mine
    parts: list[Measured] = [mine] * dist.get_world_size()
    dist.all_gather_object(parts, mine)
    whole = Measured({name: [] for name in mine.batches})
    for part in parts:
        whole.add(part)
        for name, batches in part.batches.items():
            whole.batches[name] += batches
    whole.places.sort()
    return whole
