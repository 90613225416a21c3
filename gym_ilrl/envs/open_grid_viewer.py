"""What the pictures of open grids have in common: coloured cells, and the agent on one of them."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.raster import Color, blank, path

_TARGET = 480  # pixels, about, along each side
_MARGIN = 8
_BORDER, _AGENT, _HALO = (52, 60, 76), (24, 24, 28), (255, 255, 255)


def cell_pixels(size: int) -> int:
    """Return how many pixels each side of a cell has: about 480 in all, and at least 4."""
    return max(_TARGET // size, 4)


def corner(index: int, size: int) -> tuple[int, int]:
    """Return x and y of the upper left pixel of a cell."""
    row, column = divmod(index, size)
    return _MARGIN + column * cell_pixels(size), _MARGIN + row * cell_pixels(size)


def floor(colors: NDArray[np.uint8], line: Color) -> NDArray[np.uint8]:
    """Return a picture of cells with thin lines between them.

    :param colors: of the cells, of shape ``(size, size, 3)``
    :param line: colour of the lines
    """
    size, cell = len(colors), cell_pixels(len(colors))
    side = size * cell + 2 * _MARGIN
    picture = blank(side, side, _BORDER)
    inside = picture[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inside[:] = colors.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= 8:
        inside[cell::cell], inside[:, cell::cell] = line, line
    return picture


def frame_agent(picture: NDArray[np.uint8], index: int, size: int) -> None:
    """Draw the agent as a frame around its cell, which stays visible."""
    cell, (left, top) = cell_pixels(size), corner(index, size)
    near, far = 0.13 * cell, 0.87 * cell
    square = [(left + x, top + y) for x, y in ((near, near), (far, near), (far, far), (near, far), (near, near))]
    path(picture, square, 0.12 * cell, _HALO)
    path(picture, square, 0.07 * cell, _AGENT)


def draw(static: NDArray[np.uint8], size: int, agent: int) -> NDArray[np.uint8]:
    """Return the picture with the agent in it.

    :param static: of everything that does not move
    :param size: number of rows and of columns
    :param agent: index of the agent's cell
    """
    picture: NDArray[np.uint8] = static.copy()
    frame_agent(picture, agent, size)
    return picture


def table(cells: NDArray[np.str_], index: int) -> str:
    """Return the cells as lines of text, the agent's in brackets.

    :param cells: one text of the same length for each, of shape ``(size, size)``
    :param index: of the agent's cell
    """
    marks = [f" {text} " for text in cells.ravel().tolist()]
    marks[index] = f"[{cells.flat[index]}]"
    size = len(cells)
    return "\n".join("".join(marks[size * row : size * (row + 1)]) for row in range(size)) + "\n"
