"""Rewards of batches of experience from a table: shapes, spaces that do not start at 0, endings."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces

from gym_ilrl.rewards import RewardTable

STATES, ACTIONS = spaces.Discrete(4, start=10), spaces.Discrete(3, start=-1)


@pytest.fixture
def of_states():
    table = RewardTable(STATES, ACTIONS, "states", gamma=0.5)
    table.set(np.array([1.0, 2.0, 3.0, 4.0]))
    return table


@pytest.fixture
def of_actions():
    table = RewardTable(STATES, ACTIONS, "actions", gamma=0.5)
    table.set(np.arange(12.0).reshape(4, 3))
    return table


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        (12, 3.0),
        ([10, 13], [1.0, 4.0]),
        (np.array([[11], [12]]), [[2.0], [3.0]]),
        (np.array([10.0, 11.0]), [1.0, 2.0]),
        (th.tensor([13]), [4.0]),
        ([], []),
    ],
)
def test_rewards_have_the_shape_of_the_observations(of_states, observations, expected):
    rewards = of_states(observations)
    assert rewards.dtype == np.float64
    np.testing.assert_array_equal(rewards, expected)
    assert rewards.shape == np.shape(expected)


def test_rewards_of_actions(of_actions):
    np.testing.assert_array_equal(of_actions([10, 13], [-1, 1]), [0.0, 11.0])
    assert of_actions(11, 0) == 4.0
    with pytest.raises(ValueError, match=r"call reward\(observations, actions\)"):
        of_actions([10])


def test_columns_and_rows_are_not_multiplied(of_states, of_actions):
    column = np.array([[10], [11]])
    np.testing.assert_array_equal(of_actions(column, np.array([-1, 0])), [[0.0], [4.0]])
    ended = of_states(column, None, np.array([12, 13]), np.array([True, False]))
    np.testing.assert_array_equal(ended, [[1.0 + 0.5 * 3.0], [2.0]])


def test_the_last_state_counts_where_the_episode_ended(of_states, of_actions):
    now, then = np.array([10, 11]), np.array([12, 13])
    np.testing.assert_array_equal(of_states(now, None, then), [1.0, 2.0])
    np.testing.assert_array_equal(of_states(now, None, then, [True, True]), [2.5, 4.0])
    np.testing.assert_array_equal(of_states(now, None, None, [False, False]), [1.0, 2.0])
    np.testing.assert_array_equal(of_actions(now, [0, 0], then, [True, True]), of_actions(now, [0, 0]))
    with pytest.raises(ValueError, match="needs the observations it ends with"):
        of_states(now, None, None, [True, False])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9,), "observations must be whole numbers from 10 to 13"),
        ((14,), "observations must be whole numbers from 10 to 13"),
        ((10.5,), "observations must be whole numbers"),
        ((np.nan,), "observations must be whole numbers"),
        (("ten",), "observations must be whole numbers"),
        (([True],), "observations must be whole numbers"),
        (([10, 11], None, [12], [True, False]), r"the shape of next_observations must be \(2,\)"),
        (([10, 11], None, [12, 12], [True]), r"the shape of terminated must be \(2,\)"),
        (([10], None, [14], [True]), "next_observations must be whole numbers"),
    ],
)
def test_what_is_no_experience_is_refused(of_states, arguments, message):
    with pytest.raises(ValueError, match=message):
        of_states(*arguments)


def test_what_is_no_action_is_refused(of_actions):
    with pytest.raises(ValueError, match="actions must be whole numbers from -1 to 1"):
        of_actions([10], [2])
    with pytest.raises(ValueError, match=r"the shape of actions must be \(1,\)"):
        of_actions([10], [0, 0])


def test_the_table_is_saved_with_the_module(of_states):
    other = RewardTable(STATES, ACTIONS, "states", gamma=0.5)
    other.load_state_dict(of_states.state_dict())
    np.testing.assert_array_equal(other([10, 11, 12, 13]), [1.0, 2.0, 3.0, 4.0])
    assert not list(of_states.parameters())
