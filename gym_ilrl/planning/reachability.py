"""Which states can be reached, and from which the episode can end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph


def steps_to_end(matrix: Any, ending: NDArray[np.float64], terminal: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the fewest steps after which the episode can be over.

    :param matrix: transitions in CSR form, row ``a * n_states + s``
    :param ending: probability of ending, of shape ``(n_actions, n_states)``
    :param terminal: of shape ``(n_states,)``
    :return: of shape ``(n_states,)``: 0 in terminal states, -1 where no ending can be reached
    """
    ends = np.flatnonzero((ending > 0.0).any(axis=0) & ~terminal)
    sources, targets = _edges(matrix)
    steps = _distances(targets, sources, ends, matrix.shape[1])
    steps[terminal] = 0
    return steps


def reachable(matrix: Any, initial: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which states can be reached from the start.

    :param matrix: transitions in CSR form, row ``a * n_states + s``
    :param initial: probability of starting in each state, of shape ``(n_states,)``
    """
    sources, targets = _edges(matrix)
    return _distances(sources, targets, np.flatnonzero(initial > 0.0), matrix.shape[1]) > 0


def _edges(matrix: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return rows % matrix.shape[1], matrix.indices


def _distances(
    sources: NDArray[np.int64], targets: NDArray[np.int64], first: NDArray[np.int64], n_states: int
) -> NDArray[np.int64]:
    """Return the number of edges from an added node, which leads to ``first``, to every other one; -1: no path."""
    ends = (np.append(sources, np.full(len(first), n_states)), np.append(targets, first))
    graph = sparse.csr_matrix((np.ones(len(ends[0])), ends), shape=(n_states + 1, n_states + 1))
    lengths = csgraph.dijkstra(graph, indices=n_states, unweighted=True)[:n_states]
    distances: NDArray[np.int64] = np.where(np.isfinite(lengths), lengths, -1.0).astype(np.int64)
    return distances
