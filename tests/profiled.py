"""A colorizer of two profiles, made by hand: warm paints everything reddish, cool bluish, whatever the photograph."""

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancolor.checkpoint import KEY, describe
from gancolor.color import Lab, lab_to_rgb
from gancolor.generators import Profiled, ProfilePredictor, UNet
from gancolor.guides import ProfileGuide
from gancolor.palette import Profiles, descriptors, histograms

PAINT = {"warm": (0.3, 0.2), "cool": (0.0, -0.3)}


def plain(name: str, height: int = 20, width: int = 30) -> UInt8[Tensor, "3 H W"]:
    """A picture in nothing but a profile's color."""
    return lab_to_rgb(Lab(torch.zeros(1, 1, height, width), _flat(name, height, width)))[0]


def guide(names: tuple[str, ...] = ("warm", "cool")) -> ProfileGuide:
    """Pictures in warm's or cool's color belong to it, whatever the two are called."""
    centers = torch.cat([descriptors(histograms(_flat(name, 8, 8))) for name in PAINT])
    return ProfileGuide(Profiles(names, centers.tolist()))


def generator(predicts: str = "cool") -> Profiled:
    """Predicts one of the two, with 75 %."""
    unet, predictor = UNet(in_channels=3, depth=3, width=4), ProfilePredictor(2, width=2, layers=1)
    first, last = unet.down[0][0].weight, unet.up[-1][1]
    with torch.no_grad():
        for weights in (first, last.weight, last.bias, predictor.last.weight):
            weights.zero_()
        for k, ab in enumerate(PAINT.values()):
            first[k, 1 + k, 1, 1] = 1.0  # the outermost skip holds the planes …
            last.weight[k, :, 1:3, 1:3] = torch.tensor(ab).atanh()[:, None, None]  # … and each pixel reads one of it
        predictor.last.bias.copy_(torch.tensor([3.0 if name == predicts else 1.0 for name in PAINT]).log())
    return Profiled(unet, predictor).eval()


def checkpoint(path: Path, names: tuple[str, ...] = ("warm", "cool"), **options: str) -> Path:
    """Both, as train.py would write them."""
    network = generator(**options)
    about = {"generator": describe(network), "guide": describe(guide(names)), "size": 16, "images": 5}
    weights = {f"generator.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: about, "state_dict": weights}, path)
    return path


def painted(rgb: UInt8[Tensor, "3 H W"]) -> str:
    """The profile that a picture of middle lightness was painted with."""
    red, _, blue = rgb.float().mean(dim=(1, 2))
    assert abs(red - blue) > 20
    return "warm" if red > blue else "cool"


def _flat(name: str, height: int, width: int) -> Float[Tensor, "1 2 H W"]:
    return torch.tensor(PAINT[name]).view(1, 2, 1, 1).expand(1, 2, height, width)
