"""``ilrl/RoadNetwork-v0``: the routes of drivers with preferences, the founding task of maximum entropy inverse RL."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.arguments import is_whole, require
from gym_ilrl.envs.dynamics import Dynamics
from gym_ilrl.envs.random_numbers import uniform
from gym_ilrl.envs.road_network_costs import FEATURE_NAMES, Preferences, as_weights, route_costs, route_features
from gym_ilrl.envs.road_network_roads import RoadNetwork, generate_road_network
from gym_ilrl.envs.road_network_viewer import draw_map, draw_trip, write
from gym_ilrl.envs.tabular import TabularDynamics, TabularEnv
from gym_ilrl.envs.vector import DynamicsVectorEnv

WAITING_COST = 10.0  # of an action that does not exist
_REMEMBERED = 512  # roads of a route that a picture shows


class RoadNetworkDynamics(TabularDynamics):
    """The rules of :class:`RoadNetworkEnv`; see there for the arguments.

    :param num_envs: number of copies
    """

    def __init__(
        self,
        num_envs: int = 1,
        size: int = 100,
        n_destinations: int = 1,
        layout_seed: int = 0,
        preferences: Preferences | None = None,
        origin: int | None = None,
    ) -> None:
        require(is_whole(size, 4) and size <= 10**6, "size", size, "a whole number from 4 to 1000000")
        is_right = is_whole(n_destinations, 1) and n_destinations < size
        require(is_right, "n_destinations", n_destinations, f"a whole number from 1 to {size - 1}, less than junctions")
        is_right = is_whole(layout_seed, 0) and layout_seed < 2**63
        require(is_right, "layout_seed", layout_seed, "a whole number in [0, 2**63)")
        self.preferences = as_weights(preferences)
        self.network = generate_road_network(int(size), int(layout_seed))
        numbers = uniform(np.array([layout_seed], dtype=np.uint64), 2**34 + np.arange(int(size)))
        self.destinations: NDArray[np.int64] = np.sort(np.argsort(numbers, kind="stable")[:n_destinations])
        costs = route_costs(self.network, self.preferences)
        least = costs[self.network.continuations >= 0].min()
        expected = f"such that every road costs more than 0 (one costs {least:.4g})"
        require(least > 0.0, "preferences", preferences, expected)
        super().__init__(num_envs, *_model(self.network, self.destinations, costs, origin))
        self.exists: NDArray[np.bool_] = np.tile(self.network.continuations >= 0, n_destinations)
        self.exists.setflags(write=False)
        self._route = np.zeros((num_envs, _REMEMBERED), dtype=np.int64)
        self._n_driven = np.zeros(num_envs, dtype=np.int64)

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Start a trip in each of ``rows``."""
        super().reset(rows, generators, options)
        self._forget_route(rows)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Drive every row to the end of the next road."""
        result = super().step(actions)
        self._route[np.arange(self.num_envs), self._n_driven % _REMEMBERED] = self._state["state"]
        self._n_driven += 1
        return result

    def info(self) -> dict[str, NDArray[Any]]:
        """Return which actions exist now, and whether every row has arrived."""
        state = self._state["state"]
        return {"action_mask": self.exists[:, state].T.astype(np.int8), "is_success": self.terminal[state]}

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the given states; the pictures forget how they came there."""
        super().set_state(rows, state)
        self._forget_route(rows)

    def render(self, row: int, mode: str) -> Any:
        """Draw the map with the route so far, the car and the destination, or write where the car can go."""
        destination, road = divmod(int(self._state["state"][row]), self.network.n_roads)
        target = int(self.destinations[destination])
        if mode == "ansi":
            return write(self.network, road, target)
        if mode != "rgb_array":
            return super().render(row, mode)
        order = np.arange(max(self._n_driven[row] - _REMEMBERED, 0), self._n_driven[row]) % _REMEMBERED
        return draw_trip(self._map, self.network, self._route[row, order] % self.network.n_roads, target)

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """See :attr:`RoadNetworkEnv.features`."""
        features = np.tile(route_features(self.network), (len(self.destinations), 1, 1))
        features.setflags(write=False)
        return features

    @cached_property
    def _map(self) -> NDArray[np.uint8]:
        return draw_map(self.network)

    def _forget_route(self, rows: Sequence[int]) -> None:
        self._route[rows, 0] = self._state["state"][rows]
        self._n_driven[rows] = 1


class RoadNetworkEnv(TabularEnv):
    """A car on its way to a destination, on a random planar road network with highways, main roads and streets.

    Which route a driver takes tells what the driver dislikes: minutes, left turns, streets. To find that out from
    routes is the task for which maximum entropy inverse reinforcement learning was made (Ziebart, Maas, Bagnell and
    Dey, "Maximum entropy inverse reinforcement learning", AAAI 2008, section "Driver route modeling"). As there, the
    state is the road and not the junction, so that turns have a cost.

    **Observation.** ``Discrete(n_destinations * n_roads)``: the road that has just been driven, and where the trip
    goes, ``destination * n_roads + road``. Each direction of a road counts as one.

    **Action.** ``Discrete(A)``, ``A`` at most 5: the next road, counted clockwise from the leftmost turn; the last one
    that exists is the way back. An action that does not exist is waiting. ``action_masks()``, ``available`` and
    ``info["action_mask"]`` tell which exist; sb3-contrib's ``MaskablePPO`` reads the first.

    **Reward.** ``-preferences . features`` of the next road and the turn into it, -10 for waiting.

    **Termination.** At the end of a road that leads to the destination. ``gym.make`` truncates after 200 steps; larger
    networks want more.

    **Info.** ``action_mask``, int8 of shape ``(A,)``; ``is_success``: whether the car has arrived.

    :param size: number of junctions, from 4 to 1,000,000, on about as many square kilometres; there are about 3.5
        times as many roads
    :param n_destinations: number of junctions to which trips go; each one multiplies the number of states
    :param layout_seed: seed of the map, an integer in ``[0, 2**63)``; the map does not depend on ``reset(seed=...)``
    :param preferences: what one unit of each feature costs: a dictionary by :attr:`feature_names` (the others cost
        nothing) or an array in their order; None: a minute costs 1, a left turn 0.5, a right one 0.2, a sharp one 1, a
        U-turn 3. Every road must cost more than 0
    :param origin: the road on which every trip begins, from 0; None: any road from which there is a way to go
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.road_network.RoadNetworkExpert` takes the cheapest route, by Dijkstra's
    algorithm.

    **Version history.** v0: first version.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}
    dynamics_class: ClassVar[type[Dynamics]] = RoadNetworkDynamics
    dynamics: RoadNetworkDynamics

    def __init__(
        self,
        size: int = 100,
        n_destinations: int = 1,
        layout_seed: int = 0,
        preferences: Preferences | None = None,
        origin: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        rules = RoadNetworkDynamics(1, size, n_destinations, layout_seed, preferences, origin)
        super().__init__(rules, render_mode)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions exist now, of shape ``(A,)``, as sb3-contrib's ``MaskablePPO`` asks for it."""
        mask: NDArray[np.bool_] = self.dynamics.exists[:, int(self.observe())].copy()
        return mask

    @property
    def available(self) -> NDArray[np.bool_]:
        """Which actions exist in each state, of shape ``(A, n_states)``, read-only."""
        return self.dynamics.exists

    @property
    def network(self) -> RoadNetwork:
        """Junctions, roads and turns."""
        return self.dynamics.network

    @property
    def preferences(self) -> NDArray[np.float64]:
        """The cost of one unit of each feature, of shape ``(8,)``, read-only."""
        return self.dynamics.preferences

    @property
    def features(self) -> NDArray[np.float64]:
        """What an action leads into, of shape ``(n_states, A, 8)``, read-only; 0 for waiting. Built on first use.

        Kilometres on each class of road, minutes, and 1 for each kind of turn.
        """
        return self.dynamics.features

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features."""
        return FEATURE_NAMES

    @property
    def positions(self) -> NDArray[np.float64]:
        """The middle of the road of each state, x to the right and y down in km, of shape ``(n_states, 2)``."""
        middles: NDArray[np.float64] = self.segments.mean(axis=1)
        return middles

    @property
    def segments(self) -> NDArray[np.float64]:
        """The road of each state, from where to where, in km, of shape ``(n_states, 2, 2)``: what pictures draw."""
        network = self.dynamics.network
        roads = np.stack([network.junctions[network.tail], network.junctions[network.head]], axis=1)
        return np.tile(roads, (len(self.dynamics.destinations), 1, 1))


class RoadNetworkVectorEnv(DynamicsVectorEnv):
    """Any number of cars on one road network; see :class:`RoadNetworkEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = RoadNetworkEnv


def _model(
    network: RoadNetwork, destinations: NDArray[np.int64], costs: NDArray[np.float64], origin: int | None
) -> tuple[Any, ...]:
    """Transition matrix, reward, initial distribution and terminal states, one block of states a destination."""
    n_actions, n_roads = costs.shape
    n_states = len(destinations) * n_roads
    exists = network.continuations >= 0
    following = np.where(exists, network.continuations, np.arange(n_roads))[:, None]
    arrivals = (following + n_roads * np.arange(len(destinations))[:, None]).ravel()
    matrix = sparse.csr_matrix(
        (np.ones(arrivals.size), arrivals, np.arange(arrivals.size + 1)), shape=(n_actions * n_states, n_states)
    )
    reward = np.tile(np.where(exists, -costs, -WAITING_COST), len(destinations))
    terminal = network.head == destinations[:, None]
    if origin is None:
        return matrix, reward, None, terminal.ravel()
    expected = f"the number of a road, from 0 to {n_roads - 1}, that ends at no destination"
    require(is_whole(origin, 0) and origin < n_roads and not terminal[:, origin].any(), "origin", origin, expected)
    start = np.zeros(terminal.shape)
    start[:, origin] = 1.0 / len(destinations)
    return matrix, reward, start.ravel(), terminal.ravel()
