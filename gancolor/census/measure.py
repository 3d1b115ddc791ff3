"""One pass over a set of photographs: how often each color occurs, and what colors each photograph has."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from gancolor import atomic, palette
from gancolor.census import figures
from gancolor.census.count import NEARLY_GRAY, Census, Distribution
from gancolor.color import rgb_to_lab
from gancolor.data.images import ValImages, none_readable
from gancolor.data.layout import found_at, named
from gancolor.data.loader import Reader
from gancolor.errors import InputError
from gancolor.interfaces import Source
from gancolor.metrics import colorfulness
from gancolor.palette import DominantColors

NUMBERS, PICTURE = "colors.npz", "colors.png"
_BATCH = 32  # photographs that a worker hands over together
_SIGMA = 5.0  # Lab units, of the smoothed prior: Zhang et al. 2016


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


@dataclass(frozen=True)
class Measured:
    """The colors of a set.

    Attributes:
        root: where the photographs are.
        images: how many were measured.
        unreadable: how many could not be.
        colorfulness: the images' mean (Hasler & Süsstrunk 2003).
        distribution: of all pixels.
        names: the images that were described, as their source has them.
        histograms: of each of these, the share of its pixels in each cell of the ab plane, row by row.
        dominant: of each, its dominant colors.
    """

    root: Path
    images: int
    unreadable: int
    colorfulness: float
    distribution: Distribution
    names: Sequence[str]
    histograms: Float[np.ndarray, "N cells"]
    dominant: Sequence[DominantColors]


def measure(asked: Asked) -> Measured:
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
    atomic.write(asked.output / NUMBERS, _numbers(measured))
    atomic.write(asked.output / PICTURE, figures.colors(measured.distribution, str(asked.data)))
    return measured


def show(measured: Measured, output: Path, console: Console) -> None:
    """The numbers in short, and where the files are."""
    distribution = measured.distribution
    table = Table(box=box.SIMPLE, show_header=False)
    for name, value in {
        "images": f"{measured.images:,}",
        "unreadable": f"{measured.unreadable:,}",
        "described one by one": f"{len(measured.names):,}",
        "pixels": f"{distribution.pixels:,}",
        "mean chroma": f"{distribution.chroma:.1f} Lab units",
        f"nearly gray pixels (chroma below {NEARLY_GRAY:g})": f"{distribution.nearly_gray:.1%}",
        "mean colorfulness (Hasler & Süsstrunk 2003)": f"{measured.colorfulness:.1f}",
    }.items():
        table.add_row(name, value)
    console.print(table)
    for line in (f"Numbers  {output / NUMBERS}", f"Picture  {output / PICTURE}"):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _look(source: Source, names: Sequence[str], asked: Asked) -> Measured:
    """Read every photograph once; of some a description is kept, of the others nothing."""
    spread = np.linspace(0, len(names) - 1, min(len(names), asked.describe)).round().astype(int)
    chosen = set(spread.tolist())
    reader = Reader(ValImages(source, names, asked.size), asked.workers)
    batches = (list(range(len(names))[start : start + _BATCH]) for start in range(0, len(names), _BATCH))
    census, images, total = Census(), 0, 0.0
    described: list[tuple[str, Float[np.ndarray, " cells"], DominantColors]] = []
    with logging_redirect_tqdm(), tqdm(total=len(names), unit="image", smoothing=0.02) as bar:
        for rgb, indices in reader.read(batches):
            census.add(rgb)
            images, total = images + len(rgb), total + colorfulness(rgb).sum().item()
            described += [
                (names[index], _histogram(picture), palette.dominant(picture))
                for index, picture in zip(indices.tolist(), rgb, strict=True)
                if index in chosen
            ]
            bar.update(images + len(reader.unreadable) - bar.n)
    if not images:
        raise none_readable(reader.unreadable)
    return Measured(
        root=asked.data.expanduser().resolve(),
        images=images,
        unreadable=len(reader.unreadable),
        colorfulness=total / images,
        distribution=census.distribution(),
        names=[name for name, _, _ in described],
        histograms=np.array([histogram for _, histogram, _ in described]).reshape(-1, palette.CELLS**2),
        dominant=[colors for _, _, colors in described],
    )


def _histogram(rgb: UInt8[Tensor, "3 H W"]) -> Float[np.ndarray, " cells"]:
    """Of one picture; as halves, since there are many."""
    return palette.histograms(rgb_to_lab(rgb[None]).ab)[0].numpy().astype(np.float16)


def _numbers(measured: Measured) -> bytes:
    """What colors.npz holds."""
    distribution = measured.distribution
    smoothed = palette.smooth(torch.from_numpy(distribution.prior), _SIGMA / palette.CELL).numpy()
    lab = np.full((len(measured.dominant), palette.COLORS, 3), np.nan, np.float16)
    share = np.zeros((len(measured.dominant), palette.COLORS), np.float16)
    for row, colors in enumerate(measured.dominant):
        lab[row, : len(colors.lab)], share[row, : len(colors.share)] = colors.lab, colors.share
    file = io.BytesIO()
    np.savez_compressed(
        file,
        root=np.array(str(measured.root)),
        images=measured.images,
        pixels=distribution.pixels,
        prior=distribution.prior,
        smoothed=smoothed,
        histogram_a=distribution.histogram_a,
        histogram_b=distribution.histogram_b,
        names=np.array(measured.names, dtype=np.str_),
        histograms=measured.histograms,
        dominant_lab=lab,
        dominant_share=share,
    )
    return file.getvalue()
