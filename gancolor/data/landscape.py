"""How a scene is composed: a sky, what lies under it, and the things that stand there.

Coordinates run from 0 to 1 over the picture, y downwards; light is L*.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from gancolor.data.paint import Canvas
from gancolor.data.things import balloon, cars, flowers, house, sail, tree, woods

BALLOON_SHARE = 0.12  # of all scenes, has a balloon
FLOWER_SHARE = 0.3  # of the meadows, has magenta flowers
PLACES = {"street": 0.34, "meadow": 0.24, "field": 0.2, "coast": 0.22}
SKIES = {"day": 0.6, "sunset": 0.18, "overcast": 0.22}


def landscape(canvas: Canvas) -> None:
    """Draw a scene on a blank canvas."""
    sky, place = canvas.pick(SKIES), canvas.pick(PLACES)
    horizon = canvas.uniform(0.38, 0.55)
    _SKY[sky](canvas, horizon)
    empty = canvas.row.copy()
    if canvas.rng.random() < 0.6:
        _mountains(canvas, horizon)
    _PLACE[place](canvas, horizon, sky)
    canvas.light[canvas.row != empty] *= _DAYLIGHT[sky]
    if place in _HAS_CARS:
        cars(canvas)
    if canvas.rng.random() < BALLOON_SHARE:
        balloon(canvas, horizon)


def _ridge(canvas: Canvas, base: float, height: float, waves: float) -> Float[ndarray, "1 w"]:
    """The outline of something wavy."""
    phases = 2 * np.pi * canvas.rng.random(3)
    pitches = np.array([1, 1.9, 4.3])
    swing = np.sin(2 * np.pi * waves * pitches * canvas.x.T + phases) @ (1 / pitches)
    return (base - height * swing / 2)[None]


# --- skies


def _day(canvas: Canvas, horizon: float) -> None:
    """Blue that pales towards the horizon, white clouds, perhaps the sun."""
    canvas.fill("day", canvas.uniform(46.0, 60.0) + 26 * canvas.y / horizon)
    if canvas.rng.random() < 0.35:
        x, y, r = canvas.uniform(0.1, 0.9), canvas.uniform(0.08, 0.25), canvas.uniform(0.03, 0.05)
        distance = canvas.disc(x, y, r, r)
        np.maximum(canvas.light, 97 - 4 * distance, out=canvas.light)
        canvas.fill("sun", 97.0, distance < 1)

    cover = canvas.texture("clouds") - canvas.uniform(0.2, 1.6) + 0.3 * canvas.y / horizon
    puffs = np.minimum(canvas.light + 45 * np.maximum(cover, 0), 97 - 6 * np.maximum(cover - 0.6, 0))
    canvas.fill("day cloud", puffs, cover > 0.35)
    np.copyto(canvas.light, puffs, where=cover > 0)


def _sunset(canvas: Canvas, horizon: float) -> None:
    """Dark above, glowing below, streaked, with a low sun."""
    x, r = canvas.uniform(0.15, 0.85), canvas.uniform(0.04, 0.07)
    y = horizon - canvas.uniform(0.5, 2.5) * r
    glow = np.exp(-canvas.disc(x, y, 0.35, 0.2))
    streaks = canvas.texture("streaks")
    canvas.fill("sunset", 24 + 42 * (canvas.y / horizon) ** 1.3 + 18 * glow + 7 * streaks)
    canvas.fill("sun", 95.0, canvas.disc(x, y, r, r) < 1)


def _overcast(canvas: Canvas, horizon: float) -> None:
    """Billows from edge to edge."""
    canvas.fill("overcast", 66 + 14 * canvas.y / horizon + 8 * canvas.texture("clouds"))


# --- land and water


def _mountains(canvas: Canvas, horizon: float) -> None:
    """A far range with snow on its tops."""
    tops = canvas.rng.random(9) * np.array([0.5, 1, 0.5, 1, 0.5, 1, 0.5, 1, 0.5])
    height = canvas.uniform(0.14, 0.3) * np.interp(canvas.x, np.linspace(0, 1, 9), tops)
    rock = canvas.texture("rock")
    ridge = horizon + 0.02 - height + 0.008 * rock[:1]
    slope = np.sign(np.gradient(ridge[0]))[None]
    side = np.sign(np.roll(rock, 2, axis=1) - rock) * 0.5 + slope
    where = (canvas.y > ridge) & (canvas.y < horizon + 0.05)
    canvas.fill("mountain", 42 - 6 * side + 3 * rock + 20 * (canvas.y - horizon), where)
    snow = horizon - canvas.uniform(0.07, 0.16) + 0.015 * rock
    canvas.fill("snow", 86 - 7 * side + 2 * rock, where & (canvas.y < snow))


def _hill(canvas: Canvas, base: float, height: float, light: float, horizon: float) -> Float[ndarray, "1 w"]:
    """Grass from a wavy outline down; returns the outline."""
    ridge = _ridge(canvas, base, height, canvas.uniform(0.5, 1.1))
    slope = np.gradient(ridge[0])[None] * canvas.n
    depth = np.clip((canvas.y - horizon) / (1 - horizon), 0, 1)
    blades = canvas.receding("blades", horizon - 0.05) * (2 + 5 * depth)
    broad = 3 * canvas.texture("clouds")
    canvas.fill("grass", light + 16 * slope + blades + broad - 8 * (canvas.y - ridge), canvas.y > ridge)
    return ridge


def _meadow(canvas: Canvas, horizon: float, sky: str) -> None:
    """Rolling hills with trees, perhaps a house, perhaps flowers."""
    ridge = _hill(canvas, horizon, 0.05, 62.0, horizon)
    woods(canvas, ridge, 0.1, 6)
    ridge = _hill(canvas, horizon + 0.12, 0.08, 55.0, horizon)
    if canvas.rng.random() < 0.4:
        house(canvas, canvas.uniform(0.05, 0.65), horizon + canvas.uniform(0.18, 0.25), canvas.uniform(0.2, 0.28))
    woods(canvas, ridge + 0.05, 0.24, 4)
    _hill(canvas, horizon + 0.34, 0.06, 48.0, horizon)
    if canvas.rng.random() < FLOWER_SHARE:
        flowers(canvas, horizon + 0.32)
    if canvas.rng.random() < 0.5:
        tree(canvas, canvas.uniform(0.1, 0.9), canvas.uniform(0.85, 1.0), canvas.uniform(0.45, 0.65))


def _field(canvas: Canvas, horizon: float, sky: str) -> None:
    """Ripe furrows that run to the horizon."""
    ridge = _hill(canvas, horizon, 0.06, 58.0, horizon)
    woods(canvas, ridge, 0.12, 5)
    top = _ridge(canvas, horizon + canvas.uniform(0.06, 0.14), 0.02, 0.6)
    far = horizon - canvas.uniform(0.02, 0.08)
    furrow = (canvas.x - canvas.uniform(0.1, 0.9)) / (canvas.y - far).clip(0.02)
    depth = (canvas.y - far).clip(0, 1)
    stripes = np.sin(2 * np.pi * canvas.uniform(1.6, 2.6) * furrow) * np.minimum(40 * depth, 9)
    light = 66 + stripes + 4 * canvas.receding("grain", far) - 10 * (depth - 0.3)
    canvas.fill("field", light, canvas.y > top)
    if canvas.rng.random() < 0.5:
        house(canvas, canvas.uniform(0.02, 0.7), horizon + 0.16, canvas.uniform(0.18, 0.28))
    woods(canvas, top + 0.06, 0.26, 3)


def _coast(canvas: Canvas, horizon: float, sky: str) -> None:
    """Sea, foam and sand."""
    waves = canvas.receding("waves", horizon)
    light = 46 - 14 * (canvas.y - horizon) + 5 * waves + 8 * np.maximum(waves - 1, 0)
    canvas.fill(f"{sky} sea", light, canvas.y > horizon)
    for _ in range(canvas.below(3)):
        sail(canvas, canvas.uniform(0.1, 0.9), horizon + canvas.uniform(0.02, 0.12))
    tilt = canvas.uniform(-0.25, 0.25)
    shore = _ridge(canvas, canvas.uniform(0.7, 0.85), 0.04, 0.8) + tilt * (canvas.x - 0.5)
    foam = 0.012 * canvas.texture("waves")
    canvas.fill("detail", 93.0, canvas.y > shore - 0.02 + foam)
    wet = np.minimum(0, 180 * (canvas.y - shore - 0.1))
    canvas.fill("sand", 80 + wet + 4.5 * canvas.receding("grain", 0.2), canvas.y > shore + foam / 2)


def _street(canvas: Canvas, horizon: float, sky: str) -> None:
    """Houses and trees along a road."""
    ridge = _hill(canvas, horizon, 0.05, 60.0, horizon)
    woods(canvas, ridge, 0.1, 4)
    canvas.fill("grass", 50 + 5 * canvas.receding("blades", horizon), canvas.y > 0.62)
    x = canvas.uniform(-0.1, 0.1)
    while x < 0.85:
        width = canvas.uniform(0.26, 0.42)
        house(canvas, x, canvas.uniform(0.68, 0.71), width)
        tree(canvas, x + width + 0.06, canvas.uniform(0.7, 0.74), canvas.uniform(0.2, 0.42))
        x += width + canvas.uniform(0.1, 0.2)
    canvas.fill("road", 72 + 2 * canvas.texture("grain"), canvas.y > 0.735)
    canvas.fill("road", 44 + 2.5 * canvas.texture("grain"), canvas.y > 0.76)
    dashes = (canvas.x * 5 + canvas.rng.random()) % 1 < 0.5
    canvas.fill("road", 90.0, dashes & (abs(canvas.y - 0.895) < 0.009))


_Ground = Callable[[Canvas, float, str], None]
_SKY: dict[str, Callable[[Canvas, float], None]] = {"day": _day, "sunset": _sunset, "overcast": _overcast}
_PLACE: dict[str, _Ground] = {"street": _street, "meadow": _meadow, "field": _field, "coast": _coast}
_DAYLIGHT = {"day": 1.0, "sunset": 0.8, "overcast": 0.95}  # factor of the land's L*
_HAS_CARS = {"street"}
