"""Which states follow which: the walls of a maze and the roads of a network, as a model shows them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.plots.positions import Grid


def arrivals(mdp: TabularMDP) -> Any:
    """Return the probabilities of the next states, the terminal ones included, in CSR form.

    Of shape ``(n_actions * n_states, n_states)``, row ``a * n_states + s``. An episode that ends in no state, as in a
    model that was built with ``ending=``, is left out.
    """
    ends = mdp.final_transitions
    return mdp.transitions if ends is None else sparse.csr_matrix(mdp.transitions + ends)


def links(mdp: TabularMDP) -> NDArray[np.int64]:
    """Return the pairs of different states of which one can follow the other, each once, of shape ``(n_links, 2)``."""
    matrix = arrivals(mdp)
    state = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) % mdp.n_states
    pairs = np.sort(np.column_stack([state, matrix.indices]).astype(np.int64), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    number = np.unique(pairs[:, 0] * mdp.n_states + pairs[:, 1])
    return np.column_stack(np.divmod(number, mdp.n_states))


def isolated(mdp: TabularMDP) -> NDArray[np.bool_]:
    """Return the states that nothing leads to or from, as those inside of a wall, of shape ``(n_states,)``."""
    alone: NDArray[np.bool_] = ~mdp.terminal & (mdp.initial == 0.0)
    alone[links(mdp).ravel()] = False
    return alone


def walls(mdp: TabularMDP, grid: Grid) -> NDArray[np.float64]:
    """Return the edges between neighbouring cells of which neither can follow the other.

    There are none where most steps lead further than to a neighbouring cell. Nothing is known between two terminal
    states, and around states that are never entered.

    :return: segments of shape ``(n_walls, 2, 2)``: walls, ends, x and y
    """
    place = np.empty((mdp.n_states, 2), dtype=np.int64)
    place[grid.states.ravel()] = np.indices(grid.states.shape).reshape(2, -1).T
    pairs = links(mdp)
    is_step = np.abs(place[pairs[:, 0]] - place[pairs[:, 1]]).sum(axis=1) == 1
    if 2 * is_step.sum() < len(pairs):
        return np.empty((0, 2, 2))
    entered = mdp.initial > 0.0
    entered[arrivals(mdp).indices] = True
    x, y = grid.edges
    across = _closed(mdp, grid.states, pairs[is_step], entered)
    down = _closed(mdp, grid.states.T, pairs[is_step], entered)
    upright = _segments(x[across[:, 1] + 1], y[across[:, 0]], y[across[:, 0] + 1])
    level = _segments(y[down[:, 1] + 1], x[down[:, 0]], x[down[:, 0] + 1])[:, :, ::-1]
    return np.concatenate([upright, level])


def _closed(
    mdp: TabularMDP, states: NDArray[np.int64], pairs: NDArray[np.int64], entered: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return rows and columns of the states that are not linked to their neighbour in the next column."""
    here, there = states[:, :-1], states[:, 1:]
    pair = np.stack([np.minimum(here, there), np.maximum(here, there)], axis=-1) @ (mdp.n_states, 1)
    known = entered[here] & entered[there] & ~(mdp.terminal[here] & mdp.terminal[there])
    return np.argwhere(known & ~np.isin(pair, pairs @ (mdp.n_states, 1)))


def _segments(x: NDArray[np.float64], first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lines from ``(x, first)`` to ``(x, last)``."""
    return np.stack([np.column_stack([x, first]), np.column_stack([x, last])], axis=1)
