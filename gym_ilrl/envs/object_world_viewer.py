"""Pictures of ``ilrl/ObjectWorld-v0``."""

import colorsys

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.open_grid_viewer import cell_pixels, corner, floor, table
from gym_ilrl.envs.raster import Color, disc

_GOOD, _NEUTRAL, _BAD, _LINE = (196, 226, 186), (248, 246, 240), (243, 208, 200), (228, 225, 216)
_FIRST_COLORS: tuple[Color, ...] = ((32, 96, 176), (236, 140, 28))  # the two that matter


def scene(
    rewards: NDArray[np.float64],
    places: NDArray[np.int64],
    inner: NDArray[np.int64],
    outer: NDArray[np.int64],
    n_colors: int,
) -> NDArray[np.uint8]:
    """Return a picture of everything that does not move: green cells pay, red ones cost.

    :param rewards: of the cells, of shape ``(size, size)``
    :param places: cells of the objects, of shape ``(n_objects,)``
    :param inner: their inner colours, of shape ``(n_objects,)``
    :param outer: their outer colours, of shape ``(n_objects,)``
    :param n_colors: number of colours
    """
    size, cell, colors = len(rewards), cell_pixels(len(rewards)), palette(n_colors)
    tints = np.array([_BAD, _NEUTRAL, _GOOD], dtype=np.uint8)
    picture = floor(tints[np.sign(rewards).astype(np.int64) + 1], _LINE)
    for place, inside, outside in zip(places.tolist(), inner.tolist(), outer.tolist(), strict=True):
        left, top = corner(place, size)
        centre = (left + 0.5 * cell, top + 0.5 * cell)
        disc(picture, centre, 0.36 * cell, colors[outside])
        disc(picture, centre, 0.20 * cell, (255, 255, 255))
        disc(picture, centre, 0.16 * cell, colors[inside])
    return picture


def write(
    rewards: NDArray[np.float64],
    places: NDArray[np.int64],
    inner: NDArray[np.int64],
    outer: NDArray[np.int64],
    agent: int,
) -> str:
    """Return the grid in text: ``+``, ``-`` or ``.`` for what a cell pays, objects as ``Ba``: outer B, inner A.

    :param rewards: of the cells, of shape ``(size, size)``
    :param places: cells of the objects, of shape ``(n_objects,)``
    :param inner: their inner colours, of shape ``(n_objects,)``
    :param outer: their outer colours, of shape ``(n_objects,)``
    :param agent: index of the agent's cell, which is put in brackets
    """
    objects = np.full(rewards.size, "  ")
    objects[places] = [f"{chr(65 + o)}{chr(97 + i)}" for o, i in zip(outer.tolist(), inner.tolist(), strict=True)]
    signs = np.array(["-", ".", "+"])[np.sign(rewards).astype(np.int64) + 1]
    return table(np.char.add(signs, objects.reshape(rewards.shape)), agent)


def palette(n_colors: int) -> list[Color]:
    """Return a colour for each number: blue and orange for the first two, and hues between for the others."""
    others = [colorsys.hsv_to_rgb(share, 0.55, 0.72) for share in np.linspace(0.22, 0.98, max(n_colors - 2, 1))]
    shades: list[Color] = [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in others]
    return [*_FIRST_COLORS, *shades][:n_colors]
