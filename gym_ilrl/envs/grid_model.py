"""The exact model of ``ilrl/GridMaze-v0``."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.envs.grid_layouts import GridLayout

N_ACTIONS = 4  # left, down, right, up, as in Gymnasium's FrozenLake: a - 1 and a + 1 are perpendicular to a
DIRECTIONS = ("left", "down", "right", "up")


def moves(layout: GridLayout) -> NDArray[np.int64]:
    """Return where each direction leads from each cell, of shape ``(4, n_states)``: into a wall is to stay."""
    cells = np.arange(layout.solid.size).reshape(layout.shape)
    to = np.repeat(cells[None], N_ACTIONS, axis=0)
    to[0, :, 1:] = np.where(layout.right, cells[:, :-1], cells[:, 1:])
    to[1, :-1] = np.where(layout.down, cells[1:], cells[:-1])
    to[2, :, :-1] = np.where(layout.right, cells[:, 1:], cells[:, :-1])
    to[3, 1:] = np.where(layout.down, cells[:-1], cells[1:])
    return to.reshape(N_ACTIONS, -1)


def transition_matrix(
    moves: NDArray[np.int64], slip: float, wind: float = 0.0, wind_direction: int = 0
) -> sparse.csr_matrix:
    """Return the probabilities of the next cells.

    :param moves: where each direction leads from each cell, of shape ``(4, n_states)``
    :param slip: probability that an action is replaced by one of the two perpendicular ones
    :param wind: probability of one more move in the direction of the wind
    :param wind_direction: the action that moves like the wind
    :return: of shape ``(4 * n_states, n_states)``, row ``action * n_states + cell``
    """
    turned = [moves, np.roll(moves, 1, axis=0), np.roll(moves, -1, axis=0)]  # row a: the move of a, a - 1, a + 1
    probabilities = np.repeat([1.0 - slip, 0.5 * slip, 0.5 * slip], moves.size)
    entries = (np.tile(np.arange(moves.size), 3), np.concatenate(turned, axis=None))
    matrix = sparse.csr_matrix((probabilities, entries), shape=(moves.size, moves.shape[1]))  # sums up equal entries
    if wind > 0.0:
        matrix = matrix @ _gusts(moves[wind_direction], wind)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _gusts(blown: NDArray[np.int64], wind: float) -> sparse.csr_matrix:
    """The probabilities of where the wind leaves an agent that has moved to each cell."""
    cells = np.arange(len(blown))
    probabilities = np.repeat([1.0 - wind, wind], len(blown))
    entries = (np.tile(cells, 2), np.concatenate([cells, blown]))
    return sparse.csr_matrix((probabilities, entries), shape=(len(blown), len(blown)))
