"""Simulated drivers of ``ilrl/RoadNetwork-v0``, and the routes that a plan or a policy takes."""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

import gym_ilrl  # noqa: F401  (registers the environments)
from gym_ilrl import Demonstrations, TabularMDP
from gym_ilrl.planning import solve

PREFERENCES = {
    "street_km": 0.6,
    "minutes": 1.0,
    "left_turn": 0.8,
    "right_turn": 0.3,
    "sharp_turn": 1.5,
    "u_turn": 4.0,
}
TEMPERATURE, MISJUDGED = 1.0, 0.4
SOFT, MISJUDGING = "soft", "misjudging"
LEAST_ROADS = 10  # of a trip

Route = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The states of a trip, from the first road to the one that ends at the destination, and the actions between them."""


@dataclass(frozen=True, eq=False)
class Town:
    """A map with its destinations.

    :param env: the environment
    :param mdp: its process, undiscounted; its rewards are the drivers' preferences
    :param following: the state that each action leads to, of shape ``(n_actions, n_states)``
    :param features: of each action, of shape ``(n_states, n_actions, 8)``
    :param km: length of the road of each state, of shape ``(n_states,)``
    :param n_roads: number of roads; state ``destination * n_roads + road``
    """

    env: gym.Env[Any, Any]
    mdp: TabularMDP
    following: NDArray[np.int64]
    features: NDArray[np.float64]
    km: NDArray[np.float64]
    n_roads: int

    @classmethod
    def of(cls, size: int, n_destinations: int, seed: int) -> "Town":
        """Return the town of a seed."""
        options = {"size": size, "n_destinations": n_destinations, "layout_seed": seed, "preferences": PREFERENCES}
        env = gym.make("ilrl/RoadNetwork-v0", disable_env_checker=True, **options)
        mdp = TabularMDP.from_env(env, gamma=1.0)
        roads: Any = env.unwrapped
        following = roads.transition_matrix.indices.reshape(mdp.rewards.shape).astype(np.int64)
        km = np.tile(roads.network.length, n_destinations)
        return cls(env, mdp, following, roads.features, km, roads.network.n_roads)

    def demonstrations(self, routes: list[Route]) -> Demonstrations:
        """Return routes as demonstrations."""
        states, actions = zip(*routes, strict=True)
        arrived = [np.arange(1, len(each) + 1) == len(each) for each in actions]
        return Demonstrations.from_arrays(list(states), list(actions), self.env, terminations=arrived)


def drive(town: Town, kind: str, n_trips: int, rng: np.random.Generator) -> list[Route]:
    """Return trips of at least ten roads, from anywhere to any of the destinations.

    :param town: where
    :param kind: ``"soft"``: every turn is drawn from the soft optimal policy of the hidden preferences;
        ``"misjudging"``: each trip is the cheapest one by costs every one of which is misjudged anew
    :param n_trips: how many
    :param rng: random numbers
    """
    policy = solve(town.mdp, temperature=TEMPERATURE).policy
    trips: list[Route] = []
    while len(trips) < n_trips:
        starts = rng.choice(town.mdp.n_states, size=n_trips, p=town.mdp.initial)
        if kind == SOFT:
            drawn = draw_routes(town, policy, starts, rng)
        else:
            drawn = [misjudge(town, int(start), rng) for start in starts]
        trips += [trip for trip in drawn if len(trip[1]) >= LEAST_ROADS]
    return trips[:n_trips]


def draw_routes(
    town: Town, policy: NDArray[np.float64], starts: NDArray[np.int64], rng: np.random.Generator
) -> list[Route]:
    """Return a route from each start, every turn of which is drawn from a policy of shape ``(n_actions, n_states)``."""
    up_to = policy.cumsum(axis=0)
    now, states, actions = starts, [starts], []
    while not town.mdp.terminal[now].all():
        chosen = (rng.random(len(now)) * up_to[-1, now] >= up_to[:-1, now]).sum(axis=0)
        now = np.where(town.mdp.terminal[now], now, town.following[chosen, now])
        actions.append(chosen)
        states.append(now)
    return cut(town, np.stack(states, axis=1), np.stack(actions, axis=1))


def follow(town: Town, best: NDArray[np.int64], starts: NDArray[np.int64]) -> list[Route]:
    """Return the route from each start by actions of shape ``(n_states,)`` that arrive."""
    certain = np.zeros(town.mdp.rewards.shape)
    certain[best, np.arange(len(best))] = 1.0
    return draw_routes(town, certain, starts, np.random.default_rng(0))


def cut(town: Town, states: NDArray[np.int64], actions: NDArray[np.int64]) -> list[Route]:
    """Cut every row where it arrives."""
    lengths = (~town.mdp.terminal[states[:, :-1]]).sum(axis=1)
    return [(states[i, : n + 1], actions[i, :n]) for i, n in enumerate(lengths)]


def misjudge(town: Town, start: int, rng: np.random.Generator) -> Route:
    """Return the cheapest route by costs that are wrong by a log-normal factor each; by Dijkstra's algorithm."""
    first = start - start % town.n_roads
    here = slice(first, first + town.n_roads)
    exists = town.mdp.available[:, here] & ~town.mdp.terminal[here]  # type: ignore[index]
    costs = -town.mdp.rewards[:, here] * np.exp(MISJUDGED * rng.standard_normal(exists.shape))
    road = np.nonzero(exists)[1]
    following = town.following[:, here] - first
    graph = sparse.csr_matrix((costs[exists], (following[exists], road)), shape=(town.n_roads, town.n_roads))
    to_go = csgraph.dijkstra(graph, indices=np.flatnonzero(town.mdp.terminal[here]), min_only=True)
    best = np.where(exists, costs + to_go[following], np.inf).argmin(axis=0)
    states, actions = [start], []
    while not town.mdp.terminal[states[-1]]:
        actions.append(best[states[-1] - first])
        states.append(town.following[actions[-1], states[-1]])
    return np.array(states), np.array(actions)
