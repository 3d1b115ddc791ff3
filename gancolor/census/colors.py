"""The colors of a set of photographs as values, and as the file that ``gancolor measure`` writes and others read."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from gancolor import atomic, palette
from gancolor.census.count import Distribution
from gancolor.errors import InputError
from gancolor.palette import DominantColors

NUMBERS = "colors.npz"
_ROUNDED = 0.01  # shares are kept in 16 bits; their sum may be this far from 1
_SIGMA = 5.0  # Lab units, of the smoothed prior: Zhang et al. 2016


class Described(NamedTuple):
    """The colors of one photograph.

    Attributes:
        name: as its source has it.
        histogram: the share of its pixels in each cell of the ab plane, row by row.
        dominant: its dominant colors.
        colorfulness: Hasler & Süsstrunk 2003.
    """

    name: str
    histogram: Float[np.ndarray, " cells"]
    dominant: DominantColors
    colorfulness: float


@dataclass(frozen=True)
class Colors:
    """The colors of a set.

    Attributes:
        root: where the photographs are.
        images: how many were measured.
        unreadable: how many could not be.
        distribution: of all their pixels.
        described: some of them, one by one.
    """

    root: Path
    images: int
    unreadable: int
    distribution: Distribution
    described: Sequence[Described]


@dataclass(frozen=True)
class PictureColors:
    """The colors of photographs.

    Attributes:
        root: where the photographs are, or were.
        names: what their source calls them.
        histograms: of each, the share of its pixels in each cell of the ab plane, row by row.
        lab: of each, its dominant colors: L in 0 … 100, a and b in Lab units; NaN where it has fewer than others.
        share: of each dominant color; 0 where there is none.
    """

    root: str
    names: Sequence[str]
    histograms: Float[np.ndarray, "N cells"]
    lab: Float[np.ndarray, "N n 3"]
    share: Float[np.ndarray, "N n"]


def write(measured: Colors, path: Path) -> None:
    """Write the file.

    Raises:
        OSError: it cannot be written.
    """
    distribution = measured.distribution
    smoothed = palette.smooth(torch.from_numpy(distribution.prior), _SIGMA / palette.CELL).numpy()
    lab = np.full((len(measured.described), palette.COLORS, 3), np.nan, np.float16)
    share = np.zeros((len(measured.described), palette.COLORS), np.float16)
    for row, one in enumerate(measured.described):
        count = len(one.dominant.share)
        lab[row, :count], share[row, :count] = one.dominant.lab, one.dominant.share
    histograms = np.array([one.histogram for one in measured.described], np.float16)
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
        names=np.array([one.name for one in measured.described], np.str_),
        histograms=histograms.reshape(-1, palette.CELLS**2),
        dominant_lab=lab,
        dominant_share=share,
    )
    atomic.write(path, file.getvalue())


def read(path: Path) -> PictureColors:
    """Read the file.

    Raises:
        FileNotFoundError: there is none.
        InputError: it holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; `gancolor measure PHOTOS --output FOLDER` writes it")
    try:
        with np.load(path, allow_pickle=False) as file:
            lab, share = file["dominant_lab"].astype(np.float32), file["dominant_share"].astype(np.float32)
            names, histograms = file["names"].tolist(), file["histograms"].astype(np.float32)
            root = str(file["root"])
        if histograms.shape != (len(names), palette.CELLS**2) or not (abs(histograms.sum(1) - 1) < _ROUNDED).all():
            raise ValueError("these are no histograms of the images")
        return PictureColors(root, names, histograms, lab, np.where(np.isnan(lab).any(2), 0, share))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: gancolor measure did not write this: measure the photographs again") from error
