import torch
from matplotlib.path import Path as Outline

from gancolor.palette.drawing import ab_of, gamut


def test_the_gamuts_outline_holds_every_color() -> None:
    outline = Outline(gamut().T)
    levels = torch.arange(0, 256, 15)
    ab = ab_of(torch.cartesian_prod(levels, levels, levels).to(torch.uint8))
    assert outline.contains_points(ab.T, radius=0.5).all() or outline.contains_points(ab.T, radius=-0.5).all()
