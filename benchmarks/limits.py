"""What the machine can do at best: plain JPEG decoding and plain matrix products; and what a step asks of it."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from torchvision.io import ImageReadMode, decode_jpeg, read_file

from benchmarks.pix2pix import Pix2Pix

SIDES = {"cpu": 2048, "cuda": 8192}  # of the square matrices, by device: large enough for the full rate
SECONDS = 1.0  # a rate is measured for about so long


def _pillow(path: Path) -> None:
    with Image.open(path) as image:
        image.convert("RGB").load()


def _torchvision(path: Path) -> None:
    decode_jpeg(read_file(str(path)), ImageReadMode.RGB)


def _simplejpeg(path: Path) -> None:
    from simplejpeg import decode_jpeg as decode

    decode(path.read_bytes())


def decoders() -> dict[str, Callable[[Path], None]]:
    """The plain JPEG decoders that are installed: from a file to 8-bit RGB at full size."""
    known = {"PIL": _pillow, "torchvision": _torchvision, "simplejpeg": _simplejpeg}
    return {name: decode for name, decode in known.items() if find_spec(name)}


def decode_rates(files: list[Path]) -> dict[str, float]:
    """Images per second and core of each decoder; every one of them sees every file once before."""
    rates = {}
    for name, decode in decoders().items():
        for path in files:
            decode(path)
        start, images = time.perf_counter(), 0
        for images, path in enumerate(cycle(files), 1):
            decode(path)
            if time.perf_counter() - start > SECONDS:
                break
        rates[name] = images / (time.perf_counter() - start)
    return rates


def matmul_rate(device: str, dtype: torch.dtype) -> float:
    """The best FLOP/s of square matrix products, over about a second."""
    side = SIDES[device]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, stop = float("inf"), time.perf_counter() + SECONDS
    torch.mm(a, b)
    while best == float("inf") or time.perf_counter() < stop:
        synchronize(device)
        start = time.perf_counter()
        torch.mm(a, b)
        synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def synchronize(device: str) -> None:
    """Wait until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def step_flops(batch: int, size: int) -> float:
    """Floating-point operations of one training step of pix2pix: its convolutions, forward and backward."""
    model = Pix2Pix("meta")
    light, ab = (torch.zeros(batch, channels, size, size, device="meta") for channels in (1, 2))
    with FlopCounterMode(display=False) as counter:
        model.step(light, ab)
    return float(counter.get_total_flops())
