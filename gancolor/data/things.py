"""What stands in a landscape: trees, houses, cars and the like; the same coordinates as on a canvas."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from gancolor.data.paint import BALLOON_HUES, BALLOON_LIGHT, CAR_COLORS, CAR_LIGHT, TREE_COLORS, Canvas


def woods(canvas: Canvas, ground: Float[ndarray, "1 w"], height: float, most: int) -> None:
    """Up to so many trees that stand near a line."""
    for _ in range(canvas.below(most + 1)):
        x = canvas.rng.random()
        foot = float(ground[0, int(x * canvas.n)]) + canvas.uniform(0.02, 0.06)
        tree(canvas, x, foot, height * canvas.uniform(0.7, 1.3))


def tree(canvas: Canvas, x: float, foot: float, height: float) -> None:
    """One tree of either kind."""
    _TREE[canvas.pick({"round": 0.6, "conifer": 0.4})](canvas, x, foot, height)


def _round_tree(canvas: Canvas, x: float, foot: float, height: float) -> None:
    """A crown of overlapping balls of leaves, lit from the upper left."""
    trunk = canvas.window(x - 0.05 * height, foot - 0.45 * height, x + 0.05 * height, foot)
    trunk.fill("trunk", 32 + 5 * trunk.texture("blades"))
    crown = canvas.window(x - 0.42 * height, foot - height, x + 0.42 * height, foot - 0.25 * height)
    color = canvas.pick({name: share for name, (share, _) in TREE_COLORS.items()})
    middle, leaves = foot - 0.64 * height, crown.texture("leaves")
    lit, where = np.full(crown.light.shape, -np.inf, np.float32), False
    for turn in 2 * np.pi * (np.arange(5) + canvas.rng.random()) / 5:
        ball = crown.disc(
            x + 0.19 * height * np.cos(turn), middle + 0.16 * height * np.sin(turn), 0.22 * height, 0.2 * height
        )
        where = where | (ball + 0.15 * leaves < 1)
        np.maximum(lit, -10 * ball - 4 * np.sin(-turn), out=lit)
    light = 56 + lit - 34 * (crown.y - middle + crown.x - x) / height + 7 * leaves
    crown.fill(f"{color} tree", light, where)


def _conifer(canvas: Canvas, x: float, foot: float, height: float) -> None:
    """Three tiers of dark needles."""
    trunk = canvas.window(x - 0.03 * height, foot - 0.15 * height, x + 0.03 * height, foot)
    trunk.fill("trunk", 26.0)
    tree = canvas.window(x - 0.3 * height, foot - height, x + 0.3 * height, foot - 0.1 * height)
    down = (tree.y - foot) / height + 1
    tier = np.where(down < 0.35, down, np.where(down < 0.62, down - 0.15, down - 0.32))
    needles = tree.texture("blades")
    side = (tree.x - x) / height
    where = abs(side) < 0.45 * tier + 0.015 * needles
    tree.fill("conifer", 34 - 30 * side - 30 * (tier - 0.3) + 5 * needles, where)


def house(canvas: Canvas, left: float, foot: float, width: float) -> None:
    """A wall, a gable roof, a door and windows."""
    wall_height, roof_height = width * canvas.uniform(0.5, 0.75), width * canvas.uniform(0.35, 0.5)
    eaves = foot - wall_height
    wall = canvas.window(left, eaves, left + width, foot)
    _WALL[canvas.pick({"brick": 0.45, "planks": 0.35, "plaster": 0.2})](wall, left, eaves)
    roof = canvas.window(left - 0.06 * width, eaves - roof_height, left + 1.06 * width, eaves)
    inset = 0.5 * canvas.uniform(0.3, 1.0)
    across = abs(roof.x - left - width / 2) / (0.56 * width)
    down = (roof.y - eaves) / roof_height + 1
    where = across < (1 - 2 * inset) + 2 * inset * down
    _ROOF[canvas.pick({"tiles": 0.7, "slate": 0.3})](roof, left, eaves, where)
    door = canvas.uniform(0.4, 0.6)
    for x, high in ((0.22, 0.0), (0.78, 0.0), (door, 1.0)):
        _opening(
            canvas,
            left + x * width,
            eaves + 0.28 * wall_height,
            0.16 * width,
            foot if high else eaves + 0.68 * wall_height,
        )


def _opening(canvas: Canvas, x: float, top: float, width: float, bottom: float) -> None:
    """A pale frame around dark glass."""
    canvas.window(x - width / 2, top, x + width / 2, bottom).fill("detail", 90.0)
    glass = canvas.window(x - 0.36 * width, top + 0.14 * width, x + 0.36 * width, bottom - 0.14 * width)
    glass.fill("window", 30 - 60 * (glass.y - top) + 60 * (glass.x - x))


def _courses(
    canvas: Canvas, left: float, top: float, width: float, height: float
) -> tuple[Float[ndarray, "h w"], Float[ndarray, "h w"], Float[ndarray, "h w"]]:
    """Staggered rows of bricks: the place across and down each, and a random number for each."""
    v = (canvas.y - top) / height
    u = (canvas.x - left) / width + 0.5 * (np.floor(v) % 2)
    chance = np.sin(12.9898 * np.floor(u) + 78.233 * np.floor(v)) * 43.7
    return u % 1, v % 1 + 0 * u, chance % 1


def _brick(wall: Canvas, left: float, top: float) -> None:
    """Red bricks with pale mortar."""
    u, v, chance = _courses(wall, left, top, 0.075, 0.036)
    wall.fill("brick", np.where((u < 0.14) | (v < 0.28), 70, 38 + 12 * chance))


def _planks(wall: Canvas, left: float, top: float) -> None:
    """Upright boards with dark gaps."""
    u = (wall.x - left) / 0.045
    tone = 46 + 9 * np.sin(2.4 * np.floor(u)) + 3 * wall.texture("blades")
    wall.fill("planks", np.where(u % 1 < 0.2, 24, tone))


def _plaster(wall: Canvas, left: float, top: float) -> None:
    """Pale and plain."""
    wall.fill("plaster", 84 + 1.5 * wall.texture("rock"))


def _tiles(roof: Canvas, left: float, bottom: float, where: Bool[ndarray, "h w"]) -> None:
    """Rounded clay tiles in shadowed rows."""
    u, v, chance = _courses(roof, left, bottom, 0.05, 0.042)
    roof.fill("tiles", 50 - 26 * (v > 0.95 - 1.6 * (u - 0.5) ** 2) + 7 * chance, where)


def _slate(roof: Canvas, left: float, bottom: float, where: Bool[ndarray, "h w"]) -> None:
    """Thin level courses."""
    v = (roof.y - bottom) / 0.03
    roof.fill("slate", 36 + 7 * (v % 1 < 0.4) + 2 * roof.texture("waves"), where)


def sail(canvas: Canvas, x: float, foot: float) -> None:
    """A white triangle over a dark hull."""
    size = canvas.uniform(0.06, 0.13)
    sail = canvas.window(x - size / 2, foot - size, x + size / 2, foot)
    down = (sail.y - foot) / size + 1
    sail.fill("detail", 95.0, abs(sail.x - x) < 0.4 * size * down - 0.1 * size)
    canvas.window(x - size / 2, foot, x + size / 2, foot + 0.2 * size).fill("detail", 22.0)


def flowers(canvas: Canvas, top: float) -> None:
    """Magenta blossoms, larger when nearer."""
    for depth in np.sort(canvas.rng.random(10 + canvas.below(20))):
        r = 0.012 + 0.014 * depth
        x, y = canvas.rng.random(), top + 0.06 + (0.92 - top) * depth
        patch = canvas.window(x - r, y - r, x + r, y + r)
        distance = patch.disc(x, y, r, r)
        patch.fill("flower", 62 - 14 * distance, distance < 1)


def balloon(canvas: Canvas, horizon: float) -> None:
    """A hot-air balloon of any hue; lightness says nothing of it."""
    r = canvas.uniform(0.07, 0.13)
    x, y = canvas.uniform(0.15, 0.85), canvas.uniform(r + 0.02, max(r + 0.03, horizon - 2.2 * r))
    canvas.window(x - 0.2 * r, y + 1.45 * r, x + 0.2 * r, y + 1.75 * r).fill("trunk", 30.0)
    envelope = canvas.window(x - r, y - r, x + r, y + 1.4 * r)
    below = np.maximum(envelope.y - y, 0) / (1.4 * r)
    across = abs(envelope.x - x) / r
    half = np.sqrt(1 - np.minimum((np.minimum(envelope.y - y, 0) / r) ** 2, 1)) * (1 - 0.75 * below**1.5)
    gore = np.floor(3.5 * np.arcsin(np.minimum(across / half.clip(0.01), 1)) / (np.pi / 2) + 0.5) % 2
    color = f"balloon {canvas.below(BALLOON_HUES)}"
    envelope.fill(color, np.where(gore == 0, *BALLOON_LIGHT), across < half)


def cars(canvas: Canvas) -> None:
    """One to three cars, each in its own stretch of the road."""
    stretches = 1 + canvas.below(3)
    for i in range(stretches):
        length = min(canvas.uniform(0.24, 0.4), 0.94 / stretches)
        left = (i + canvas.rng.random() * 0.98) / stretches
        _car(canvas, min(left, (i + 0.98) / stretches - length), canvas.uniform(0.84, 0.97), length)


def _car(canvas: Canvas, left: float, foot: float, length: float) -> None:
    """A car from the side, whose color lightness does not show."""
    top = foot - 0.42 * length
    box = canvas.window(left, top, left + length, foot)
    u, v = (box.x - left) / length, (box.y - top) / (0.42 * length)
    box.light[(box.disc(left + length / 2, foot - 0.04 * length, 0.5 * length, 0.05 * length) < 1)] *= 0.6
    cabin = (v > 0.04) & (abs(u - 0.5) < 0.2 + 0.26 * v) & (v < 0.5)
    body = (v > 0.4) & (v < 0.84) & (((abs(u - 0.5) / 0.5) ** 4 + (abs(v - 0.72) / 0.36) ** 4) < 1)
    color = canvas.pick({name: share for name, (share, _) in CAR_COLORS.items()})
    box.fill(f"{color} car", CAR_LIGHT, cabin | body)
    glass = (v > 0.13) & (v < 0.4) & (abs(u - 0.5) < 0.14 + 0.26 * v) & (abs(u - 0.5) > 0.02)
    box.fill("window", 34 + 40 * (0.4 - v) + 0 * u, glass)
    for x in (0.22, 0.78):
        wheel = box.disc(left + x * length, foot - 0.1 * length, 0.1 * length, 0.1 * length)
        box.fill("detail", np.where(wheel < 0.25, 70.0, 14.0), wheel < 1)


_TREE: dict[str, Callable[[Canvas, float, float, float], None]] = {"round": _round_tree, "conifer": _conifer}
_WALL = {"brick": _brick, "planks": _planks, "plaster": _plaster}
_ROOF = {"tiles": _tiles, "slate": _slate}
