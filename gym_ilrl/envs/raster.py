"""Smooth shapes on a picture, in numpy: an environment's rgb_array needs no drawing library.

A shape is the set of points at a distance of at most ``radius`` from something; a pixel is covered by
``clip(radius - distance + 1/2, 0, 1)`` of it, which smooths the edge.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
Point = tuple[float, float]  # x to the right, y down, in pixels


def blank(width: int, height: int, color: Color) -> NDArray[np.uint8]:
    """Return a picture of one colour, of shape ``(height, width, 3)``."""
    return np.full((height, width, 3), color, dtype=np.uint8)


def rectangle(picture: NDArray[np.uint8], corner: Point, opposite: Point, color: Color) -> None:
    """Fill the rectangle between two corners, rounded to whole pixels."""
    (left, top), (right, bottom) = corner, opposite
    picture[max(round(top), 0) : max(round(bottom), 0), max(round(left), 0) : max(round(right), 0)] = color


def disc(picture: NDArray[np.uint8], centre: Point, radius: float, color: Color) -> None:
    """Fill a disc."""
    segment(picture, centre, centre, radius, color)


def segment(picture: NDArray[np.uint8], start: Point, end: Point, radius: float, color: Color) -> None:
    """Draw a straight line with round ends.

    :param radius: half the thickness of the line, in pixels
    """
    (x0, y0), (x1, y1) = start, end
    rows = _pixels(min(y0, y1) - radius, max(y0, y1) + radius, picture.shape[0])
    columns = _pixels(min(x0, x1) - radius, max(x0, x1) + radius, picture.shape[1])
    y, x = np.mgrid[rows, columns] + 0.5
    along, length = (x1 - x0, y1 - y0), max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-12)
    share = np.clip(((x - x0) * along[0] + (y - y0) * along[1]) / length, 0.0, 1.0)
    distance = np.hypot(x - x0 - share * along[0], y - y0 - share * along[1])
    cover = np.clip(radius - distance + 0.5, 0.0, 1.0)[..., None]
    patch = picture[rows, columns]
    patch[:] = np.rint(patch + cover * (np.array(color) - patch)).astype(np.uint8)


def path(picture: NDArray[np.uint8], points: Sequence[Point], radius: float, color: Color) -> None:
    """Join points by straight lines."""
    for start, end in pairwise(points):
        segment(picture, start, end, radius, color)


def _pixels(low: float, high: float, size: int) -> slice:
    first, last = np.clip([np.floor(low) - 1, np.ceil(high) + 1], 0, size).astype(int).tolist()
    return slice(first, last)
