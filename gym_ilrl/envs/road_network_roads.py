"""The roads of ``ilrl/RoadNetwork-v0``, one in each direction, and how one goes on at the end of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.random_numbers import uniform
from gym_ilrl.envs.road_network_classes import SPEEDS, classify_roads
from gym_ilrl.envs.road_network_graph import join_junctions, place_junctions

_SLOWEST = 1.5  # times as long as the speed limit allows: how bad traffic can be


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """Two-way roads between junctions; each direction counts as one road.

    Roads are sorted by the junction where they begin, and there clockwise from the north.

    :param junctions: x to the right and y down, in km, of shape ``(n_junctions, 2)``
    :param tail: the junction where each road begins, of shape ``(n_roads,)``
    :param head: the junction where it ends, of shape ``(n_roads,)``
    :param road_class: index in :data:`~gym_ilrl.envs.road_network_classes.CLASSES`, of shape ``(n_roads,)``
    :param length: in km, of shape ``(n_roads,)``
    :param minutes: how long it takes to drive, of shape ``(n_roads,)``
    :param continuations: the roads that go on at the end of each road, of shape ``(n_actions, n_roads)``: from the
        leftmost turn clockwise to the rightmost one, then the way back; -1 where there are fewer
    :param turn: how far the car turns into them, in degrees from -180 (left) to 180, NaN where there is none, float32
        of the same shape
    """

    junctions: NDArray[np.float64]
    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    road_class: NDArray[np.int8]
    length: NDArray[np.float64]
    minutes: NDArray[np.float64]
    continuations: NDArray[np.int64]
    turn: NDArray[np.float32]

    @property
    def n_roads(self) -> int:
        """Number of roads, each direction counted."""
        return len(self.tail)


def generate_road_network(size: int, layout_seed: int) -> RoadNetwork:
    """Return a connected road network; a pure function of its arguments.

    :param size: number of junctions, at least 4
    :param layout_seed: an integer in ``[0, 2**63)``
    """
    junctions = place_junctions(size, layout_seed)
    pairs = join_junctions(junctions, layout_seed)
    tail, head = np.concatenate([pairs, pairs[:, ::-1]]).T
    across = junctions[head] - junctions[tail]
    heading = np.degrees(np.arctan2(across[:, 0], -across[:, 1])) % 360.0
    order = np.lexsort((heading, tail))
    twin = np.empty(len(order), dtype=np.int64)  # place of the same road in the other direction
    twin[order] = np.arange(len(order))
    twin = np.roll(twin, len(pairs))[order]
    tail, head, heading = tail[order], head[order], heading[order]
    road_class = np.tile(classify_roads(junctions, pairs), 2)[order]
    length = np.linalg.norm(across, axis=1)[order]
    delay = 1.0 + (_SLOWEST - 1.0) * uniform(np.array([layout_seed], dtype=np.uint64), 2**33 + np.arange(len(tail)))
    minutes = 60.0 * length / SPEEDS[road_class] * delay
    continuations = _continuations(tail, head, twin)
    turn = (heading[continuations] - heading + 180.0) % 360.0 - 180.0
    turn[continuations == twin] = 180.0
    turn[continuations < 0] = np.nan
    return RoadNetwork(junctions, tail, head, road_class, length, minutes, continuations, turn.astype(np.float32))


def _continuations(tail: NDArray[np.int64], head: NDArray[np.int64], twin: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clockwise around the junction, beginning after the way back."""
    degree = np.bincount(tail)
    first = np.cumsum(degree) - degree
    k = np.arange(degree.max())[:, None]
    following = first[head] + (twin - first[head] + 1 + k) % degree[head]
    return np.where(k < degree[head], following, -1)
