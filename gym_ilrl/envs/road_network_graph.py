"""The map of ``ilrl/RoadNetwork-v0``: junctions, and which of them a road joins."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import Delaunay

from gym_ilrl.envs.random_numbers import uniform

MAX_DEGREE = 5  # roads at a junction; no Euclidean minimum spanning tree needs more
_JITTER = 0.8  # of a square's side: how far apart the junctions of one square can be
_LONGEST = 1.8  # km
_CLOSED = 0.4  # share of the roads that are not built, of those that connect nothing new


def place_junctions(size: int, layout_seed: int) -> NDArray[np.float64]:
    """Return the positions of the junctions: at most one in each square of a grid, at random within it.

    :param size: number of junctions
    :param layout_seed: an integer in ``[0, 2**63)``
    :return: x to the right and y down, in km, of shape ``(size, 2)``, at distances of about 1 km
    """
    side = int(np.ceil(np.sqrt(size)))
    numbers = uniform(np.array([layout_seed], dtype=np.uint64), np.arange(3 * side**2)).reshape(3, -1)
    squares = np.sort(np.argsort(numbers[0], kind="stable")[:size])
    corners = np.stack([squares % side, squares // side], axis=1)
    return np.asarray(corners + 0.5 + _JITTER * (numbers[1:, squares].T - 0.5))


def join_junctions(junctions: NDArray[np.float64], layout_seed: int) -> NDArray[np.int64]:
    """Return the roads, as pairs of junctions that they join: a connected planar graph.

    A part of the Gabriel graph (Gabriel and Sokal, "A new statistical approach to geographic variation analysis",
    Systematic Zoology 18, 1969), which is a part of the Delaunay triangulation and contains the minimum spanning tree.
    The tree is kept; of the other roads, the long ones go, some at random, and those that crowd a junction.

    :param junctions: of shape ``(size, 2)``
    :param layout_seed: an integer in ``[0, 2**63)``
    :return: of shape ``(n, 2)``, the lower number first, in lexicographic order
    """
    pairs = _gabriel_pairs(junctions)
    lengths = np.linalg.norm(junctions[pairs[:, 0]] - junctions[pairs[:, 1]], axis=1)
    in_tree = _spanning_tree(pairs, lengths, len(junctions))
    coins = uniform(np.array([layout_seed], dtype=np.uint64), 2**32 + np.arange(len(pairs)))
    kept = in_tree | ((lengths <= _LONGEST) & (coins >= _CLOSED))
    pairs, lengths, in_tree = pairs[kept], lengths[kept], in_tree[kept]
    roads: NDArray[np.int64] = pairs[_rank_at_ends(pairs, lengths, in_tree) < MAX_DEGREE]
    return roads


def symmetric_graph(pairs: NDArray[np.int64], weights: NDArray[Any], size: int) -> sparse.csr_matrix:
    """Return the sparse matrix with ``weights`` at ``pairs`` and at the reversed pairs.

    :param pairs: of shape ``(n, 2)``
    :param weights: of shape ``(n,)``, greater than 0
    :param size: number of junctions
    """
    entries = (np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]]))
    return sparse.csr_matrix((np.tile(weights, 2), entries), shape=(size, size))


def _gabriel_pairs(junctions: NDArray[np.float64]) -> NDArray[np.int64]:
    """The sides of Delaunay triangles whose circle is empty: that face no obtuse angle."""
    triangles = Delaunay(junctions).simplices.astype(np.int64)
    opposite = triangles.ravel()
    sides = np.sort(np.stack([np.roll(triangles, -1, axis=1).ravel(), np.roll(triangles, 1, axis=1).ravel()], 1), 1)
    to_first, to_second = junctions[sides[:, 0]] - junctions[opposite], junctions[sides[:, 1]] - junctions[opposite]
    is_obtuse = (to_first * to_second).sum(axis=1) < 0.0
    keys, place = np.unique(sides[:, 0] * len(junctions) + sides[:, 1], return_inverse=True)
    faces_obtuse = np.zeros(len(keys), dtype=np.bool_)
    faces_obtuse[place.ravel()[is_obtuse]] = True
    keys = keys[~faces_obtuse]
    return np.stack([keys // len(junctions), keys % len(junctions)], axis=1)


def _spanning_tree(pairs: NDArray[np.int64], lengths: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Whether each pair belongs to the minimum spanning tree."""
    tree = csgraph.minimum_spanning_tree(sparse.csr_matrix((lengths, (pairs[:, 0], pairs[:, 1])), shape=(size, size)))
    rows, columns = tree.nonzero()
    return np.isin(pairs[:, 0] * size + pairs[:, 1], rows.astype(np.int64) * size + columns)


def _rank_at_ends(
    pairs: NDArray[np.int64], lengths: NDArray[np.float64], in_tree: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """How many roads come before each one at its ends, the larger of the two: first the tree, then the short ones."""
    at = np.concatenate([pairs[:, 0], pairs[:, 1]])
    order = np.lexsort((np.tile(lengths, 2), np.tile(~in_tree, 2), at))
    first_of_junction = np.searchsorted(at[order], at[order])
    rank = np.empty(len(at), dtype=np.int64)
    rank[order] = np.arange(len(at)) - first_of_junction
    worst: NDArray[np.int64] = rank.reshape(2, -1).max(axis=0)
    return worst
