"""The cheapest routes against a plain heap-based Dijkstra over junctions and turns."""

import heapq

import gymnasium as gym
import numpy as np
import pytest

from gym_ilrl import TabularMDP, collect, expert
from gym_ilrl.experts.road_network import RoadNetworkExpert
from gym_ilrl.planning import solve


def cheapest(env, weights):
    """The cost from every state to its destination, by Dijkstra's algorithm from each of them."""
    n_states = len(env.terminal)
    following = env.transition_matrix.indices.reshape(env.available.shape)
    into = {}
    for action, state in np.argwhere(env.available).tolist():
        cost = float(env.features[state, action] @ weights)
        into.setdefault(int(following[action, state]), []).append((state, cost))
    costs = np.full(n_states, np.inf)
    costs[env.terminal] = 0.0
    heap = [(0.0, state) for state in np.flatnonzero(env.terminal).tolist()]
    while heap:
        cost, state = heapq.heappop(heap)
        if cost == costs[state]:
            for before, step in into.get(state, []):
                if cost + step < costs[before]:
                    costs[before] = cost + step
                    heapq.heappush(heap, (cost + step, before))
    return costs


@pytest.mark.parametrize("kwargs", [{"size": 4}, {"size": 70, "layout_seed": 2}, {"size": 25, "n_destinations": 4}])
@pytest.mark.parametrize("preferences", [None, {"minutes": 1.0}, {"street_km": 3.0, "minutes": 0.1, "left_turn": 5.0}])
def test_costs_are_those_of_dijkstra_and_of_the_trips(kwargs, preferences):
    env = gym.make("ilrl/RoadNetwork-v0", preferences=preferences, **kwargs)
    roads, driver = env.unwrapped, expert(env)
    expected = cheapest(roads, roads.preferences)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(driver.costs, expected, rtol=1e-12, atol=1e-12)
    for seed in range(10):
        state, _ = env.reset(seed=seed)
        start, total, done = state, 0.0, False
        while not done:
            state, reward, done, truncated, _ = env.step(driver.predict(state)[0])
            assert not truncated
            total -= reward
        assert total == pytest.approx(expected[start])


def test_costs_are_those_of_planning_without_discount():
    env = gym.make("ilrl/RoadNetwork-v0", size=60, n_destinations=2, layout_seed=5)
    mdp = TabularMDP.from_env(env, gamma=1.0)
    np.testing.assert_allclose(solve(mdp).values, -expert(env).costs, rtol=0, atol=1e-9)


def test_drivers_with_other_preferences_take_other_routes():
    env = gym.make("ilrl/RoadNetwork-v0", size=200, preferences={"minutes": 1.0, "left_turn": 10.0})
    roads = env.unwrapped
    hurried = RoadNetworkExpert(env, {"minutes": 1.0})
    weights = np.zeros(8)
    weights[roads.feature_names.index("minutes")] = 1.0
    np.testing.assert_allclose(hurried.costs, cheapest(roads, weights), rtol=1e-12)
    demonstrations = [collect(driver, env, n_episodes=20, seed=0) for driver in (expert(env), hurried)]
    calm, fast = (demonstration.returns().mean() for demonstration in demonstrations)
    assert calm > fast + 1.0


def test_it_is_remade_for_the_map_it_acts_in():
    driver = expert("ilrl/RoadNetwork-v0", size=30)
    other = gym.make("ilrl/RoadNetwork-v0", size=50)
    assert len(driver.bind(other).costs) == other.observation_space.n


def test_what_is_refused():
    with pytest.raises(TypeError, match="needs an ilrl/RoadNetwork-v0"):
        RoadNetworkExpert(gym.make("FrozenLake-v1"))
    with pytest.raises(ValueError, match="every road costs more than 0"):
        RoadNetworkExpert(gym.make("ilrl/RoadNetwork-v0"), {"left_turn": 1.0})
