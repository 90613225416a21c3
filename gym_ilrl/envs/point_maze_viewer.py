"""Pictures of ``ilrl/SparsePointMaze-v0``."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.point_maze_layouts import PointMazeLayout
from gym_ilrl.envs.raster import Color, Point, disc, path, rectangle, segment

_TARGET = 480  # pixels, about, along the longer side
_MARGIN = 0.4  # cells of wall around the outermost free cells
_RADIUS = 0.16  # of the point, in cells
_WAKE = 1.8  # steps: how far back the streak behind the point reaches
_FLOOR, _WALL, _START, _GOAL, _FLAG = (248, 246, 240), (52, 60, 76), (206, 222, 240), (208, 234, 200), (38, 128, 64)
_POINT, _STREAK, _SHADOW = (28, 96, 168), (150, 186, 220), (214, 211, 202)


def draw(layout: PointMazeLayout, position: Point, velocity: Point) -> NDArray[np.uint8]:
    """Return a picture of about 480 pixels along the longer side, or of 4 pixels a cell if that is more.

    The point is drawn as a disc and the walls thinner by its radius, so that the disc touches a wall when the point is
    at its face.

    :param layout: where walls, start and goal are
    :param position: x and y of the point, in cells
    :param velocity: along x and y, in cells a step; drawn as a streak behind the point
    """
    first, last = _extent(layout.free)
    cell = max(int(_TARGET / (max(last - first) + 2.0 * _MARGIN)), 4)
    width, height = np.rint(cell * (last - first + 2.0 * _MARGIN)).astype(int).tolist()
    left, top = (_MARGIN - first).tolist()
    picture = _floor(layout.free, (left, top), cell, width, height)
    for (row, column), color in ((layout.start, _START), (layout.goal, _GOAL)):
        _draw_mat(picture, cell * (column + left), cell * (row + top), cell, color)
    _draw_flag(picture, cell * (layout.goal[1] + left), cell * (layout.goal[0] + top), cell)
    _draw_point(picture, (cell * (position[0] + left), cell * (position[1] + top)), velocity, cell)
    return picture


def _extent(free: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return x and y of the upper left and the lower right corner of the box around all free cells."""
    corners = np.argwhere(free)[:, ::-1]
    return corners.min(axis=0), corners.max(axis=0) + 1


def _floor(free: NDArray[np.bool_], offset: Point, cell: int, width: int, height: int) -> NDArray[np.uint8]:
    """Everything nearer than the point's radius to a free cell, on walls."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    cover = np.zeros((height, width))
    reach = _RADIUS * cell
    for row, column in np.argwhere(free).tolist():
        left, top = cell * (column + offset[0]), cell * (row + offset[1])
        columns = slice(max(int(left - reach) - 1, 0), int(left + cell + reach) + 2)
        rows = slice(max(int(top - reach) - 1, 0), int(top + cell + reach) + 2)
        beside = np.maximum(np.abs(x[columns] - left - 0.5 * cell) - 0.5 * cell, 0.0)
        above = np.maximum(np.abs(y[rows] - top - 0.5 * cell) - 0.5 * cell, 0.0)
        here = np.clip(reach - np.hypot(beside, above[:, None]) + 0.5, 0.0, 1.0)
        np.maximum(cover[rows, columns], here, out=cover[rows, columns])
    wall, floor = np.array(_WALL), np.array(_FLOOR)
    return np.asarray(np.rint(wall + cover[..., None] * (floor - wall)), dtype=np.uint8)


def _draw_mat(picture: NDArray[np.uint8], left: float, top: float, cell: int, color: Color) -> None:
    """A square with round corners over one cell."""
    near, far = 0.12 * cell, 0.88 * cell
    rectangle(picture, (left + near, top + near), (left + far, top + far), color)
    corners = [(near, near), (far, near), (far, far), (near, far), (near, near)]
    path(picture, [(left + x, top + y) for x, y in corners], 0.12 * cell, color)


def _draw_flag(picture: NDArray[np.uint8], left: float, top: float, cell: int) -> None:
    pole, high, low = left + 0.36 * cell, top + 0.2 * cell, top + 0.8 * cell
    for share in np.linspace(0.0, 1.0, cell).tolist():  # a triangle, line by line
        y = high + 0.32 * cell * share
        reach = 0.36 * cell * (1.0 - abs(2.0 * share - 1.0))
        segment(picture, (pole, y), (pole + reach, y), 0.02 * cell, _FLAG)
    segment(picture, (pole, high), (pole, low), 0.03 * cell, _WALL)


def _draw_point(picture: NDArray[np.uint8], centre: Point, velocity: Point, cell: int) -> None:
    x, y = centre
    radius = _RADIUS * cell
    behind = (x - _WAKE * cell * velocity[0], y - _WAKE * cell * velocity[1])
    segment(picture, behind, centre, 0.45 * radius, _STREAK)
    disc(picture, (x + 0.1 * radius, y + 0.15 * radius), radius, _SHADOW)
    disc(picture, centre, radius, _POINT)
