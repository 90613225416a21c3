"""Rewards on states, found back in what actions earn."""

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl
from gym_ilrl import TabularMDP
from gym_ilrl.plots import state_rewards


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_of_the_lake_the_goal_is_rewarded(gamma):
    """An arrival is discounted by one step, and the lake pays 1 for it at once."""
    found = state_rewards(TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=gamma))
    np.testing.assert_allclose(found, np.arange(16) == 15 if gamma == 1.0 else (np.arange(16) == 15) / gamma)


def random_process(seed: int, available=None) -> tuple[TabularMDP, np.ndarray]:
    """A process of 3 actions and 12 states, of which two are terminal, with random rewards on its states."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(12, 0.3), size=(12, 3))
    rewards = rng.normal(size=12)
    terminal = np.arange(12) >= 10
    earned = np.empty((12, 3))
    for state in range(12):
        for action in range(3):
            arrival = sum(chances[state, action, end] * rewards[end] for end in (10, 11))
            earned[state, action] = rewards[state] + 0.8 * arrival
    options = {"terminal": terminal, "gamma": 0.8, "available": available}
    return TabularMDP.from_arrays(chances, earned, **options), rewards


@pytest.mark.parametrize("seed", range(3))
def test_random_rewards_are_found_back(seed):
    mdp, rewards = random_process(seed)
    np.testing.assert_allclose(state_rewards(mdp), rewards, atol=1e-6)


def test_actions_that_do_not_exist_earn_nothing():
    available = np.random.default_rng(0).random((3, 12)) < 0.7
    available[0] = True
    mdp, rewards = random_process(0, available)
    assert mdp.available is not None
    np.testing.assert_allclose(state_rewards(mdp), rewards, atol=1e-6)


def test_rewards_that_depend_on_the_action_in_another_way():
    mdp, _ = random_process(0)
    rewards = mdp.rewards.copy()
    rewards[1, 4] += 0.01
    assert state_rewards(mdp.replace(rewards=rewards)) is None
    assert state_rewards(mdp.replace(rewards=np.zeros((3, 12)))).tolist() == [0.0] * 12


def test_endings_in_no_state():
    mdp = TabularMDP(np.eye(2) / 2, np.ones((1, 2)), ending=np.full((1, 2), 0.5))
    assert state_rewards(mdp) is None


def test_the_mazes_goal_among_ten_thousand_cells():
    maze = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=100), gamma=0.99)
    found = state_rewards(maze)
    assert np.flatnonzero(found).tolist() == [9_999]
    assert found[-1] == pytest.approx(1 / 0.99)
    assert gym_ilrl  # registers the maze
