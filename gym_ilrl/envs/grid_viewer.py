"""Pictures of ``ilrl/GridMaze-v0``."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.grid_layouts import GridLayout
from gym_ilrl.envs.raster import blank, disc, rectangle, segment

_TARGET = 480  # pixels, about, along each side
_MARGIN = 8
_FLOOR, _CHECKER, _WALL, _CLIFF = (248, 246, 240), (242, 239, 230), (52, 60, 76), (150, 104, 84)
_START, _GOAL, _FLAG, _AGENT, _SHADOW = (206, 222, 240), (208, 234, 200), (38, 128, 64), (28, 96, 168), (214, 211, 202)


def draw(layout: GridLayout, start: int, goal: int, agent: int) -> NDArray[np.uint8]:
    """Return a picture whose longer side has about 480 pixels, or 4 pixels a cell if that is more.

    :param layout: which cells are joined
    :param start: index of the start cell
    :param goal: index of the goal cell
    :param agent: index of the cell that the agent is in
    """
    cell = max(_TARGET // max(layout.shape), 4)
    height, width = (cell * length + 2 * _MARGIN for length in layout.shape)
    picture = blank(width, height, _WALL)
    _draw_floor(picture, layout, cell, {start: _START, goal: _GOAL})
    _draw_walls(picture, layout, cell)
    left, top = _corner(goal, layout, cell)
    draw_flag(picture, left, top, cell)
    left, top = _corner(agent, layout, cell)
    disc(picture, (left + 0.53 * cell, top + 0.55 * cell), 0.29 * cell, _SHADOW)
    disc(picture, (left + 0.5 * cell, top + 0.5 * cell), 0.28 * cell, _AGENT)
    return picture


def write(layout: GridLayout, start: int, goal: int, agent: int) -> str:
    """Return the maze in text: ``@`` the agent, ``S`` the start, ``G`` the goal, ``C`` cliff, ``###`` wall.

    :param layout: which cells are joined
    :param start: index of the start cell
    :param goal: index of the goal cell
    :param agent: index of the cell that the agent is in
    """
    rows, columns = layout.shape
    grid = np.full((2 * rows + 1, 4 * columns + 1), " ")
    grid[::2, ::4] = "+"
    for shift in (1, 2, 3):
        grid[::2, shift::4] = "-"
        grid[2:-1:2, shift::4][layout.down] = " "
    grid[1::2, ::4] = "|"
    grid[1::2, 4:-1:4][layout.right] = " "
    for shift in (1, 2, 3):
        grid[1::2, shift::4][layout.solid] = "#"
    grid[1::2, 2::4][layout.cliff] = "C"
    for index, mark in ((start, "S"), (goal, "G"), (agent, "@")):
        row, column = divmod(index, columns)
        grid[2 * row + 1, 4 * column + 2] = mark
    return "\n".join("".join(line) for line in grid) + "\n"


def _corner(index: int, layout: GridLayout, cell: int) -> tuple[int, int]:
    row, column = divmod(index, layout.shape[1])
    return _MARGIN + column * cell, _MARGIN + row * cell


def _draw_floor(
    picture: NDArray[np.uint8], layout: GridLayout, cell: int, special: dict[int, tuple[int, int, int]]
) -> None:
    row, column = np.indices(layout.shape)
    colors = np.where(((row + column) % 2 == 0)[..., None], _FLOOR, _CHECKER).astype(np.uint8)
    colors[layout.solid], colors[layout.cliff] = _WALL, _CLIFF
    for index, color in special.items():
        colors[divmod(index, layout.shape[1])] = color
    picture[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = colors.repeat(cell, axis=0).repeat(cell, axis=1)


def _draw_walls(picture: NDArray[np.uint8], layout: GridLayout, cell: int) -> None:
    half = max(cell / 20, 0.5)
    for row, column in np.argwhere(~layout.right).tolist():
        x, y = _MARGIN + (column + 1) * cell, _MARGIN + row * cell
        segment(picture, (x, y), (x, y + cell), half, _WALL)
    for row, column in np.argwhere(~layout.down).tolist():
        x, y = _MARGIN + column * cell, _MARGIN + (row + 1) * cell
        segment(picture, (x, y), (x + cell, y), half, _WALL)


def draw_flag(picture: NDArray[np.uint8], left: int, top: int, cell: int) -> None:
    """Draw a flag on a pole inside a square cell.

    :param picture: to draw on
    :param left: of the cell, in pixels
    :param top: of the cell, in pixels
    :param cell: side of the cell, in pixels
    """
    pole, high, low = left + 0.36 * cell, top + 0.2 * cell, top + 0.8 * cell
    segment(picture, (pole, high), (pole, low), 0.03 * cell, _WALL)
    for share in np.linspace(0.0, 1.0, max(cell, 2)):  # a triangle, line by line
        y = high + 0.32 * cell * share
        reach = 0.36 * cell * (1.0 - abs(2.0 * share - 1.0))
        segment(picture, (pole, y), (pole + reach, y), 0.02 * cell, _FLAG)
    rectangle(picture, (pole - 0.1 * cell, low), (pole + 0.1 * cell, low + 0.05 * cell), _WALL)
