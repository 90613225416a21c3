"""Whether the factor of a sparse matrix will fit into memory, tried on small parts of its graph.

A factor has entries where its matrix has none. Of a graph in the plane it has about ``n log n`` of them (George,
"Nested dissection of a regular finite element mesh", 1973); where states are connected at random, ``n^2`` (Lipton, Rose
and Tarjan, "Generalized nested dissection", 1979): the factor then fills memory before anything else happens.
"""

from typing import Any

import numpy as np
from scipy.sparse import csgraph, linalg

FREE = 4_000  # states: their factor is small in any case
_SMALLEST = 1_000  # states in the first part that is tried; each next one has twice as many
_LARGEST = 8_000  # states: where a part looks like the whole, a larger one says nothing new
_INSIDE = 0.8  # share of a part's edges that must not lead out of it for that
_MOST_FILL = 60.0  # entries of the factor for each one of the matrix: about what a thousand sweeps cost
_MOST_ENTRIES = 2.5e8  # of the factor: 4 GB


def factorise(matrix: Any) -> Any:
    """Return the sparse LU factor of ``I - gamma P``, in CSR form.

    :raises ZeroDivisionError: if the matrix is singular
    """
    try:
        # an M-matrix: no pivoting is needed, and an ordering that keeps the diagonal fills in least
        return linalg.splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError as error:  # SuperLU: "Factor is exactly singular"
        raise ZeroDivisionError(str(error)) from error


def is_factor_affordable(matrix: Any) -> bool:
    """Tell whether the factor of a matrix can be expected to fit into memory, and to be worth its time.

    Parts of the graph around one state are factorised, each twice as large as the one before, and the growth of their
    fill is continued to the whole. Parts of a graph in the plane look like the whole, and the first few are enough.
    Parts of a random graph have fewer edges inside, the smaller they are: of such ones, up to one half of the states
    are tried, as long as what they predict can be afforded.

    :param matrix: ``I - gamma P`` in CSR form
    """
    n_states = matrix.shape[0]
    if n_states <= FREE:
        return True
    order = _around_one_state(matrix)
    size, previous, predicted = _SMALLEST, 0.0, 1.0
    while size <= max(len(order) // 2, 2 * _SMALLEST):
        rows = matrix[order[:size]]
        part = rows[:, order[:size]]
        fill = factorise(part).nnz / part.nnz
        if previous:
            predicted = fill * max(1.0, fill / previous) ** np.log2(n_states / size)
        is_like_the_whole = part.nnz >= _INSIDE * rows.nnz
        if (is_like_the_whole and size >= _LARGEST) or not _affordable(predicted, matrix.nnz):
            break
        size, previous = 2 * size, fill
    return _affordable(predicted, matrix.nnz)


def _affordable(fill: float, entries: int) -> bool:
    return bool(fill <= _MOST_FILL and fill * entries <= _MOST_ENTRIES)


def _around_one_state(matrix: Any) -> Any:
    """Return the states of the largest connected part, those nearest to one of them first."""
    _, part = csgraph.connected_components(matrix, directed=False)
    members = np.flatnonzero(part == np.bincount(part).argmax())
    return csgraph.breadth_first_order(matrix, members[len(members) // 2], directed=False, return_predecessors=False)
