"""Pictures of ``ilrl/Tightrope-v0``."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.raster import blank, disc, path, rectangle, segment

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT = 60.0, 660.0  # the ends of the rope
_FEET = (90.0, 144.0, 210.0)  # height of the walker's feet on the rope, in the net, on the ground
_LANES = ("rope", "net", "ground")

_SKY, _EARTH, _GRASS, _ROCK = (226, 238, 247), (124, 96, 72), (108, 160, 92), (92, 98, 112)
_ROPE_COLOR, _NET_COLOR, _MARK = (128, 84, 40), (150, 165, 185), (170, 130, 90)
_WALKER = ((28, 96, 168), (214, 128, 20), (190, 40, 44))  # colour on the rope, in the net, on the ground


def draw(length: int, cell: int, lane: int) -> NDArray[np.uint8]:
    """Return a picture of shape ``(240, 720, 3)`` seen from the side.

    :param length: number of cells
    :param cell: where the walker is, from 0 to ``length``
    :param lane: 0 rope, 1 net, 2 ground
    """
    picture: NDArray[np.uint8] = _scene(length).copy()
    x = _LEFT + (_RIGHT - _LEFT) * cell / length
    segment(picture, (_LEFT, 226.0), (_RIGHT, 226.0), 3.0, (98, 74, 54))
    segment(picture, (_LEFT, 226.0), (x, 226.0), 3.0, (244, 232, 200))  # how far the episode is
    _draw_walker(picture, x, lane)
    return picture


def write(length: int, cell: int, lane: int) -> str:
    """Return three lines of text, one a lane, the walker a ``@``.

    :param length: number of cells
    :param cell: where the walker is, from 0 to ``length``
    :param lane: 0 rope, 1 net, 2 ground
    """
    lines = [f"cell {cell} of {length}"]
    for number, (name, mark) in enumerate(zip(_LANES, "-~.", strict=True)):
        cells = [mark] * length + ["|"]
        if number == lane:
            cells[cell] = "@"
        lines.append(f"{name:>6} {''.join(cells)}")
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=8)
def _scene(length: int) -> NDArray[np.uint8]:
    """Everything that does not move."""
    picture = blank(_WIDTH, _HEIGHT, _SKY)
    rope, net, ground = _FEET
    rectangle(picture, (0, ground), (_WIDTH, _HEIGHT), _EARTH)
    rectangle(picture, (0, ground), (_WIDTH, ground + 6), _GRASS)
    for near, far in ((0.0, _LEFT), (_RIGHT, float(_WIDTH))):
        rectangle(picture, (near, rope), (far, ground), _ROCK)
        rectangle(picture, (near, rope), (far, rope + 6), _GRASS)
    for x in np.arange(_LEFT, _RIGHT, 12.0):  # the meshes
        segment(picture, (x, net), (x + 12.0, net + 14.0), 0.6, _NET_COLOR)
        segment(picture, (x + 12.0, net), (x, net + 14.0), 0.6, _NET_COLOR)
    for y in (net, net + 14.0):
        segment(picture, (_LEFT, y), (_RIGHT, y), 1.0, _NET_COLOR)
    segment(picture, (_LEFT, rope), (_RIGHT, rope), 2.0, _ROPE_COLOR)
    for x in np.linspace(_LEFT, _RIGHT, length + 1)[1:-1]:
        segment(picture, (x, rope - 1.0), (x, rope + 1.0), 0.7, _MARK)
    segment(picture, (_RIGHT + 30, rope), (_RIGHT + 30, rope - 46), 1.5, (70, 70, 76))
    for y in range(16):  # the flag, a triangle
        segment(
            picture, (_RIGHT + 31, rope - 46 + y), (_RIGHT + 31 + 22 - abs(y - 8) * 2.6, rope - 46 + y), 0.8, _WALKER[2]
        )
    return picture


def _draw_walker(picture: NDArray[np.uint8], x: float, lane: int) -> None:
    feet, color = _FEET[lane] - 1.0, _WALKER[lane]
    hip, shoulder, head = feet - 18.0, feet - 34.0, feet - 43.0
    path(picture, [(x - 7.0, feet), (x, hip), (x + 7.0, feet)], 2.2, color)
    segment(picture, (x, hip), (x, shoulder), 2.8, color)
    if lane == 0:  # with a balancing pole
        segment(picture, (x - 36.0, shoulder + 9.0), (x + 36.0, shoulder + 9.0), 1.2, (80, 60, 48))
        path(picture, [(x - 10.0, shoulder + 8.0), (x, shoulder + 2.0), (x + 10.0, shoulder + 8.0)], 1.8, color)
    else:  # with raised arms
        path(picture, [(x - 10.0, shoulder - 9.0), (x, shoulder + 2.0), (x + 10.0, shoulder - 9.0)], 1.8, color)
    disc(picture, (x, head), 6.0, color)
