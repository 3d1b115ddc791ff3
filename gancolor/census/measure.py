"""One pass over a set of photographs: how often each color occurs, and what colors each photograph has."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from rich import box
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from gancolor import atomic, palette
from gancolor.census import figures
from gancolor.census.colors import NUMBERS, Colors, Described, write
from gancolor.census.count import NEARLY_GRAY, Census
from gancolor.color import rgb_to_lab
from gancolor.data.images import ValImages, none_readable
from gancolor.data.layout import found_at, named
from gancolor.data.loader import Reader
from gancolor.data.workers import death_told
from gancolor.errors import InputError
from gancolor.interfaces import Source
from gancolor.metrics import colorfulness

PICTURE = "colors.png"
_BATCH = 32  # photographs that a worker hands over together


@dataclass(frozen=True)
class Asked:
    """What to measure and how; see ``gancolor measure --help``."""

    data: Path
    output: Path
    size: int = 256
    describe: int = 20_000
    holdout: float | None = None
    workers: int = 2
    overwrite: bool = False


def measure(asked: Asked) -> Colors:
    """Measure, and write the two files.

    Raises:
        InputError: an option, a folder or a list that cannot be used, or results that are there already.
        OSError: the results cannot be written.
    """
    existing = [file for name in (NUMBERS, PICTURE) if (file := asked.output / name).exists()]
    if existing and not asked.overwrite:
        raise InputError(f"{existing[0]} exists already: choose another --output, or add --overwrite")
    with named("DATA", asked.data):
        source = found_at(str(asked.data), holdout=asked.holdout)
        names = source.names("train")
    asked.output.mkdir(parents=True, exist_ok=True)  # a mistake in its name is found now, not after hours
    measured = _look(source, names, asked)
    write(measured, asked.output / NUMBERS)
    atomic.write(asked.output / PICTURE, figures.colors(measured.distribution, str(asked.data)))
    return measured


def show(measured: Colors, output: Path, console: Console) -> None:
    """The numbers in short, and where the files are."""
    distribution = measured.distribution
    colorful = np.mean([one.colorfulness for one in measured.described]) if measured.described else np.nan
    table = Table(box=box.SIMPLE, show_header=False)
    for name, value in {
        "training images": f"{measured.images:,}",
        "unreadable": f"{measured.unreadable:,}",
        "described one by one": f"{len(measured.described):,}",
        "pixels": f"{distribution.pixels:,}",
        "mean chroma": f"{distribution.chroma:.1f} Lab units",
        f"nearly gray pixels (chroma below {NEARLY_GRAY:g})": f"{distribution.nearly_gray:.1%}",
        "mean colorfulness of those described": f"{colorful:.1f}",
    }.items():
        table.add_row(name, value)
    console.print(table)
    for line in (f"Numbers  {output / NUMBERS}", f"Picture  {output / PICTURE}"):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _look(source: Source, names: Sequence[str], asked: Asked) -> Colors:
    """Read every photograph once; of some a description is kept, of the others nothing."""
    spread = np.linspace(0, len(names) - 1, min(len(names), asked.describe)).round().astype(int)
    chosen = set(spread.tolist())
    reader = Reader(ValImages(source, names, asked.size), asked.workers)
    batches = (list(range(len(names))[start : start + _BATCH]) for start in range(0, len(names), _BATCH))
    census, images = Census(), 0
    described: list[Described] = []
    progress = tqdm(total=len(names), unit="image", smoothing=0.02)
    with _one_thread(), death_told(str(asked.data)), logging_redirect_tqdm(), progress as bar:
        for rgb, indices in reader.read(batches):
            census.add(rgb)
            places = zip(indices.tolist(), rgb, strict=True)
            described += [_describe(names[int(index)], picture) for index, picture in places if index in chosen]
            images += len(rgb)
            bar.update(images + len(reader.unreadable) - bar.n)
        if not images:
            raise InputError(f"{none_readable(reader.unreadable)}; --size says how small they may be")
        distribution = census.distribution()
    return Colors(asked.data.resolve(), images, len(reader.unreadable), distribution, described)


def _one_thread() -> AbstractContextManager[object]:
    """What is computed in here is not shared out: threads of one small picture wait for processors that workers have.

    On a busy machine that took a hundred times as long.
    """
    import sklearn.cluster  # noqa: F401  (brings threads of its own, which are limited once they are there)

    return threadpool_limits(1)


def _describe(name: str, rgb: UInt8[Tensor, "3 H W"]) -> Described:
    histogram = palette.histograms(rgb_to_lab(rgb[None]).ab)[0].numpy().astype(np.float16)  # there are many
    return Described(name, histogram, palette.dominant(rgb), colorfulness(rgb[None]).item())
