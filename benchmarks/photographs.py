"""The photographs that a benchmark reads: the user's, or JPEG files cut from those in scikit-image's wheel."""

import tarfile
from itertools import chain, cycle, islice
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from gancolor.apps import pack as packing
from gancolor.errors import InputError

SHIPPED = ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"]
SIZE = 500, 375  # pixels: ImageNet's most frequent size; its files have 110 KB on average
QUALITY = 98  # with 4:2:0 chroma: these photographs are smooth, and need it for files of that size


def cut(folder: Path, count: int) -> list[Path]:
    """Random 4:3 cuts of real photographs, as large as they are or down to ¾ of it, as JPEG files of 500×375 pixels."""
    random = np.random.default_rng(0)
    data = Path(skimage.data.__file__).parent
    originals = [Image.open(data / name).convert("RGB") for name in SHIPPED]
    paths = [folder / f"{index:04d}.jpg" for index in range(count)]
    for path, original in zip(paths, cycle(originals), strict=False):
        height = random.uniform(0.75, 1) * min(original.height, original.width * 3 / 4)
        width = height * 4 / 3
        left, top = random.uniform(0, original.width - width), random.uniform(0, original.height - height)
        picture = original.resize(SIZE, Image.Resampling.LANCZOS, (left, top, left + width, top + height))
        picture.save(path, quality=QUALITY, subsampling="4:2:0")
    return paths


def link(photographs: list[Path], folder: Path, count: int) -> None:
    """Fill a folder with links to the photographs, again and again: an epoch too long to end while it is timed."""
    folder.mkdir(parents=True)
    for index, path in enumerate(islice(cycle(photographs), count)):
        (folder / f"{index:06d}{path.suffix}").symlink_to(path.resolve())


def find(folder: Path, count: int) -> list[Path]:
    """The first photographs of a folder, at any depth.

    Raises:
        InputError: there is none.
    """
    found = sorted(chain.from_iterable(folder.rglob(f"*.{suffix}") for suffix in ("jpg", "jpeg", "JPG", "JPEG")))
    if not found:
        raise InputError(f"--photographs {folder}: no JPEG file is in it")
    return found[:count]


def pack(folder: Path, shards: Path, unpacked: Path) -> float:
    """Pack a folder as ``gancolor pack`` does, and unpack the first shard again; returns a packed file's mean size."""
    packing.run([str(folder), str(shards), "--holdout=0.001"])
    with tarfile.open(sorted(shards.rglob("*.tar"))[0]) as tar:
        tar.extractall(unpacked, [member for member in tar if member.name.endswith(".jpg")], filter="data")
    sizes = [path.stat().st_size for path in unpacked.iterdir()]
    return sum(sizes) / len(sizes)
