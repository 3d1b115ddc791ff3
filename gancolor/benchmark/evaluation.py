"""What an evaluation found, as plain values: measured in one place, written as tables and as a report in others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from gancolor.benchmark.intervals import Estimate
from gancolor.benchmark.protocol import Protocol
from gancolor.benchmark.published import Published


@dataclass(frozen=True)
class Example:
    """One photograph as everybody has it.

    Attributes:
        name: of the photograph.
        rgb: candidate → picture, with ``gray`` first and ``real`` last.
        why: for what it was chosen, as "best of ours" or "most disagreeing".
    """

    name: str
    rgb: Mapping[str, UInt8[np.ndarray, "h w 3"]]
    why: str


@dataclass(frozen=True)
class Evaluation:
    """The whole result.

    Attributes:
        protocol: by which rules.
        description: which photographs, in words.
        names: the photographs that every number is over, in order.
        estimates: candidate → metric → number, in the order of the table; ``gray`` and ``half-saturated`` come first,
            ``real``, which has only what a picture has by itself, last.
        missing: metric → why it was not measured.
        against: the baseline candidate, if one was asked for.
        differences: candidate → metric → candidate minus baseline, paired; empty without a baseline.
        doubts: why the numbers are not comparable with those published under this protocol; empty if they are.
        published: the rows that may stand in the same table.
        others: the rows that may not, with the reason.
        notes: what else must be known to read the numbers, a sentence each.
        per_image: candidate → column → one value an image, in the order of ``names``.
        examples: the best, the worst and the most disagreeing photographs.
    """

    protocol: Protocol
    description: str
    names: Sequence[str]
    estimates: Mapping[str, Mapping[str, Estimate]]
    missing: Mapping[str, str]
    against: str | None
    differences: Mapping[str, Mapping[str, Estimate]]
    doubts: Sequence[str]
    published: Sequence[Published]
    others: Sequence[tuple[Published, str]]
    notes: Sequence[str]
    per_image: Mapping[str, Mapping[str, Float[np.ndarray, " images"]]]
    examples: Sequence[Example]
