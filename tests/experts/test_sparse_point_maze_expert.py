"""The expert of SparsePointMaze arrives where random actions do not."""

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl
from gym_ilrl.envs.point_maze_layouts import read_layout
from gym_ilrl.envs.sparse_point_maze import SparsePointMazeDynamics
from gym_ilrl.experts.sparse_point_maze import SparsePointMazeExpert

ENV_ID = "ilrl/SparsePointMaze-v0"
OPEN = ["S    ", "  #  ", "    G"]  # no border: outside is wall
NAMES = ("U", "S", "L")
SPIRAL = [  # a way of one cell's width, dead ends, and free cells that no way leads to
    "S # #  ",
    "#   # #",
    "# ### #",
    "#    G#",
]


def first_arrivals(layout, policy, n, limit=250):
    """Steps until each of ``n`` points arrives, or infinity."""
    dynamics = SparsePointMazeDynamics(n, layout)
    dynamics.reset(range(n), [np.random.default_rng(seed) for seed in range(n)])
    arrivals = np.full(n, np.inf)
    for t in range(1, limit + 1):
        _, terminated = dynamics.step(policy(t, dynamics.observe()))
        arrivals[terminated] = np.minimum(arrivals[terminated], t)
    return arrivals


@pytest.mark.parametrize(("layout", "least", "most"), [("U", 0.05, 0.2), ("S", 0.0, 0.0), ("L", 0.0, 0.0)])
def test_random_actions_hardly_find_the_goal(layout, least, most):
    rng = np.random.default_rng(0)
    arrivals = first_arrivals(layout, lambda t, _: rng.uniform(-1, 1, (500, 2)).astype(np.float32), 500)
    assert least <= np.isfinite(arrivals).mean() <= most


@pytest.mark.parametrize("layout", [*NAMES, OPEN, SPIRAL])
@pytest.mark.parametrize("thrust", [1.0, 0.35])
def test_the_expert_always_arrives_and_slower_with_less_thrust(layout, thrust):
    env = gym.make(ENV_ID, layout=layout)
    n_cells = read_layout(layout).distances[read_layout(layout).start]
    teacher = SparsePointMazeExpert(env, thrust=thrust)
    arrivals = first_arrivals(layout, lambda _, observations: teacher.predict(observations)[0], 200)
    assert np.isfinite(arrivals).all()
    # 0.7 of a cell may be spared at the start by its spread, half a cell at the goal
    assert arrivals.min() >= (n_cells - 1.2) / (0.4 * thrust)
    assert arrivals.max() <= 1.7 * n_cells / (0.4 * thrust) + 6


@pytest.mark.parametrize(
    ("observation", "action"),
    [
        ([1.5, 1.5, 0.0, 0.0], [1.0, 0.0]),  # U leads to the right
        ([3.5, 1.5, 0.1, 0.0], [-0.5, 1.0]),  # then down: 4 * (3.5 - 3.5) - 5 * 0.1
        ([3.25, 3.4, -0.1, 0.06], [-1.0, 0.1]),  # and back to the left, keeping to the middle: 4 * 0.1 - 5 * 0.06
        ([1.6, 3.5, 0.0, 0.0], [-0.4, 0.0]),  # at the goal it stays
    ],
)
def test_the_action_steers_to_the_middle_of_the_next_cell(observation, action):
    for thrust in (1.0, 0.5):
        teacher = SparsePointMazeExpert(gym.make(ENV_ID, layout="U"), thrust)
        given = teacher.predict(np.array(observation, dtype=np.float32))[0]
        np.testing.assert_allclose(given, thrust * np.array(action), rtol=0, atol=1e-6)


def test_the_expert_keeps_its_thrust_when_bound_and_plans_anew():
    weak = SparsePointMazeExpert(gym.make(ENV_ID, layout="U"), thrust=0.5)
    bound = weak.bind(gym_ilrl.make_vec_env(ENV_ID, 2, env_kwargs={"layout": "L"}))
    # the first cell of L's last corner: from (2, 7) U would not know a way
    action, _ = bound.predict(np.array([2.5, 7.5, 0.0, 0.0], dtype=np.float32))
    np.testing.assert_allclose(action, [-0.5, 0.0], rtol=0, atol=1e-6)
    demos = gym_ilrl.collect(weak, gym.make(ENV_ID, layout="S"), n_episodes=1, seed=0)
    assert np.abs(demos.actions).max() == pytest.approx(0.5)


@pytest.mark.parametrize("thrust", [0.0, 1.5, -1.0, float("nan"), "full", None, True])
def test_thrust_outside_its_range_is_refused(thrust):
    with pytest.raises(ValueError, match="thrust must be a share of the full thrust"):
        SparsePointMazeExpert(gym.make(ENV_ID), thrust)


def test_the_expert_refuses_another_environment():
    with pytest.raises(TypeError, match="needs an ilrl/SparsePointMaze-v0"):
        SparsePointMazeExpert(gym.make("MountainCarContinuous-v0"))
