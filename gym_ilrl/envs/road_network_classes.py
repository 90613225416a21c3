"""Which roads of ``ilrl/RoadNetwork-v0`` are highways, main roads and streets."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from gym_ilrl.envs.road_network_graph import symmetric_graph

CLASSES = ("highway", "main road", "street")
SPEEDS = np.array([100.0, 50.0, 30.0])  # km/h, where nothing is in the way
_SPACING = (7.0, 3.5)  # km, at most, between the hubs that highways join, and those that main roads join


def classify_roads(junctions: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the class of each road.

    Highways are the shortest ways between neighbouring hubs, which lie on a coarse grid, main roads those between the
    hubs of a finer one: each of the two makes a connected net of long lines.

    :param junctions: of shape ``(size, 2)``, in km
    :param pairs: the junctions that each road joins, of shape ``(n, 2)``, the lower number first, in lexicographic
        order
    :return: index in :data:`CLASSES`, of shape ``(n,)``
    """
    classes = np.full(len(pairs), len(CLASSES) - 1, dtype=np.int8)
    for road_class in (1, 0):
        classes[_ways_between_hubs(junctions, pairs, _SPACING[road_class])] = road_class
    return classes


def _ways_between_hubs(junctions: NDArray[np.float64], pairs: NDArray[np.int64], spacing: float) -> NDArray[np.int64]:
    """Each junction belongs to its nearest hub; two hubs are joined by the best road between their regions."""
    size = len(junctions)
    lengths = np.linalg.norm(junctions[pairs[:, 0]] - junctions[pairs[:, 1]], axis=1)
    hubs, squares = _hubs(junctions, spacing)
    distance, towards, nearest = csgraph.dijkstra(
        symmetric_graph(pairs, lengths, size), indices=hubs, return_predecessors=True, min_only=True
    )
    region = np.searchsorted(hubs, nearest)
    between = np.flatnonzero(region[pairs[:, 0]] != region[pairs[:, 1]])
    detour = lengths[between] + distance[pairs[between]].sum(axis=1)
    bridges = between[_chosen_links(region[pairs[between]], detour, squares)]
    on_a_way = np.zeros(size)
    np.add.at(on_a_way, pairs[bridges].ravel(), 1.0)
    parent = towards.astype(np.int64)
    below = np.flatnonzero((_subtree_sums(parent, on_a_way) > 0.0) & (parent >= 0))
    keys = np.minimum(below, parent[below]) * size + np.maximum(below, parent[below])
    return np.concatenate([bridges, np.searchsorted(pairs[:, 0] * size + pairs[:, 1], keys)])


def _hubs(junctions: NDArray[np.float64], spacing: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The junction nearest to the middle of each square of a coarse grid, in ascending order, and its square."""
    low, extent = junctions.min(axis=0), np.ptp(junctions, axis=0)
    n_squares = np.ceil(extent / spacing)
    place = (junctions - low) / extent * n_squares
    square = np.minimum(np.floor(place), n_squares - 1.0)
    off_centre = np.abs(place - square - 0.5).max(axis=1)
    order = np.lexsort((off_centre, square[:, 1], square[:, 0]))
    is_first = np.append(True, (np.diff(square[order], axis=0) != 0.0).any(axis=1))
    hubs = np.sort(order[is_first])
    return hubs, square[hubs].astype(np.int64)


def _chosen_links(
    regions: NDArray[np.int64], detour: NDArray[np.float64], squares: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The shortest link of each two regions that a side of their squares joins, or that nothing else connects.

    :param regions: which two regions each link joins, of shape ``(n, 2)``
    :param detour: the length of the way from hub to hub, of shape ``(n,)``
    :param squares: of each hub, of shape ``(n_hubs, 2)``
    """
    n_hubs = len(squares)
    low, high = regions.min(axis=1), regions.max(axis=1)
    order = np.lexsort((detour, high, low))
    best = order[np.unique((low * n_hubs + high)[order], return_index=True)[1]]
    tree = csgraph.minimum_spanning_tree(
        sparse.csr_matrix((detour[best], (low[best], high[best])), shape=(n_hubs, n_hubs))
    )
    rows, columns = tree.nonzero()
    connects = np.isin(low[best] * n_hubs + high[best], rows.astype(np.int64) * n_hubs + columns)
    is_side = np.abs(squares[low[best]] - squares[high[best]]).sum(axis=1) == 1
    chosen: NDArray[np.int64] = best[connects | is_side]
    return chosen


def _subtree_sums(parent: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the values of each node of a forest and of all nodes below it; parents of roots are negative."""
    is_root = parent < 0
    up = np.where(is_root, np.arange(len(parent)), parent)
    depth, far = (~is_root).astype(np.int64), up.copy()
    while not is_root[far].all():  # each round doubles how far up is looked
        depth += depth[far]
        far = far[far]
    sums: NDArray[np.float64] = values.copy()
    by_depth = np.argsort(depth, kind="stable")
    first = np.searchsorted(depth[by_depth], np.arange(depth.max() + 2))
    for level in range(int(depth.max()), 0, -1):
        nodes = by_depth[first[level] : first[level + 1]]
        np.add.at(sums, up[nodes], sums[nodes])
    return sums
