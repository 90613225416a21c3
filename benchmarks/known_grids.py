"""Grids with a known model, for the benchmarks of planning and inverse reinforcement learning."""

import numpy as np
from scipy import sparse

from gym_ilrl import TabularMDP

N_ACTIONS = 5  # four moves and staying


def grid(size: int, slip: float = 0.2) -> sparse.csr_matrix:
    """Return transitions, row ``a * n_states + s``: a move goes to one of its two sides with half of ``slip`` each."""
    n_states = size * size
    cells = np.arange(n_states).reshape(size, size)
    moves = []
    for down, right in ((0, -1), (1, 0), (0, 1), (-1, 0)):
        rows = np.clip(np.arange(size) + down, 0, size - 1)
        columns = np.clip(np.arange(size) + right, 0, size - 1)
        moves.append(cells[np.ix_(rows, columns)].ravel())
    states = np.arange(n_states)
    rows, columns, probabilities = [4 * n_states + states], [states], [np.ones(n_states)]
    for action in range(4):
        for turn, probability in ((0, 1.0 - slip), (1, 0.5 * slip), (-1, 0.5 * slip)):
            rows.append(action * n_states + states)
            columns.append(moves[(action + turn) % 4])
            probabilities.append(np.full(n_states, probability))
    entries = (np.concatenate(probabilities), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, shape=(N_ACTIONS * n_states, n_states))


def features(size: int, seed: int = 0) -> np.ndarray:
    """Return 15 Gaussian bumps at random places, and an indicator of the last cell, of shape ``(n_states, 16)``."""
    places = np.stack(np.divmod(np.arange(size * size), size), axis=1) / (size - 1)
    centres = np.random.default_rng(seed).random((15, 2))
    bumps = np.exp(-((places[:, None] - centres) ** 2).sum(axis=2) / (2 * 0.2**2))
    return np.column_stack([bumps, np.arange(size * size) == size * size - 1])


def true_weights(seed: int = 1) -> np.ndarray:
    """Return weights of the features."""
    weights = np.random.default_rng(seed).normal(size=16)
    weights[-1] = 2.0
    return weights


def problem(size: int, gamma: float, horizon: int | None) -> tuple[TabularMDP, np.ndarray]:
    """Return a process that starts anywhere, with a reward on states, and its features."""
    phi = features(size)
    mdp = TabularMDP(grid(size), np.tile(phi @ true_weights(), (N_ACTIONS, 1)), gamma=gamma, horizon=horizon)
    return mdp, phi
