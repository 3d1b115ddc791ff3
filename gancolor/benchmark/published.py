"""Published numbers: every one with its source, its protocol and what is doubtful about it.

``published.csv`` has one number a row. Its metric is named as in our own table only where it is known that it was
measured that way: by the authors' code, by a paper that says so, or by arithmetic (CF ± ΔCF is the photographs' own
colorfulness, which tells the absolute from the signed). Elsewhere the name is the family's with a question mark, as
``ssim?`` or ``fid?``: no metric of ours is called so, so such a number can never stand in one column with ours.
``fool_rate`` is people's: the percentage of colorized pictures that they took for photographs.

A protocol is named only where the photographs are those of a file of ``configs/benchmark``, as far as is known.
"""

import csv
from dataclasses import dataclass
from importlib.resources import files

UNKNOWN = "?"  # ends the name of a metric whose variant is not known


@dataclass(frozen=True)
class Published:
    """One number of one table.

    Attributes:
        method: as its authors call it.
        protocol: name of the protocol, of ``configs/benchmark``; empty where none of them is meant.
        metric: name of the metric, as in our own table, or of its family with a question mark.
        value: the number.
        source: the paper.
        table: where in it; empty where that is not known.
        doubt: what speaks against trusting it; mostly empty.
    """

    method: str
    protocol: str
    metric: str
    value: float
    source: str
    table: str
    doubt: str


def rows() -> list[Published]:
    """All of them, in the order of the file."""
    lines = files("gancolor.benchmark").joinpath("published.csv").read_text(encoding="utf-8").splitlines()
    return [
        Published(method, protocol, metric, float(value), source, table, doubt)
        for method, protocol, metric, value, source, table, doubt in csv.reader(lines[1:])
    ]
