"""Find the profiles of a data set, name them, and show what they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gancolor import atomic
from gancolor.census import colors
from gancolor.census.colors import NUMBERS, PictureColors
from gancolor.errors import InputError
from gancolor.interfaces import Unreadable
from gancolor.palette import Profiles, descriptors, nearest
from gancolor.profiling import clustering, naming, sheets
from gancolor.profiling.curve import curve

PROFILES, CURVE = "profiles.json", "quality.png"
By = Literal["histogram", "dominant"]


@dataclass(frozen=True)
class Asked:
    """What to find and how; see ``gancolor profiles --help``. Names are as many as ``count``."""

    colors: Path
    output: Path
    by: By = "histogram"
    count: int | None = None
    names: Sequence[str] | None = None
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class Found:
    """The profiles of a data set.

    Attributes:
        profiles: the profiles, those of most pictures first.
        members: of each picture, the number of its profile, which is the one whose center is nearest.
        distances: of each picture, how far its descriptor is from that center.
        agreement: the share of pictures that clustering had put into the same profile.
        quality: how well the pictures fall into how many clusters.
    """

    profiles: Profiles
    members: Int[np.ndarray, " N"]
    distances: Float[np.ndarray, " N"]
    agreement: float
    quality: clustering.Quality

    def images(self, profile: int) -> int:
        """How many pictures have it."""
        return int((self.members == profile).sum())


def find(asked: Asked) -> tuple[Found, str | None]:
    """Find profiles, and write them and their pictures. Returns them, and why there are no sheets, if there are none.

    Raises:
        FileNotFoundError: there is nothing measured.
        InputError: what was measured, or an option, cannot be used, or results are there already.
        OSError: the results cannot be written.
    """
    _refuse_loss(asked, [PROFILES])
    data = colors.read(asked.colors / NUMBERS)
    found = profiles(data, asked)
    _refuse_loss(asked, [CURVE, sheets.OVERVIEW, *map(sheets.SHEET.format, found.profiles.names)])
    asked.output.mkdir(parents=True, exist_ok=True)
    for former in _former(asked.output):
        former.unlink(missing_ok=True)
    found.profiles.write(asked.output / PROFILES)
    atomic.write(asked.output / CURVE, curve(found.quality, len(found.profiles)))
    try:
        pictures = sheets.draw(data, found.profiles.names, found.members, found.distances, asked.seed)
    except (Unreadable, OSError, KeyError, InputError) as error:
        return found, f"No sheets: the photographs that were measured cannot be read any more: {error}"
    for name, picture in pictures.items():
        atomic.write(asked.output / name, picture)
    return found, None


def _refuse_loss(asked: Asked, names: Sequence[str]) -> None:
    existing = [file for name in names if (file := asked.output / name).exists()]
    if existing and not asked.overwrite:
        raise InputError(f"{existing[0]} exists already: choose another --output, or add --overwrite")


def _former(folder: Path) -> list[Path]:
    """The pictures of profiles that are there already, and may have had other names."""
    try:
        names = Profiles.read(str(folder / PROFILES)).names
    except (FileNotFoundError, InputError):
        return []
    return [folder / sheets.OVERVIEW, *(folder / sheets.SHEET.format(name) for name in names)]


def profiles(data: PictureColors, asked: Asked) -> Found:
    """Cluster what was measured, and name the clusters; nothing is written."""
    shares = torch.from_numpy(data.histograms)
    points = descriptors(shares)
    clustered = points.numpy() if asked.by == "histogram" else _dominant(data)
    quality = clustering.quality(clustered, asked.seed)
    count = asked.count or quality.best()
    labels = torch.from_numpy(clustering.cluster(clustered, count, asked.seed)).long()
    centers = _means(points, labels, count)
    members = nearest(shares, centers)  # from here on as training does it
    sizes = members.bincount(minlength=count)
    if (sizes == 0).any():
        raise InputError(f"one of {count} profiles by {asked.by} is the nearest one of no image: say a smaller --count")
    order = sizes.argsort(descending=True, stable=True)
    centers, members, labels = centers[order], order.argsort()[members], order.argsort()[labels]
    names = asked.names or naming.names(_means(shares, members, count).double().numpy())
    return Found(
        Profiles(names, centers.tolist()),
        members.numpy(),
        (points - centers[members]).norm(dim=1).numpy(),
        float((labels == members).double().mean()),
        quality,
    )


def _dominant(data: PictureColors) -> Float[np.ndarray, "N d"]:
    from gancolor.palette.dominant import dominant_features

    return dominant_features(torch.from_numpy(data.lab), torch.from_numpy(data.share)).numpy()


def _means(points: Float[Tensor, "N d"], labels: Int[Tensor, " N"], count: int) -> Float[Tensor, "K d"]:
    return torch.stack([points[labels == label].mean(0) for label in range(count)])


def show(found: Found, missing: str | None, output: Path, console: Console) -> None:
    """What was found, where it is, and what to type next."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(found.profiles)} profiles of {len(found.members):,} images")
    for header in ("profile", "images", "share"):
        table.add_column(header, justify="left" if header == "profile" else "right")
    for place, name in enumerate(found.profiles.names):
        table.add_row(name, f"{found.images(place):,}", f"{found.images(place) / len(found.members):.1%}")
    console.print(table)
    for line in (
        f"{found.agreement:.1%} of the images are in the profile whose center is nearest, as training takes them",
        f"Profiles  {output / PROFILES}",
        f"Quality   {output / CURVE}: how well the images fall into how many profiles",
        missing or f"Pictures  {output / sheets.OVERVIEW}, {output / sheets.SHEET.format('*')}",
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
