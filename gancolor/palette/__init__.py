"""The colors of a data set: how often each occurs, and the profiles that its pictures fall into."""

from gancolor.palette.prior import CELL, CELLS, cell_of, prior, smooth
from gancolor.palette.profiles import Profiles, descriptors, histograms, nearest

__all__ = ["CELL", "CELLS", "Profiles", "cell_of", "descriptors", "histograms", "nearest", "prior", "smooth"]
