"""What the kept records amount to: numbers with intervals, differences, and everything one must know to read them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tqdm import tqdm

from gancolor.benchmark import comparability, numbers, published
from gancolor.benchmark.candidates import Computed, Stored
from gancolor.benchmark.evaluation import Evaluation
from gancolor.benchmark.examples import examples
from gancolor.benchmark.intervals import Estimate, bootstrap
from gancolor.benchmark.measuring import Measured, Reading
from gancolor.benchmark.numbers import METRICS
from gancolor.benchmark.photographs import some
from gancolor.benchmark.protocol import Protocol
from gancolor.benchmark.records import StoredRecords
from gancolor.metrics import colorfulness

REAL = "real"
_FULL_RANK = 2049  # images: with fewer, the covariances of FID's 2,048 features are singular
_KEPT_LIGHT = 0.5  # units of L; rounding to 8 bits and the usual JPEG stay below
_EVIDENCE = 5000  # photographs that are cut the other way, to learn why a fingerprint is wrong
_COLORED = 1.0  # colorfulness from which a photograph is not gray


@dataclass(frozen=True)
class Reference:
    """The real images of FID and KID where those are not the colorized ones.

    Attributes:
        names: which.
        records: what is kept of them.
        unreadable: those that could not be used, with the reason.
    """

    names: Sequence[str]
    records: StoredRecords
    unreadable: Mapping[str, str]


@dataclass(frozen=True)
class Findings:
    """Everything that was measured, before it is judged.

    Attributes:
        protocol: the rules.
        reading: the photographs, and how they are read and cut.
        candidates: name → whose pictures, in the table's order, ``real`` last.
        measured: what is kept of them.
        reference: for FID and KID; None for the colorized photographs themselves.
        lacking: record → why it could not be measured.
        against: the baseline, if one was asked for.
        overrides: the options that deviate from the protocol, as typed.
        notes: what is known already that must be said.
        device: where to compute.
    """

    protocol: Protocol
    reading: Reading
    candidates: Mapping[str, Computed | Stored]
    measured: Measured
    reference: Reference | None
    lacking: Mapping[str, str]
    against: str | None
    overrides: Sequence[str]
    notes: Sequence[str]
    device: torch.device

    def evaluation(self) -> Evaluation:
        """The whole result."""
        photographs = self.reading.photographs
        names = [photographs.names[place] for place in self.measured.places]
        records = {name: self.measured.records(name) for name in self.candidates}
        bar = tqdm(self.candidates, desc="computing", unit="row")
        estimates = {name: self._estimates(name, records) for name in bar}
        rows = published.rows()
        doubts = self._doubts(records[REAL], rows)
        beside, others = comparability.sort(self.protocol, doubts, rows)
        per_image = {name: records[name].columns() for name in self.candidates}
        return Evaluation(
            protocol=replace(self.protocol, size=self.reading.cut.size),
            description=photographs.description,
            names=names,
            estimates=estimates,
            missing=self._missing,
            against=self.against,
            differences=self._differences(records),
            doubts=doubts,
            published=beside,
            others=others,
            notes=[*self.notes, *self._remarks(names, per_image)],
            per_image=per_image,
            examples=examples(self.reading, self.candidates, self.measured.places, per_image, self.device),
        )

    @property
    def _missing(self) -> dict[str, str]:
        """Metric → why it is not in the table."""
        reasons = {
            name: [self.lacking[r] for r in METRICS[name].own if r in self.lacking] for name in self.protocol.metrics
        }
        return {name: reason[0] for name, reason in reasons.items() if reason}

    @property
    def _unreadable(self) -> dict[str, str]:
        """All photographs that could not be used, with the reason."""
        return self.measured.unreadable | dict({} if self.reference is None else self.reference.unreadable)

    @property
    def _reference(self) -> StoredRecords | None:
        return None if self.reference is None else self.reference.records

    def _metrics(self, candidate: str) -> list[str]:
        """What a candidate has numbers of."""
        there = [name for name in self.protocol.metrics if name not in self._missing]
        if candidate != REAL:
            return there
        apart = self.reference is not None  # other photographs, from which even photographs differ
        return [name for name in there if METRICS[name].of_itself or (apart and METRICS[name].disjoint)]

    def _estimates(self, candidate: str, records: Mapping[str, StoredRecords]) -> dict[str, Estimate]:
        return {
            name: numbers.measure(name, records[candidate], records[REAL], self._reference)
            for name in self._metrics(candidate)
        }

    def _differences(self, records: Mapping[str, StoredRecords]) -> dict[str, dict[str, Estimate]]:
        if self.against is None:
            return {}
        return {
            candidate: {
                name: numbers.difference(
                    name, records[candidate], records[self.against], records[REAL], self._reference
                )
                for name in self._metrics(candidate)
            }
            for candidate in self.candidates
            if candidate not in (self.against, REAL)
        }

    def _doubts(self, real: StoredRecords, rows: Sequence[published.Published]) -> list[str]:
        """Why the numbers may not stand beside the published ones."""
        absolute, signed = (numbers.measure(name, real, real, None) for name in ("colorfulness_abs", "colorfulness"))
        other = None
        if not comparability.fingerprint_agrees(self.protocol, absolute):
            other = self._cut_the_other_way()
        sides = self.measured.sides
        return comparability.doubts(
            self.protocol,
            rows,
            self.reading.photographs.names,
            len(self._unreadable),
            absolute,
            signed,
            square=len(sides) == 1 and all(height == width for height, width in sides),
            other_geometry=other,
            overrides=self.overrides,
            reference=() if self.reference is None else self.reference.names,
        )

    def _cut_the_other_way(self) -> Estimate:
        """Colorfulness (abs) of the first thousands of the same photographs, cropped for squashed or the reverse."""
        cut = self.reading.cut
        other = replace(cut, geometry={"crop": "squash", "squash": "crop"}[cut.geometry])
        photographs = self.reading.photographs
        squares = (
            other(photographs.source.read(photographs.names[place])) for place in self.measured.places[:_EVIDENCE]
        )
        values = [colorfulness(square.unsqueeze(0), absolute=True).numpy() for square in squares]
        return bootstrap(lambda mean: mean, [np.concatenate(values)])

    def _remarks(self, names: Sequence[str], per_image: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[str]:
        """What must be known to read the numbers."""
        images = len(names)
        if any(name.startswith("fid") for name in self._metrics("gray")):
            yield (
                "FID and KID are paired: the same images, real and colorized."
                if self.reference is None
                else "FID and KID have real images of their own, not just those that were colorized."
            )
            if images < _FULL_RANK:
                yield f"FID over {images} images, fewer than {_FULL_RANK}, compares only with FID over as many."
        if unreadable := self._unreadable:
            reasons = some([f"{name} ({reason})" for name, reason in unreadable.items()])
            yield f"{len(unreadable)} photographs cannot be used and are left out for everybody: {reasons}."
        colored = per_image[REAL]["colorfulness_abs"] >= _COLORED
        for candidate, columns in per_image.items():
            if candidate in ("gray", REAL):
                continue
            gray = [
                name for name, bare in zip(names, colored & (columns["colorfulness_abs"] == 0), strict=True) if bare
            ]
            if gray:
                yield f"{candidate}: {len(gray)} pictures are gray, though their photographs are not: {some(gray)}."
            moved = columns["lightness_error"].mean()
            if moved > _KEPT_LIGHT:
                yield (
                    f"{candidate} does not keep the photographs' lightness: it is {moved:.1f} of 100 off on average, "
                    "which costs PSNR, SSIM and LPIPS whatever the colors are."
                )
        if self.protocol.doubt:
            yield f"Doubt about the protocol itself: {self.protocol.doubt}"
