"""Where states are, and whether they fill a grid."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl
from gym_ilrl.plots import grid_shape, state_positions

assert gym_ilrl  # registers the environments


def newest(name):
    """The highest version of an environment that this Gymnasium has without a warning."""
    versions = [spec.version for spec in gym.registry.values() if spec.name == name]
    return f"{name}-v{max(versions)}"


def test_frozen_lake_counts_its_map_row_by_row():
    positions = state_positions(gym.make("FrozenLake-v1", map_name="8x8"))
    assert positions.shape == (64, 2)
    assert positions[[0, 7, 8, 63]].tolist() == [[0, 0], [7, 0], [0, 1], [7, 7]]


def test_a_map_that_is_not_square():
    positions = state_positions(gym.make("FrozenLake-v1", desc=["SFF", "FFG"]))
    assert positions.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    assert grid_shape(positions) == (2, 3)


def test_cliff_walking_has_four_rows_of_twelve():
    positions = state_positions(gym.make(newest("CliffWalking")))
    assert positions[[11, 12, 36, 47]].tolist() == [[11, 0], [0, 1], [0, 3], [11, 3]]
    assert grid_shape(positions) == (4, 12)


def test_the_positions_an_environment_publishes():
    env = gym.make("ilrl/GridMaze-v0", size=5)
    np.testing.assert_array_equal(state_positions(env), env.unwrapped.positions)
    assert state_positions(SimpleNamespace(positions=[[0.5, 2], [1, 1]])).tolist() == [[0.5, 2], [1, 1]]


def test_lines_are_read_before_their_middles():
    lines = [[[0, 0], [2, 0]], [[2, 0], [2, 2]]]
    assert state_positions(SimpleNamespace(segments=lines, positions=[[1, 0], [2, 1]])).tolist() == lines
    with pytest.raises(ValueError, match=r"the shape of segments must be \(any, 2, 2\), not \(1, 2\)"):
        state_positions(SimpleNamespace(segments=[[0, 0]]))


@pytest.mark.parametrize("name", ["Taxi", "Blackjack", "CartPole"])
def test_states_at_no_places(name):
    assert state_positions(gym.make(newest(name))) is None  # Taxi's desc is a map of the town, not of its states


def test_a_model_is_at_no_places(lake):
    assert state_positions(lake) is None


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.zeros((3, 3)), r"the shape of positions must be \(any, 2\), not \(3, 3\)"),
        ([[0, 1], [np.nan, 0]], r"positions must be finite numbers, and at \(1, 0\) is nan"),
    ],
)
def test_positions_that_are_none(positions, message):
    with pytest.raises(ValueError, match=message):
        state_positions(SimpleNamespace(positions=positions))


@pytest.mark.parametrize(
    ("positions", "shape"),
    [
        ([[0, 0]], (1, 1)),
        ([[3, 7], [3, 9], [3, 8]], (3, 1)),
        ([[0, 0], [1, 0], [0, 1], [1, 1]], (2, 2)),
        ([[1, 1], [0, 0], [1, 0], [0, 1]], (2, 2)),
        ([[0, 0], [0.1, 0], [0.2, 0], [0, -3], [0.1, -3], [0.2, -3]], (2, 3)),
        ([[0, 0], [1, 0], [0, 1]], None),
        ([[0, 0], [1, 0], [0, 1], [1, 1], [1, 1]], None),
        ([[0, 0], [1, 0], [0, 1], [1, 1.2]], None),
        ([[0], [1], [3]] @ np.ones((1, 2)) * (1, 0), None),
        ([[0, 0], [0, 0]], None),
        ([[0, 0], [1, 0], [0, 1], [0, 1]], None),
        ([[0, 0], [1, 0], [2.4, 0]], None),
    ],
)
def test_grids_and_others(positions, shape):
    assert grid_shape(positions) == shape


def test_grids_are_found_in_any_order_and_any_unit():
    rng = np.random.default_rng(0)
    row, column = np.indices((30, 47))
    cells = rng.permutation(np.column_stack([column.ravel(), row.ravel()]))
    assert grid_shape(cells * (0.1, 1e-4) + (1e3, -7)) == (30, 47)
    assert grid_shape(rng.uniform(size=(900, 2))) is None
