"""The expert of ``ilrl/RoadNetwork-v0``: the cheapest route."""

from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from gym_ilrl.envs.road_network import RoadNetworkEnv
from gym_ilrl.envs.road_network_costs import Preferences, as_weights, route_costs
from gym_ilrl.experts.standard import StandardExpert, single_environment

SelfRoadNetworkExpert = TypeVar("SelfRoadNetworkExpert", bound="RoadNetworkExpert")


class RoadNetworkExpert(StandardExpert):
    """Takes the cheapest route to the destination, by Dijkstra's algorithm on the graph of roads and turns.

    Dijkstra, "A note on two problems in connexion with graphs", Numerische Mathematik 1, 1959.

    :param env: the environment
    :param preferences: what the driver dislikes, as for the environment; None: what the environment charges.
        ``{"minutes": 1.0}`` takes the fastest route
    :raises TypeError: if it is another environment
    :raises ValueError: if the preferences make a road cost nothing or less
    """

    def __init__(self, env: gym.Env[Any, Any], preferences: Preferences | None = None) -> None:
        super().__init__(env)
        roads = env.unwrapped
        if not isinstance(roads, RoadNetworkEnv):
            raise TypeError(f"RoadNetworkExpert needs an ilrl/RoadNetwork-v0 and was given {roads!r}")
        self.preferences = preferences
        weights = roads.preferences if preferences is None else as_weights(preferences)
        n_destinations = len(roads.terminal) // roads.network.n_roads
        costs = np.tile(route_costs(roads.network, weights), n_destinations)
        exists = roads.available
        if not (costs[exists] > 0.0).all():
            raise ValueError(f"preferences must be such that every road costs more than 0, not {preferences!r}")
        n_states = costs.shape[1]
        following = roads.transition_matrix.indices.reshape(costs.shape)
        states = np.broadcast_to(np.arange(n_states), costs.shape)
        backwards = sparse.csr_matrix((costs[exists], (following[exists], states[exists])), shape=(n_states, n_states))
        self.costs: NDArray[np.float64]  # of the way to the destination, (n_states,)
        self.costs = csgraph.dijkstra(backwards, indices=np.flatnonzero(roads.terminal), min_only=True)
        self._actions = np.argmin(np.where(exists, costs + self.costs[following], np.inf), axis=0)

    def bind(self: SelfRoadNetworkExpert, env: Any) -> SelfRoadNetworkExpert:
        """Return the expert planned anew for the map of ``env``, with the same preferences of its own, if any."""
        bound = super().bind(env)
        if self.preferences is None:
            return bound
        with single_environment(env) as single:
            return type(self)(single, self.preferences)

    def act(self, observations: NDArray[np.int64]) -> NDArray[Any]:
        """Return the actions for a batch of states, of shape ``(n,)``."""
        return self.numbered(self._actions[observations])
