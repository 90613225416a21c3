"""Pictures of ``ilrl/BinaryWorld-v0``."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.open_grid_viewer import cell_pixels, corner, floor, table
from gym_ilrl.envs.raster import segment

_BLUE, _RED, _LINE, _SIGN = (62, 116, 190), (214, 96, 88), (236, 236, 238), (255, 255, 255)


def scene(rewards: NDArray[np.float64], blue: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a picture of everything that does not move: a plus on the cells that pay, a minus on those that cost.

    :param rewards: of the cells, of shape ``(size, size)``
    :param blue: which cells are blue, of shape ``(size, size)``
    """
    size, cell = len(rewards), cell_pixels(len(rewards))
    picture = floor(np.where(blue[..., None], _BLUE, _RED).astype(np.uint8), _LINE)
    reach, radius = 0.16 * cell, max(0.04 * cell, 0.5)
    for index in np.flatnonzero(rewards).tolist():
        left, top = corner(index, size)
        x, y = left + 0.5 * cell, top + 0.5 * cell
        segment(picture, (x - reach, y), (x + reach, y), radius, _SIGN)
        if rewards.flat[index] > 0.0:
            segment(picture, (x, y - reach), (x, y + reach), radius, _SIGN)
    return picture


def write(rewards: NDArray[np.float64], blue: NDArray[np.bool_], agent: int) -> str:
    """Return the grid in text: ``+``, ``-`` or ``.`` for what a cell pays, and ``B`` or ``r`` for its colour.

    :param rewards: of the cells, of shape ``(size, size)``
    :param blue: which cells are blue, of shape ``(size, size)``
    :param agent: index of the agent's cell, which is put in brackets
    """
    signs = np.array(["-", ".", "+"])[np.sign(rewards).astype(np.int64) + 1]
    return table(np.char.add(signs, np.where(blue, "B", "r")), agent)
