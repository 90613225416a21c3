"""Pictures of ``ilrl/RiskyPath-v0``."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.raster import Color, Point, blank, disc, path, rectangle, segment

_WIDTH, _HEIGHT = 720, 360
_SKY, _ROCK, _EDGE, _GRASS, _DEPTH = (226, 238, 247), (112, 104, 100), (92, 84, 82), (120, 168, 98), (38, 36, 52)
_ROAD, _ROPE, _PLANK, _GOLD, _RIM = (214, 190, 146), (110, 74, 40), (166, 118, 68), (240, 190, 48), (176, 128, 20)
_WALL, _ROOF, _DOOR, _CHEST, _LOSS = (236, 222, 196), (170, 72, 56), (104, 70, 48), (134, 84, 44), (226, 84, 76)
_AGENT, _SKIN = (28, 96, 168), (240, 206, 176)
_FEET: tuple[Point, ...] = ((86.0, 168.0), (320.0, 306.0), (610.0, 130.0), (424.0, 334.0))  # by state
_MOST_COINS = 10


def draw(state: int, safe: float, prize: float, loss: float) -> NDArray[np.uint8]:
    """Return a picture of shape ``(360, 720, 3)``.

    :param state: 0 fork, 1 village, 2 treasure, 3 abyss
    :param safe: reward of the village, drawn as coins
    :param prize: reward of the treasure, drawn as coins
    :param loss: reward of the abyss, drawn as red coins
    """
    picture: NDArray[np.uint8] = _scene(safe, prize, loss).copy()
    x, feet = _FEET[state]
    hip, shoulder = feet - 17.0, feet - 34.0
    if state == 3:  # lying
        path(picture, [(x - 30.0, feet), (x - 12.0, feet - 3.0), (x + 10.0, feet - 3.0)], 3.4, _AGENT)
        disc(picture, (x + 20.0, feet - 4.0), 7.0, _SKIN)
        return picture
    path(picture, [(x - 7.0, feet), (x, hip), (x + 7.0, feet)], 3.0, _AGENT)
    segment(picture, (x, hip), (x, shoulder), 4.6, _AGENT)
    raised = -12.0 if state == 2 else 12.0
    arms = [(x - 11.0, shoulder + raised), (x, shoulder + 2.0), (x + 11.0, shoulder + raised)]
    path(picture, arms, 2.4, _AGENT)
    disc(picture, (x, shoulder - 10.0), 7.5, _SKIN)
    return picture


def write(names: Sequence[str], state: int, rewards: Sequence[float]) -> str:
    """Return the states with their rewards, a line each, the agent a ``@``.

    :param names: of the states
    :param state: where the agent is
    :param rewards: of the states
    """
    lines = [
        f"{'@' if number == state else ' '} {name:<8} {reward:+g}"
        for number, (name, reward) in enumerate(zip(names, rewards, strict=True))
    ]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=8)
def _scene(safe: float, prize: float, loss: float) -> NDArray[np.uint8]:
    """Everything that does not move."""
    picture = blank(_WIDTH, _HEIGHT, _SKY)
    share = np.clip(np.linspace(-0.1, 1.3, _HEIGHT - 170), 0.0, 1.0)[:, None, None]  # darker and darker
    picture[170:, 372:536] = np.rint(share * _DEPTH + (1.0 - share) * _SKY).astype(np.uint8)
    _draw_ground(picture)
    _draw_bridge(picture, (176.0, 170.0), (536.0, 130.0))
    _draw_village(picture, 214.0, 306.0)
    _draw_chest(picture, 660.0, 130.0)
    _draw_coins(picture, 236.0, 256.0, safe, _GOLD, _RIM)
    _draw_coins(picture, 654.0, 80.0, prize, _GOLD, _RIM)
    _draw_coins(picture, 462.0, 324.0, -loss, _LOSS, (140, 36, 36))
    return picture


def _draw_ground(picture: NDArray[np.uint8]) -> None:
    """A cliff on either side, a ledge that leads down on the left, and the bottom of the abyss between."""
    rectangle(picture, (0.0, 170.0), (176.0, _HEIGHT), _ROCK)
    rectangle(picture, (536.0, 130.0), (_WIDTH, _HEIGHT), _ROCK)
    rectangle(picture, (176.0, 308.0), (372.0, _HEIGHT), _ROCK)
    rectangle(picture, (372.0, 336.0), (536.0, _HEIGHT), _EDGE)
    for x in np.arange(380.0, 536.0, 22.0):  # sharp stones
        segment(picture, (x, 338.0), (x + 5.0, 326.0), 2.6, _EDGE)
    for left, right, top in ((0.0, 176.0, 170.0), (536.0, _WIDTH, 130.0), (176.0, 372.0, 308.0)):
        rectangle(picture, (left, top), (right, top + 8.0), _GRASS)
    path(picture, [(24.0, 174.0), (172.0, 174.0)], 4.0, _ROAD)
    path(picture, [(120.0, 176.0), (128.0, 230.0), (158.0, 288.0), (190.0, 311.0), (340.0, 311.0)], 4.0, _ROAD)


def _draw_bridge(picture: NDArray[np.uint8], near: Point, far: Point) -> None:
    """Planks on sagging ropes, some of them missing."""
    share = np.linspace(0.0, 1.0, 25)
    x = near[0] + (far[0] - near[0]) * share
    y = near[1] + (far[1] - near[1]) * share + 34.0 * 4.0 * share * (1.0 - share)
    deck = list(zip(x.tolist(), y.tolist(), strict=True))
    rail = [(left, top - 30.0 + 6.0 * abs(2.0 * s - 1.0)) for (left, top), s in zip(deck, share.tolist(), strict=True)]
    for number, ((left, top), (_, high)) in enumerate(zip(deck, rail, strict=True)):
        if number % 3 == 0:
            segment(picture, (left, top), (left, high), 0.8, _ROPE)
        if number not in (9, 10, 14, 17):
            segment(picture, (left - 5.0, top), (left + 5.0, top), 2.6, _PLANK)
    path(picture, deck, 0.9, _ROPE)
    path(picture, rail, 1.2, _ROPE)


def _draw_village(picture: NDArray[np.uint8], left: float, ground: float) -> None:
    for x, width, height in ((left, 34.0, 26.0), (left + 42.0, 28.0, 20.0)):
        rectangle(picture, (x, ground - height), (x + width, ground), _WALL)
        rectangle(picture, (x + 0.4 * width, ground - 0.55 * height), (x + 0.65 * width, ground), _DOOR)
        for line in np.arange(0.0, 15.0):  # the roof, a triangle
            inset = (width / 2.0 + 5.0) * line / 15.0
            y = ground - height - line
            segment(picture, (x - 5.0 + inset, y), (x + width + 5.0 - inset, y), 0.8, _ROOF)


def _draw_chest(picture: NDArray[np.uint8], left: float, ground: float) -> None:
    rectangle(picture, (left, ground - 22.0), (left + 36.0, ground), _CHEST)
    rectangle(picture, (left, ground - 24.0), (left + 36.0, ground - 19.0), _GOLD)
    rectangle(picture, (left + 15.0, ground - 19.0), (left + 21.0, ground - 11.0), _GOLD)
    segment(picture, (left - 2.0, ground - 30.0), (left + 38.0, ground - 30.0), 4.0, _DOOR)


def _draw_coins(picture: NDArray[np.uint8], left: float, y: float, amount: float, color: Color, rim: Color) -> None:
    """One coin for each unit of reward, rounded, and ten at most."""
    for number in range(min(round(amount), _MOST_COINS)):
        centre = (left + 16.0 * number, y)
        disc(picture, centre, 7.5, rim)
        disc(picture, centre, 6.0, color)
