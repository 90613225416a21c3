import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl  # noqa: F401
from gym_ilrl.envs.point_maze_layouts import LAYOUTS


def picture(layout, state):
    env = gym.make("ilrl/SparsePointMaze-v0", layout=layout, render_mode="rgb_array")
    env.reset(options={"state": np.array(state)})
    return env.render()


def test_picture_shows_walls_where_they_are_and_the_point_where_it_is():
    rows, point = LAYOUTS["S"], np.array([28, 96, 168])
    seen = picture("S", [3.5, 3.5, 0.0, 0.0])
    cell = int(480 / 5.8)
    assert seen.shape == (round(5.8 * cell), round(5.8 * cell), 3)
    is_wall = (seen == seen[0, 0]).all(axis=-1)
    for row in range(1, 6):
        for column in range(1, 6):
            middle = is_wall[int((row - 0.5 + 0.4) * cell), int((column - 0.5 + 0.4) * cell)]
            assert middle == (rows[row][column] == "#")
    y, x = np.nonzero((seen == point).all(axis=-1))
    assert (x.mean() / cell, y.mean() / cell) == pytest.approx((2.9, 2.9), abs=0.03)


@pytest.mark.parametrize("state", [[1.0, 1.5, 0.0, 0.0], [5.0, 2.5, 0.0, 0.0], [5.999999, 3.999999, 0.0, 0.0]])
def test_the_disc_touches_walls_and_does_not_cover_them(state):
    """The point at a wall's face, or in a corner."""
    elsewhere = picture("S", [1.5, 3.5, 0.0, 0.0])
    is_wall = (elsewhere == elsewhere[0, 0]).all(axis=-1)
    disc = (picture("S", state) == [28, 96, 168]).all(axis=-1)
    assert disc.sum() > 300
    assert not (disc & is_wall).any()
    near = np.zeros_like(is_wall)
    for shift_y in range(-3, 4):
        for shift_x in range(-3, 4):
            near |= np.roll(is_wall, (shift_y, shift_x), (0, 1))
    assert (disc & near).any()


def test_a_moving_point_leaves_a_streak_behind_it():
    still, moving = (picture("S", [3.5, 3.5, speed, 0.0]) for speed in (0.0, 0.4))
    _, columns = np.nonzero((still != moving).any(axis=-1))
    assert len(columns) > 0
    assert columns.max() < 2.9 * int(480 / 5.8)  # to the left of a point that moves to the right
