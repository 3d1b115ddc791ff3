"""Words for profiles, from their mean colors."""

from itertools import product

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from gancolor.errors import InputError
from gancolor.palette import CELL, CELLS

MUTED = "muted"
# A hue in the ab plane, in degrees from red over yellow to blue, and how reluctantly its word is taken, in degrees
# too: most photographs are told apart by warm, cool and green, and yellow is warm as long as nothing else is.
_HUES = {
    "warm": (65.0, 0.0),
    "cool": (270.0, 0.0),
    "green": (122.0, 0.0),
    "red": (25.0, 40.0),
    "yellow": (92.0, 40.0),
    "purple": (315.0, 40.0),
    "pink": (355.0, 40.0),
    "teal": (195.0, 40.0),
}
_STRENGTHS = {"": (0.0, 0.0), "pale-": (-1.0, 36.0), "vivid-": (1.0, 36.0)}  # doublings of chroma, and reluctance
_DOUBLING = 30.0  # degrees of hue that half or twice the chroma is like
_GRAYER = 0.6  # of the most colorful profile's chroma: what has less may be called muted
_LEAST = 1e-3  # Lab units: a chroma to take the logarithm of


def names(histograms: Float[np.ndarray, "K cells"]) -> list[str]:
    """A word for each profile, no two alike; for the same colors always the same ones.

    The least colorful profile is ``muted``, unless it is nearly as colorful as the most colorful one. The others get
    the words that are nearest to the hue and the chroma of their mean colors, by the assignment with the least sum.

    Args:
        histograms: of each profile, the mean of its pictures' histograms.

    Raises:
        InputError: there are more profiles than words.
    """
    words = [strength + hue for strength, hue in product(_STRENGTHS, _HUES)]
    if len(histograms) > len(words):
        raise InputError(f"there are words for {len(words)} profiles, not for {len(histograms)}: name them by --names")
    axis = (np.arange(CELLS) - CELLS // 2) * CELL
    cells = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    chroma = histograms @ np.hypot(*cells.T)  # of the pixels, not of their mean, which is gray for many hues
    means = histograms @ cells
    result = [MUTED] * len(histograms)
    gray = chroma.argmin() if chroma.min() < _GRAYER * chroma.max() else None
    colorful = [place for place in range(len(histograms)) if place != gray]
    rows, columns = linear_sum_assignment(_distances(means[colorful]))
    for row, column in zip(rows, columns, strict=True):
        result[colorful[row]] = words[column]
    return result


def _distances(means: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n words"]:
    """How badly each word fits each color, in squared degrees: of plain ones, many assignments have the same sum."""
    hue, chroma = np.degrees(np.arctan2(means[:, 1], means[:, 0])), np.hypot(*means.T).clip(min=_LEAST)
    strength = np.log2(chroma / np.median(chroma))
    hues, strengths = np.array(list(_HUES.values())), np.array(list(_STRENGTHS.values()))
    turn = np.abs((hue[:, None] - hues[:, 0] + 180) % 360 - 180)
    change = _DOUBLING * (strength[:, None] - strengths[:, 0])
    by_hue, by_strength = turn**2 + hues[:, 1] ** 2, change**2 + strengths[:, 1] ** 2
    return (by_strength[:, :, None] + by_hue[:, None]).reshape(len(means), -1)
