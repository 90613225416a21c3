"""SparsePointMaze against its equations in plain Python, and against what walls must never let through."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_ilrl
from gym_ilrl.envs.point_maze_layouts import LAYOUTS, read_layout
from gym_ilrl.envs.sparse_point_maze import SparsePointMazeDynamics

ENV_ID = "ilrl/SparsePointMaze-v0"
OPEN = ["S    ", "  #  ", "    G"]  # no border: outside is wall
NAMES = ("U", "S", "L")
SPIRAL = [  # a way of one cell's width, dead ends, and free cells that no way leads to
    "S # #  ",
    "#   # #",
    "# ### #",
    "#    G#",
]


def make(**kwargs):
    return gym.make(ENV_ID, **kwargs).unwrapped


def wall(rows, x, y):
    """Whether a place is in a wall, read off the characters."""
    inside = 0 <= x < len(rows[0]) and 0 <= y < len(rows)
    return not inside or rows[int(y)][int(x)] == "#"


def stepped(rows, observation, action):
    """The docstring's equations in double precision, the walls felt in a thousand small advances."""
    position, velocity = list(map(float, observation[:2])), list(map(float, observation[2:]))
    for axis in (0, 1):
        velocity[axis] = 0.85 * velocity[axis] + 0.06 * max(-1.0, min(1.0, float(action[axis])))
    for axis in (0, 1):
        start, hit = position[axis], False
        for part in range(1, 1001):
            there = list(position)
            there[axis] = start + velocity[axis] * part / 1000
            if wall(rows, *there):
                hit = True
                break
            position[axis] = there[axis]
        if hit:
            velocity[axis] = 0.0
    return [*position, *velocity]


def reachable(rows):
    """The number of moves from each cell to the goal, by relaxing every pair of neighbours until nothing changes."""
    cells = [(r, c) for r in range(len(rows)) for c in range(len(rows[0])) if not wall(rows, c, r)]
    far = {cell: 0 if rows[cell[0]][cell[1]] == "G" else np.inf for cell in cells}
    for _ in cells:
        for r, c in cells:
            far[r, c] = min(
                [far[r, c], *(far.get(to, np.inf) + 1 for to in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)))]
            )
    return far


@st.composite
def grids(draw):
    height, width = draw(st.integers(1, 6)), draw(st.integers(2, 6))
    cells = draw(st.lists(st.sampled_from("   #"), min_size=height * width, max_size=height * width))
    start, goal = draw(st.lists(st.integers(0, height * width - 1), min_size=2, max_size=2, unique=True))
    cells[start], cells[goal] = "S", "G"
    return ["".join(cells[row * width : (row + 1) * width]) for row in range(height)]


def reachable_grids():
    def has_way(rows):
        far = reachable(rows)
        return any(rows[r][c] == "S" and np.isfinite(moves) for (r, c), moves in far.items())

    return grids().filter(has_way)


@settings(max_examples=40, deadline=None)
@given(rows=st.one_of(st.sampled_from([OPEN, SPIRAL, *map(list, LAYOUTS.values())]), reachable_grids()), data=st.data())
def test_steps_follow_the_equations_and_stay_out_of_walls(rows, data):
    """Whatever the actions: a step agrees with a walk in small advances, so nothing is jumped over or entered."""
    env = make(layout=rows)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    hold = data.draw(st.integers(1, 12))
    observation, _ = env.reset(seed=0)
    assert not wall(rows, *observation[:2])
    for t in range(30):
        if t % hold == 0:
            action = rng.choice([-1.5, -1.0, -0.3, 0.0, 1.0], 2).astype(np.float32)
        expected = stepped(rows, observation, action)
        observation, _, terminated, truncated, info = env.step(action)
        np.testing.assert_allclose(observation, expected, rtol=0, atol=2e-3)
        assert not wall(rows, *observation[:2])
        assert env.observation_space.contains(observation)
        at_goal = rows[int(observation[1])][int(observation[0])] == "G"
        assert (terminated, truncated, info) == (at_goal, False, {"is_success": at_goal})
        if terminated:
            break


@settings(max_examples=30, deadline=None)
@given(rows=reachable_grids(), seed=st.integers(0, 2**32))
def test_nothing_sticks_in_a_wall(rows, seed):
    """From wherever 40 random pushes lead, the expert finds the goal."""
    env = make(layout=rows)
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(4):
        action = rng.uniform(-3, 3, 2)
        for _ in range(10):
            env.step(action)
    teacher = gym_ilrl.expert(env.spec.id, layout=rows).bind(env)
    steps = sum(len(row) for row in rows) * 12
    assert any(env.step(teacher.predict(env.observe())[0])[2] for _ in range(steps))


@pytest.mark.parametrize(
    ("start", "push", "end"),
    [
        ((1.5, 1.5, 0.0, 0.0), (-1.0, 0.0), (1.0, 1.5, 0.0, 0.0)),  # to the left, up to the face of the border
        ((2.5, 1.5, 0.0, 0.0), (0.0, 1.0), (2.5, 2.0, 0.0, 0.0)),  # down, up to the face of the middle wall
        ((1.5, 1.5, 0.0, 0.0), (1.0, 1.0), (4.0, 4.0, 0.0, 0.0)),  # right and down: along the walls, round the corner
    ],
)
def test_walls_stop_at_their_faces(start, push, end):
    env = make(layout="U")
    env.reset(options={"state": np.array(start)})
    for _ in range(40):
        observation = env.step(np.array(push))[0]
    np.testing.assert_allclose(observation, end, rtol=0, atol=1e-6)


def test_along_a_wall_the_point_keeps_its_velocity():
    env = make(layout="S")
    env.reset(options={"state": np.array([1.5, 1.0, 0.0, 0.0])})
    velocity = 0.0
    for _ in range(8):
        observation = env.step(np.array([1.0, -1.0]))[0]
        velocity = 0.85 * velocity + 0.06
        np.testing.assert_allclose(observation[1:], [1.0, velocity, 0.0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_distances_are_those_of_the_grid(name):
    layout, far = read_layout(name), reachable(LAYOUTS[name])
    assert {(r, c): layout.distances[r, c] for r, c in far} == far
    assert (layout.distances[~layout.free] == -1).all()
    assert layout.distances[layout.start] == {"U": 6, "S": 16, "L": 30}[name]


@settings(max_examples=100, deadline=None)
@given(rows=grids())
def test_a_grid_is_refused_exactly_when_no_way_leads_to_the_goal(rows):
    far = reachable(rows)
    start = next(cell for cell in far if rows[cell[0]][cell[1]] == "S")
    if np.isinf(far[start]):
        with pytest.raises(ValueError, match="layout must be a grid in which a way leads from the start 'S'"):
            read_layout(rows)
        return
    distances = read_layout(rows).distances
    assert all(distances[cell] == (-1 if np.isinf(moves) else moves) for cell, moves in far.items())


def test_episodes_start_at_rest_around_the_middle_of_the_start():
    env = make(layout="L")
    starts = np.array([env.reset(seed=seed)[0] for seed in range(300)])
    assert (starts[:, 2:] == 0.0).all()
    assert (np.abs(starts[:, :2] - 1.5) <= 0.2).all()
    assert (np.ptp(starts[:, :2], axis=0) > 0.38).all()
    np.testing.assert_allclose(starts[:, :2].var(axis=0), 0.4**2 / 12, rtol=0.2)
    assert abs(np.corrcoef(starts[:, 0], starts[:, 1])[0, 1]) < 0.2


@pytest.mark.parametrize("step_cost", [0.0, 0.01])
def test_the_return_is_one_less_what_the_steps_cost(step_cost):
    env = gym.make(ENV_ID, layout="S", step_cost=step_cost)
    teacher = gym_ilrl.expert(env)
    observation, _ = env.reset(seed=1)
    rewards, terminated = [], False
    while not terminated:
        observation, reward, terminated, truncated, info = env.step(teacher.predict(observation)[0])
        rewards.append(reward)
        assert not truncated
    assert rewards[:-1] == [-step_cost] * (len(rewards) - 1)
    assert rewards[-1] == 1.0 - step_cost
    assert info["is_success"] is True


def test_an_observation_is_the_whole_state():
    """An episode that starts at an observation of another goes on exactly as that one did."""
    env, other = make(layout="S"), make(layout="S")
    teacher = gym_ilrl.expert(gym.make(ENV_ID, layout="S"))
    observation, _ = env.reset(seed=7)
    seen, actions, terminated = [observation], [], False
    while not terminated:
        actions.append(teacher.predict(observation)[0])
        observation, _, terminated, _, _ = env.step(actions[-1])
        seen.append(observation)
    for start in range(0, len(actions), 7):
        observation, info = other.reset(seed=start, options={"state": seen[start]})
        np.testing.assert_array_equal(observation, seen[start])
        assert info == {"is_success": False}
        for action, expected in zip(actions[start:], seen[start + 1 :], strict=True):
            observation, _, terminated, _, _ = other.step(action)
            np.testing.assert_array_equal(observation, expected)
        assert terminated


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([2.5, 2.5, 0.0, 0.0], "inside a wall: x = 2.5, y = 2.5"),
        ([-0.1, 1.5, 0.0, 0.0], "inside a wall"),
        ([1.5, 5.0, 0.0, 0.0], "inside a wall"),
        ([np.nan, 1.5, 0.0, 0.0], "inside a wall"),
        ([1.5, 1.99999999, 0.0, 0.0], "inside a wall"),  # in single precision
        ([1.5, 1.5, 0.6, 0.0], "velocities from -0.5 to 0.5"),
        ([1.5, 1.5, 0.0, np.nan], "velocities from -0.5 to 0.5"),
        ([1.5, 3.5, 0.0, 0.0], "cannot start at the goal"),
        ([1.5, 1.5], r"observation \(x, y, vx, vy\)"),
        ([[1.5, 1.5, 0.0, 0.0]], r"observation \(x, y, vx, vy\)"),
        ("start", r"observation \(x, y, vx, vy\)"),
    ],
)
def test_no_episode_starts_where_the_point_cannot_be(state, message):
    env = make(layout="U")
    before = env.reset(seed=0)[0]
    with pytest.raises(ValueError, match=message):
        env.reset(options={"state": state})
    np.testing.assert_array_equal(env.observe(), before)


def test_a_saved_state_of_another_layout_is_refused():
    small, large = make(layout="U"), make(layout="L")
    small.reset(seed=0), large.reset(options={"state": np.array([6.5, 7.5, 0.0, 0.0])})
    with pytest.raises(ValueError, match="inside a wall"):
        small.set_state(large.get_state())


def test_rows_are_environments_of_their_own():
    n = 7
    many = SparsePointMazeDynamics(n, "S", 0.01)
    many.reset(range(n), [np.random.default_rng(seed) for seed in range(n)])
    single = [make(layout="S", step_cost=0.01) for _ in range(n)]
    for seed, env in enumerate(single):
        env.dynamics.reset([0], [np.random.default_rng(seed)])
    first = many.observe()
    kept = first.copy()
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = rng.uniform(-1.5, 1.5, (n, 2)).astype(np.float32).round()  # round: walls are met
        rewards, terminated = many.step(actions)
        for row, env in enumerate(single):
            observation, reward, ended, _, _ = env.step(actions[row])
            np.testing.assert_array_equal(observation, many.observe()[row])
            assert (reward, ended) == (rewards[row], terminated[row])
    np.testing.assert_array_equal(first, kept)  # what was returned does not change under later steps


def test_start_in_every_copy_of_a_vec_env():
    venv = gym_ilrl.make_vec_env(ENV_ID, 3, env_kwargs={"layout": "S"})
    observation = np.array([3.25, 3.5, -0.25, 0.0], dtype=np.float32)
    venv.set_options({"state": observation})
    np.testing.assert_array_equal(venv.reset(), np.tile(observation, (3, 1)))
    assert (venv.reset()[:, 2:] == 0.0).all()  # only once


def test_not_a_number_is_refused_and_changes_nothing():
    env = make()
    before, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match="NaN"):
        env.step(np.array([0.0, np.nan], dtype=np.float32))
    np.testing.assert_array_equal(env.observe(), before)


def test_a_grid_of_ones_own_survives_json():
    env = gym.make(ENV_ID, layout=SPIRAL, step_cost=0.5, max_episode_steps=7)
    text = env.spec.to_json()
    json.loads(text)
    rebuilt = gym.make(EnvSpec.from_json(text))
    np.testing.assert_array_equal(rebuilt.unwrapped.dynamics.layout.free, env.unwrapped.dynamics.layout.free)
    rebuilt.reset(seed=0)
    assert [rebuilt.step(np.zeros(2))[1:4] for _ in range(7)] == [(-0.5, False, False)] * 6 + [(-0.5, False, True)]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"layout": "M"}, "layout must be one of U, S, L, or a grid"),
        ({"layout": []}, "layout must be one of U, S, L, or a grid"),
        ({"layout": ["SG", 3]}, "layout must be one of U, S, L, or a grid"),
        ({"layout": ["S G", "#"]}, r"rows of one length \(they have \[1, 3\] characters\)"),
        ({"layout": ["S.G"]}, r"only \(it has \['\.'\]\)"),
        ({"layout": ["G  "]}, r"one start 'S' \(it has 0\)"),
        ({"layout": ["S  "]}, r"one goal 'G' \(it has 0\)"),
        ({"layout": ["S G", "G  "]}, r"one goal 'G' \(it has 2\)"),
        ({"layout": [""]}, r"one start 'S' \(it has 0\)"),
        ({"layout": ["S# ", "##G"]}, "a way leads from the start 'S' to the goal 'G'"),
        ({"step_cost": -0.1}, "step_cost must be a finite number, at least 0"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)
