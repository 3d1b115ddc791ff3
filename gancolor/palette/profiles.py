"""Color profiles: kinds of pictures by their colors, such as warm, cool or muted ones (Robles & Budach)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gancolor import atomic
from gancolor.errors import InputError
from gancolor.palette.prior import CELLS, cell_of, smooth

# Cells: colors that look alike must count as alike, and neighboring cells of a histogram do not. Of 0.5 … 3, 0.5 and 1
# tell most of a held-out picture's colors (K-means, 4 profiles, Tiny ImageNet: 0.51 bits a pixel; 2 cells 0.48; without
# the square root 0.47), and with 1 the clusters hang less on the seed.
_SIGMA = 1.0

_RESERVED = ("all", "mixed", "own", "sheet")


def histograms(ab: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B cells"]:
    """The share of each picture's pixels in each cell of the ab plane, row by row; on the device of ``ab``.

    Args:
        ab: scaled as in :class:`~gancolor.color.Lab`.
    """
    cells = cell_of(ab).flatten(1)
    counts = torch.zeros(len(ab), CELLS * CELLS, device=ab.device)
    return counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=counts.dtype)) / cells.shape[1]


def descriptors(shares: Float[Tensor, "B cells"]) -> Float[Tensor, "B cells"]:
    """Histograms as points whose Euclidean distances tell how different pictures' colors are.

    The square root of the smoothed shares: its distance is Hellinger's, in which a few vivid pixels count for more
    than their number among many gray ones.
    """
    return smooth(shares.view(-1, CELLS, CELLS), _SIGMA).sqrt().flatten(1)


def refuse_name(name: str) -> None:
    """Make sure that a profile's name is no word or number of ``gancolor colorize --profile``, nor of its files.

    Raises:
        InputError: it is.
    """
    if name in _RESERVED or name.isdigit():
        raise InputError(f"profiles: {name!r} cannot be a name: {', '.join(_RESERVED)} and numbers mean something else")


class Profiles:
    """Kinds of pictures, each a point among :func:`descriptors`: an immutable value.

    Args:
        names: what people call them, such as ``warm``.
        centers: of each, its descriptor.

    Raises:
        InputError: names and centers do not match, a name comes twice, or a center is no descriptor.
    """

    def __init__(self, names: Sequence[str], centers: Sequence[Sequence[float]]):
        self.names = tuple(names)
        self.centers = tuple(tuple(float(x) for x in center) for center in centers)
        if not self.names or len(self.names) != len(self.centers) or len(set(self.names)) < len(self.names):
            raise InputError(
                f"profiles: the names are {', '.join(self.names) or 'none'}, for {len(self.centers)} profiles; each "
                "must have one of its own"
            )
        for name in self.names:
            refuse_name(name)
        if any(len(center) != CELLS * CELLS for center in self.centers):
            raise InputError(f"profiles: a center must have {CELLS * CELLS} numbers, one a cell of the ab plane")

    @classmethod
    def read(cls, path: str) -> "Profiles":
        """Profiles that ``gancolor profiles`` found.

        Args:
            path: the file, ``profiles.json``.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: it holds something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such file of profiles; gancolor profiles writes one")
        try:
            content: Any = json.loads(Path(path).read_text())
            return cls(content["names"], content["centers"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: cannot be read as profiles: {error}") from error

    def write(self, path: Path) -> None:
        """Keep them for :meth:`read`; names may be edited there before a training, which remembers them."""
        atomic.write(path, (json.dumps({"names": self.names, "centers": self.centers}) + "\n").encode())

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profiles) and (self.names, self.centers) == (other.names, other.centers)

    def __hash__(self) -> int:
        return hash((self.names, self.centers))

    def __repr__(self) -> str:
        return f"Profiles({', '.join(self.names)})"

    def table(self) -> Float[Tensor, "K cells"]:
        """The centers, for :func:`nearest`."""
        return torch.tensor(self.centers)


def nearest(shares: Float[Tensor, "B cells"], centers: Float[Tensor, "K cells"]) -> Int[Tensor, " B"]:
    """The number of the profile that each picture, by its histogram, is nearest to."""
    points = descriptors(shares)
    return (points[:, None] - centers).square().sum(2).argmin(1)  # no matrix product, which TF32 would round
