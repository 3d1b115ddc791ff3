"""What ``gancolor measure`` wrote of each photograph, read again."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gancolor.errors import InputError
from gancolor.palette import CELLS

NUMBERS = "colors.npz"
_ROUNDED = 0.01  # shares are kept in 16 bits; their sum may be this far from 1


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
        if histograms.shape != (len(names), CELLS * CELLS) or not (abs(histograms.sum(1) - 1) < _ROUNDED).all():
            raise ValueError("these are no histograms of the images")
        return PictureColors(root, names, histograms, lab, np.where(np.isnan(lab).any(2), 0, share))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: gancolor measure did not write this: measure the photographs again") from error
