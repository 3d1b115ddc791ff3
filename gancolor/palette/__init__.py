"""The colors of a data set: how often each occurs, and the profiles that its pictures fall into."""

from gancolor.palette.dominant import COLORS, DominantColors, distance, dominant, dominant_features
from gancolor.palette.prior import CELL, CELLS, cell_of, prior, smooth
from gancolor.palette.profiles import Profiles, descriptors, histograms, nearest, refuse_name

__all__ = [
    "CELL",
    "CELLS",
    "COLORS",
    "DominantColors",
    "Profiles",
    "cell_of",
    "descriptors",
    "distance",
    "dominant",
    "dominant_features",
    "histograms",
    "nearest",
    "prior",
    "refuse_name",
    "smooth",
]
