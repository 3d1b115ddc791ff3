"""What a colorizer does with things whose color lightness does not tell.

On drawn scenes it is known what every pixel shows. Cars, balloons and the leaves of broad-leaved trees come in several
colors of the same lightness (:mod:`gancolor.data.paint`): whoever hedges between them paints what is dull, or what
no such thing is.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gancolor.color import AB_SCALE, rgb_to_lab
from gancolor.data import Scenes
from gancolor.data.paint import CAR_COLORS, Label
from gancolor.metrics import PSNR, AbDistance, ColorfulnessRatio, RareRecall

AMBIGUOUS = {"cars": Label.CAR, "balloons": Label.BALLOON, "leaves": Label.LEAVES}
_NEAR = 15.0  # Lab units: a color as good as one that cars have
_BATCH = 50


@dataclass(frozen=True)
class Drawn:
    """Scenes, and what each of their pixels shows.

    Attributes:
        rgb: 8-bit sRGB.
        labels: a :class:`~gancolor.data.paint.Label` a pixel.
    """

    rgb: UInt8[Tensor, "N 3 H W"]
    labels: UInt8[Tensor, "N H W"]

    @classmethod
    def held_out(cls, scenes: Scenes) -> "Drawn":
        """All validation scenes."""
        drawn = [scenes.draw(name) for name in scenes.names("val")]
        return cls(torch.stack([scene.rgb for scene in drawn]), torch.stack([scene.labels for scene in drawn]))

    def telling(self, count: int) -> list[int]:
        """The first scenes in which a car, or a balloon, covers more than a hundredth; half of them of either."""
        shares = {name: (self.labels == AMBIGUOUS[name]).float().mean((1, 2)) for name in ("cars", "balloons")}
        found = [(share > 0.01).nonzero().flatten().tolist() for share in shares.values()]
        return sorted(set(found[0][: count // 2] + found[1][: count // 2]))


def look(fake: UInt8[Tensor, "N 3 H W"], scenes: Drawn) -> dict[str, float]:
    """The numbers of generated pictures.

    ``saturation of …`` is the mean chroma of their pixels there, divided by the mean real chroma there: 1 is as vivid
    as real. ``cars like cars`` is the share of cars' pixels that are within 15 Lab units of a color that cars have,
    the real one or another.
    """
    metrics = {
        "psnr": PSNR(),
        "rare_recall": RareRecall(),
        "ab_distance": AbDistance(),
        "cf_ratio": ColorfulnessRatio(),
    }
    for ours, own in zip(fake.split(_BATCH), scenes.rgb.split(_BATCH), strict=True):
        for metric in metrics.values():
            metric.update(ours, own)
    found = {name: metric.compute().item() for name, metric in metrics.items()}

    ab = _ab(fake)
    vivid, real = ab.norm(dim=1), _ab(scenes.rgb).norm(dim=1)
    where = {name: scenes.labels == label for name, label in AMBIGUOUS.items()}
    where["ambiguous"] = torch.stack(list(where.values())).any(0)
    where["the rest"] = ~where["ambiguous"] & (scenes.labels != Label.EDGE)
    found |= {f"saturation of {name}": (vivid[at].mean() / real[at].mean()).item() for name, at in where.items()}
    cars = ab.movedim(1, 3)[where["cars"]]
    likes = torch.tensor([color for _, color in CAR_COLORS.values()])
    return found | {"cars like cars": (torch.cdist(cars, likes).amin(1) <= _NEAR).float().mean().item()}


def _ab(rgb: UInt8[Tensor, "N 3 H W"]) -> Float[Tensor, "N 2 H W"]:
    """In Lab units."""
    return AB_SCALE * torch.cat([rgb_to_lab(some).ab for some in rgb.split(_BATCH)])
