"""What the tests of the evaluation are made of: pictures, a small checkpoint, and stand-ins for large networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gancolor.adversarial import Vanilla
from gancolor.benchmark import measures
from gancolor.benchmark.photographs import Photographs
from gancolor.checkpoint import KEY, describe
from gancolor.data import Scenes
from gancolor.features import LPIPS
from gancolor.generators import UNet
from gancolor.interfaces import Source, Split, Unreadable

SIZE = 32


class Held(Source):
    """Pictures in memory; ``None`` is one that cannot be read."""

    def __init__(self, pictures: Mapping[str, Tensor | None]) -> None:
        self.pictures = pictures

    def names(self, split: Split) -> list[str]:
        return list(self.pictures)

    def read(self, name: str, min_side: int | None = None) -> Tensor:
        picture = self.pictures[name]
        if picture is None:
            raise Unreadable(f"{name}: is damaged")
        return picture


def held(pictures: Mapping[str, Tensor | None]) -> Photographs:
    return Photographs(Held(pictures), list(pictures), "pictures in memory")


def scenes(count: int, size: int = SIZE, seed: int = 0) -> list[Tensor]:
    """Colorful pictures, no two alike."""
    source = Scenes(train=count, val=0, size=size, seed=seed)
    return [source.read(name) for name in source.names("train")]


def save(folder: Path, pictures: Mapping[str, Tensor]) -> Path:
    """Write pictures to the files that their names say; PNG keeps them as they are."""
    for name, picture in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.movedim(0, 2).numpy()).save(folder / name)
    return folder


def numbered(pictures: Sequence[Tensor], suffix: str = ".png") -> dict[str, Tensor]:
    """Names for pictures, in order: 000.png, 001.png, …."""
    return {f"{index:03d}{suffix}": picture for index, picture in enumerate(pictures)}


def checkpoint(path: Path, seed: int = 1) -> Path:
    """A generator that has seen nothing yet, but does paint: another seed, other colors."""
    torch.manual_seed(seed)
    generator = UNet(depth=5, width=4)
    with torch.no_grad():  # an untrained generator paints gray
        [*generator.parameters()][-1].uniform_(-0.3, 0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"generator": describe(generator), "discriminator": describe(Vanilla()), "size": SIZE, "images": 0}
    torch.save({KEY: about, "state_dict": {f"generator.{k}": v for k, v in generator.state_dict().items()}}, path)
    return path


class Means(nn.Module):
    """Stands in for Inception: three numbers a picture."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, images: Tensor) -> Tensor:
        return self.get_buffer("factor") * images.float().mean(dim=(2, 3)) / 255


class Differences(LPIPS):
    """Stands in for LPIPS: the mean difference of two pictures; counts the batches that it looks at."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.looks = 0

    def activations(self, images: Tensor) -> list[Tensor]:
        self.looks += 1
        return [images.float()]

    def distance(self, fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
        return (fake[0] - real[0]).abs().mean(dim=(1, 2, 3))


def stand_in(monkeypatch: pytest.MonkeyPatch, record: str, network: nn.Module) -> None:
    """Have a network measure a record."""
    wrap = measures._NETWORKS[record][1]
    monkeypatch.setitem(measures._NETWORKS, record, (lambda weights: network, wrap))
