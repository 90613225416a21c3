"""Layouts of ``ilrl/SparsePointMaze-v0``: grids of characters, checked."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import require

WALL, FREE, START, GOAL = "#", " ", "S", "G"

LAYOUTS: dict[str, tuple[str, ...]] = {
    "U": (
        "#####",
        "#S  #",
        "### #",
        "#G  #",
        "#####",
    ),
    "S": (
        "#######",
        "#S    #",
        "##### #",
        "#     #",
        "# #####",
        "#    G#",
        "#######",
    ),
    "L": (
        "#########",
        "#S      #",
        "####### #",
        "#     # #",
        "# ### # #",
        "# #G  # #",
        "# ##### #",
        "#       #",
        "#########",
    ),
}

Cell = tuple[int, int]  # row, column

_EXPECTED = f"one of {', '.join(LAYOUTS)}, or a grid as a list of strings, one a row"


@dataclass(frozen=True)
class PointMazeLayout:
    """A grid of free cells and walls; what lies outside of it is wall.

    :param free: whether a point may be in a cell, bool of shape ``(rows, columns)``
    :param start: row and column of the start
    :param goal: row and column of the goal
    :param distances: number of moves to a neighbouring cell from each cell to the goal on a shortest way, int64 of
        shape ``(rows, columns)``; -1 where no way leads to it
    """

    free: NDArray[np.bool_]
    start: Cell
    goal: Cell
    distances: NDArray[np.int64]


def read_layout(layout: str | Sequence[str]) -> PointMazeLayout:
    """Return the layout of a name or of a grid of characters.

    :param layout: ``"U"``, ``"S"`` or ``"L"``, or one string a row of ``#`` (wall), space (free), one ``S`` (start) and
        one ``G`` (goal)
    :raises ValueError: if it is neither, or the goal cannot be reached
    """
    rows = LAYOUTS.get(layout) if isinstance(layout, str) else layout
    is_grid = isinstance(rows, Sequence) and len(rows) > 0 and all(isinstance(row, str) for row in rows)
    require(is_grid, "layout", layout, _EXPECTED)
    assert rows is not None
    widths = sorted({len(row) for row in rows})
    require(len(widths) == 1, "layout", layout, f"a grid with rows of one length (they have {widths} characters)")
    unknown = sorted({*"".join(rows)} - {WALL, FREE, START, GOAL})
    require(not unknown, "layout", layout, f"a grid of '#' (wall), ' ' (free), 'S' and 'G' only (it has {unknown})")
    grid = np.array([list(row) for row in rows])
    start, goal = _the_only(START, "start", grid, layout), _the_only(GOAL, "goal", grid, layout)
    free = grid != WALL
    distances = _distances(free, goal)
    require(distances[start] > 0, "layout", layout, "a grid in which a way leads from the start 'S' to the goal 'G'")
    return PointMazeLayout(free, start, goal, distances)


def bounds(free: NDArray[np.bool_]) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
    """Return how far a point in each cell may go along x, and along y: infinitely far if the next cell is free.

    :param free: bool of shape ``(rows, columns)``
    :return: for each axis, the least and the greatest coordinate, float32 of shape ``(rows * columns,)``
    """
    padded = np.pad(free, 1)
    row, column = np.indices(free.shape, dtype=np.float32)
    sides = (
        (column, padded[1:-1, :-2], padded[1:-1, 2:]),
        (row, padded[:-2, 1:-1], padded[2:, 1:-1]),
    )
    return tuple(
        (
            np.where(before, -np.inf, index).astype(np.float32).ravel(),
            # the last number that is still inside: the next cell begins at the border itself
            np.where(after, np.inf, np.nextafter(index + np.float32(1.0), np.float32(0.0))).astype(np.float32).ravel(),
        )
        for index, before, after in sides
    )


def _the_only(mark: str, meaning: str, grid: NDArray[np.str_], layout: str | Sequence[str]) -> Cell:
    found = np.argwhere(grid == mark).tolist()
    require(len(found) == 1, "layout", layout, f"a grid with one {meaning} {mark!r} (it has {len(found)})")
    row, column = found[0]
    return row, column


def _distances(free: NDArray[np.bool_], goal: Cell) -> NDArray[np.int64]:
    """Breadth-first search from the goal."""
    distances = np.full(free.shape, -1)
    distances[goal] = 0
    queue = deque([goal])
    while queue:
        row, column = queue.popleft()
        for to in ((row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column)):
            inside = 0 <= to[0] < free.shape[0] and 0 <= to[1] < free.shape[1]
            if inside and free[to] and distances[to] < 0:
                distances[to] = distances[row, column] + 1
                queue.append(to)
    return distances
