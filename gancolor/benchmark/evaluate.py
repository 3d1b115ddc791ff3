"""From what a user asks for to the result: which photographs, whose pictures, measured, and written down as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist

from gancolor.benchmark.candidates import Computed, Gray, HalfSaturated, Real, Stored, stored, trained
from gancolor.benchmark.evaluation import Evaluation
from gancolor.benchmark.findings import REAL, Findings, Reference
from gancolor.benchmark.measures import measures
from gancolor.benchmark.measuring import Measured, Reading, measure
from gancolor.benchmark.numbers import METRICS
from gancolor.benchmark.photographs import Cut, Photographs, photographs_at, select, some, validated_on
from gancolor.benchmark.protocol import Protocol, stem
from gancolor.benchmark.records import Store
from gancolor.devices import device as find_device
from gancolor.errors import InputError

_TRIVIAL: dict[str, Computed] = {"gray": Gray(), "half-saturated": HalfSaturated()}
_ALWAYS = {"colorfulness", "colorfulness_abs", "lightness_error"}  # records that the remarks and the gate are made of


@dataclass(frozen=True)
class Asked:
    """What to evaluate, and how.

    Attributes:
        protocol: the rules.
        candidates: name → checkpoint, or folder of pictures.
        data: folder or list of photographs; None takes those that the first checkpoint's run was validated on.
        cache: folder for what is measured, kept from one evaluation to the next.
        reference: folder or list of the real images of FID and KID, for protocols that have them apart; None takes them
            from ``data``.
        weights: folder to look in first for the networks behind FID and LPIPS.
        against: the candidate that others are compared with.
        size: side of the pictures in pixels, where the protocol names none; a deviation where it does.
        images: evaluate on the first so many only, which is a deviation too.
        batch_size: pictures at a time.
        workers: processes that read.
        device: where to compute; None takes a GPU if there is one.

    Raises:
        InputError: a number out of its range, or a name that cannot be used.
    """

    protocol: Protocol
    candidates: Mapping[str, Path]
    data: Path | None
    cache: Path
    reference: Path | None = None
    weights: Path | None = None
    against: str | None = None
    size: int | None = None
    images: int | None = None
    batch_size: int = 32
    workers: int = 2
    device: str | None = None

    def __post_init__(self) -> None:
        for option, least in {"size": 1, "images": 1, "batch_size": 1, "workers": 0}.items():
            value = getattr(self, option)
            if value is not None and value < least:
                raise InputError(f"--{option} is {value}: it must be at least {least}")
        if not self.candidates:
            raise InputError("nobody to evaluate: name a checkpoint, or --candidate NAME=CHECKPOINT or NAME=FOLDER")
        for name in self.candidates:
            if name in (*_TRIVIAL, REAL):
                raise InputError(f"--candidate {name}: a row of this name is in every table; choose another name")
        if self.reference is not None and self.protocol.reference is None:
            raise InputError(f"--reference: the protocol {self.protocol.name} has FID's real images from --data")
        known = [*_TRIVIAL, *self.candidates]
        if self.against is not None and self.against not in known:
            raise InputError(f"--against {self.against}: no such candidate; there are {', '.join(known)}")

    def overrides(self, chosen: int) -> list[str]:
        """The options that deviate from the protocol, by which so many images are chosen."""
        size = [f"--size {self.size}"] if self.size and self.protocol.size not in (None, self.size) else []
        return size + ([f"--images {self.images}"] if self.images and self.images < chosen else [])


def evaluate(asked: Asked) -> Evaluation | None:
    """Measure all candidates; of several processes only the first has the result, the others have None.

    Raises:
        InputError: what was given cannot be used.
        FileNotFoundError: no such file.
        NotADirectoryError: no such folder.
    """
    device = find_device(asked.device)
    everything = _photographs(asked)
    chosen = select(everything, asked.protocol.images)
    photographs = _first(asked.images, chosen)
    others = _reference(asked, everything, photographs)
    candidates, size, notes = _candidates(asked, everything, photographs, device)
    cut = Cut(size, asked.protocol.geometry, asked.protocol.interpolation, asked.protocol.antialias)

    wanted = _ALWAYS.union(*(METRICS[name].own for name in asked.protocol.metrics))
    found, lacking = measures(wanted, asked.weights, device, size)
    of_itself = [measure for measure in found if measure.of_itself]
    store = Store(asked.cache)

    def run(reading: Reading, who: Mapping[str, Computed | Stored]) -> Measured:
        what = {name: of_itself if name == REAL else found for name in who}
        return measure(reading, who, what, store, device, asked.batch_size, asked.workers)

    in_folders = {name: candidate for name, candidate in candidates.items() if isinstance(candidate, Stored)}
    reading = Reading(photographs, cut, in_folders, keep_light=asked.protocol.lightness == "input")
    measured = run(reading, candidates)
    _refuse_faulty(measured)
    _refuse_empty(measured, photographs)
    reference = None
    if others is not None:
        found_there = run(Reading(others, cut, {}), {REAL: Real()})
        _refuse_empty(found_there, others)
        reference = Reference(others.names, found_there.records(REAL), found_there.unreadable)
    if dist.is_initialized() and dist.get_rank():
        return None
    overrides = asked.overrides(len(chosen.names))
    return Findings(
        asked.protocol, reading, candidates, measured, reference, lacking, asked.against, overrides, notes, device
    ).evaluation()


def _photographs(asked: Asked) -> Photographs:
    if asked.data is not None:
        return photographs_at(asked.data)
    checkpoints = [path for path in asked.candidates.values() if not path.is_dir()]
    if not checkpoints:
        raise InputError("no photographs to evaluate on: name their folder, or a list of them, by --data")
    return validated_on(checkpoints[0])


def _reference(asked: Asked, everything: Photographs, photographs: Photographs) -> Photographs | None:
    """The real images of FID and KID, where the protocol has them apart."""
    wanted = asked.protocol.reference
    if wanted is None:
        return None
    if asked.reference is not None and wanted.names is None:  # those very images, not the ones after others
        wanted = replace(wanted, first=1)
    found = select(everything if asked.reference is None else photographs_at(asked.reference, "--reference"), wanted)
    if not found.names:
        raise InputError(f"there are no photographs for {wanted.description}: name their folder by --reference")
    colorized = {stem(name) for name in photographs.names}
    if wanted.names is None and (same := [name for name in found.names if stem(name) in colorized]):
        raise InputError(
            f"{len(same)} of FID's real images are among the colorized ones, where {asked.protocol.name} has others: "
            f"{some(same)}; name a folder or a list of others by --reference"
        )
    return found


def _first(images: int | None, photographs: Photographs) -> Photographs:
    if images is None or images >= len(photographs.names):
        return photographs
    description = f"the first {images} of {photographs.description}"
    return Photographs(photographs.source, photographs.names[:images], description)


def _candidates(
    asked: Asked, everything: Photographs, photographs: Photographs, device: torch.device
) -> tuple[dict[str, Computed | Stored], int, list[str]]:
    """Everybody by name, in the table's order; the size to evaluate at; and what must be said of them."""
    size = asked.size or asked.protocol.size
    found: dict[str, Computed | Stored] = dict(_TRIVIAL)
    notes = []
    for name, path in asked.candidates.items():
        if path.is_dir():
            found[name], others = stored(name, path, photographs)
            stems = {stem(photograph) for photograph in everything.names}
            if extra := [file for file in others if stem(file) not in stems]:
                notes.append(f"{name}: {len(extra)} files belong to no photograph and are ignored: {some(extra)}.")
        else:
            found[name], training_size = trained(path, size, device)
            size = size or training_size
            if training_size != size:
                notes.append(f"{name} was trained at {training_size} pixels and is evaluated at {size}.")
    if size is None:
        raise InputError(f"the protocol {asked.protocol.name} leaves the size of the pictures open: give --size")
    return found | {REAL: Real()}, size, notes


def _refuse_faulty(measured: Measured) -> None:
    """Raise where a candidate's picture cannot be used: all rows must be over the same photographs."""
    faults = [
        f"--candidate {candidate}: {len(wrong)} pictures cannot be used: "
        + some([f"{name}: {reason}" for name, reason in wrong.items()])
        for candidate, wrong in measured.faulty.items()
    ]
    if faults:
        raise InputError(
            f"{'. '.join(faults)}. What was measured is kept: mend them and run the same command again, and only the "
            "batches that they are in are measured."
        )


def _refuse_empty(measured: Measured, photographs: Photographs) -> None:
    if not measured.places:
        raise InputError(f"none of {photographs.description} can be read")
