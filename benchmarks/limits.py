"""What the machine can do at best, as contenders: plain JPEG decoding, plain matrix products."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import cycle, repeat
from pathlib import Path

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pix2pix import Pix2Pix
from benchmarks.turns import Pace

SIDES = {"cpu": 2048, "cuda": 8192}  # of the square matrices, by device: large enough for the full rate
PRODUCTS = {"cpu": 4, "cuda": 100}  # at a step


def pillow(path: Path) -> None:
    """Decode by Pillow."""
    with Image.open(path) as image:
        image.convert("RGB").load()


def simplejpeg(path: Path) -> None:
    """Decode by simplejpeg."""
    from simplejpeg import decode_jpeg as decode

    decode(path.read_bytes())


def decoders() -> dict[str, Callable[[Path], None]]:
    """The plain JPEG decoders that are installed: from a file to 8-bit RGB at full size."""
    return {by.__name__: by for by in (pillow, simplejpeg) if by is pillow or find_spec(by.__name__)}


def decode(folder: Path, batch: int, by: Callable[[Path], None], pace: Pace) -> None:
    """Decode the files of a folder, and nothing else."""
    for paths in pace(_batches(sorted(folder.iterdir()), batch)):
        for path in paths:
            by(path)


def _batches(paths: list[Path], batch: int) -> Iterator[list[Path]]:
    endless = cycle(paths)
    while True:
        yield [next(endless) for _ in range(batch)]


def multiply(device: str, dtype: torch.dtype, pace: Pace) -> None:
    """Square matrix products; float32 on a GPU in the TF32 that convolutions have there by default."""
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")
    a, b = (torch.randn(SIDES[device], SIDES[device], device=device).to(dtype) for _ in range(2))
    for products in pace(repeat(PRODUCTS[device])):
        for _ in range(products):
            torch.mm(a, b)


def multiply_flops(device: str) -> float:
    """Floating-point operations of a step of :func:`multiply`."""
    return 2.0 * SIDES[device] ** 3 * PRODUCTS[device]


def step_flops(size: int) -> float:
    """Floating-point operations of pix2pix's training step, for each image: its convolutions, forward and backward."""
    model = Pix2Pix("meta")
    light, ab = (torch.zeros(1, channels, size, size, device="meta") for channels in (1, 2))
    with FlopCounterMode(display=False) as counter:
        model.step(light, ab)
    return float(counter.get_total_flops())
