"""ObjectWorld and BinaryWorld against their rules, cell by cell in plain Python."""

import itertools
import math
import pickle

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl  # noqa: F401
from gym_ilrl import TabularMDP
from gym_ilrl.envs.binary_world import BinaryWorldDynamics, BinaryWorldEnv
from gym_ilrl.envs.binary_world_viewer import scene as binary_scene
from gym_ilrl.envs.object_world import ObjectWorldDynamics, ObjectWorldEnv
from gym_ilrl.envs.object_world_viewer import palette
from gym_ilrl.envs.open_grid_viewer import cell_pixels, corner

STEPS = [(0, -1), (1, 0), (0, 1), (-1, 0), (0, 0)]  # (rows down, columns right) of left, down, right, up, stay
OBJECT_WORLDS = [
    {},
    {"size": 3, "n_objects": 1, "slip": 0.0, "layout_seed": 4},
    {"size": 9, "n_objects": 20, "n_colors": 4, "slip": 1.0, "layout_seed": 2},
    {"size": 7, "n_objects": 49, "n_colors": 26, "layout_seed": 1, "features": "discrete"},
]


def make(name="ObjectWorld", **kwargs):
    return gym.make(f"ilrl/{name}-v0", **kwargs).unwrapped


def nearest(env, row, column, colors, color):
    """Euclidean distance from a cell to the nearest object of a colour, found by looking at all objects."""
    places = [divmod(place, env.dynamics.size) for place in env.dynamics.places.tolist()]
    found = [math.dist((row, column), place) for place, its in zip(places, colors, strict=True) if its == color]
    return min(found, default=math.sqrt(2) * env.dynamics.size)


@pytest.mark.parametrize("kwargs", OBJECT_WORLDS)
def test_object_world_pays_by_the_distances_to_outer_colours(kwargs):
    env = make(**kwargs)
    size = env.dynamics.size
    for state, (row, column) in enumerate(itertools.product(range(size), repeat=2)):
        first, second = (nearest(env, row, column, env.dynamics.outer, color) for color in (0, 1))
        expected = 0 if first > 3 else 1 if second <= 2 else -1
        assert (env.reward[:, state] == expected).all()


@pytest.mark.parametrize("kwargs", OBJECT_WORLDS)
def test_object_world_features_are_the_distances(kwargs):
    env = make(**{**kwargs, "features": "continuous"})
    size, n_colors = env.dynamics.size, env.dynamics.n_colors
    expected = [
        [nearest(env, *cell, colors, c) for colors in (env.dynamics.inner, env.dynamics.outer) for c in range(n_colors)]
        for cell in itertools.product(range(size), repeat=2)
    ]
    np.testing.assert_allclose(env.features, expected, rtol=0, atol=1e-12)
    assert env.feature_names[n_colors] == "distance to outer 0"
    discrete = make(**{**kwargs, "features": "discrete"})
    assert discrete.features.shape == (size**2, 2 * n_colors * size) == (size**2, len(discrete.feature_names))
    for number, name in enumerate(discrete.feature_names):
        part, color, _, threshold = name.split()
        column = (part == "outer") * n_colors + int(color)
        np.testing.assert_array_equal(discrete.features[:, number], env.features[:, column] <= float(threshold))
    np.testing.assert_array_equal(discrete.reward, env.reward)


def test_object_world_has_every_kind_of_cell_and_object():
    rewards = np.concatenate([make(layout_seed=seed).reward[0] for seed in range(20)])
    assert (np.array([(rewards == value).mean() for value in (-1, 0, 1)]) > 0.05).all()
    dynamics = ObjectWorldDynamics(1, size=40, n_objects=1600, n_colors=3)
    assert sorted(dynamics.places.tolist()) == list(range(1600))
    pairs = np.bincount(3 * dynamics.inner + dynamics.outer, minlength=9)
    assert (np.abs(pairs - 1600 / 9) < 5 * np.sqrt(1600 / 9)).all()


@pytest.mark.parametrize("kwargs", [{}, {"size": 3, "slip": 0.0}, {"size": 11, "layout_seed": 5}])
def test_binary_world_pays_by_the_number_of_blue_cells(kwargs):
    env = make("BinaryWorld", **kwargs)
    size, blue = env.dynamics.size, env.dynamics.blue
    for state, (row, column) in enumerate(itertools.product(range(size), repeat=2)):
        colors = [
            bool(blue[r, c]) if 0 <= r < size and 0 <= c < size else False
            for r in (row - 1, row, row + 1)
            for c in (column - 1, column, column + 1)
        ]
        assert (env.reward[:, state] == {4: 1.0, 5: -1.0}.get(sum(colors), 0.0)).all()
        assert env.features[state].tolist() == colors
    assert len(env.feature_names) == 9
    assert env.feature_names[1] == "upper blue"


def test_binary_world_tosses_a_coin_for_every_cell():
    blue = np.concatenate([make("BinaryWorld", size=50, layout_seed=seed).dynamics.blue for seed in range(8)])
    assert abs(blue.mean() - 0.5) < 4 * 0.5 / np.sqrt(blue.size)


def expected_arrivals(size, slip, state, action):
    arrivals = np.zeros(size * size)
    for taken, (down, right) in enumerate(STEPS):
        row, column = np.clip(np.add(divmod(state, size), (down, right)), 0, size - 1)
        arrivals[row * size + column] += slip / 5 + (1 - slip) * (taken == action)
    return arrivals


@pytest.mark.parametrize(
    ("name", "size", "slip"),
    [("ObjectWorld", 16, 0.3), ("ObjectWorld", 4, 0.0), ("BinaryWorld", 5, 0.45), ("BinaryWorld", 3, 1.0)],
)
def test_the_model_is_what_the_docstring_says(name, size, slip):
    env = make(name, size=size, slip=slip)
    matrix = env.transition_matrix.toarray()
    assert matrix.shape == (5 * size**2, size**2)
    assert env.transition_matrix.nnz == np.count_nonzero(matrix)
    for action in range(5):
        for state in range(size**2):
            expected = expected_arrivals(size, slip, state, action)
            np.testing.assert_allclose(matrix[action * size**2 + state], expected, rtol=0, atol=1e-15)
    assert not env.terminal.any()
    np.testing.assert_allclose(env.initial_distribution, size**-2, rtol=1e-12)
    assert env.positions[size + 2].tolist() == [2.0, 1.0]  # column to the right, row downwards


@pytest.mark.parametrize("dynamics_class", [ObjectWorldDynamics, BinaryWorldDynamics])
def test_steps_follow_the_model(dynamics_class):
    """Every action in every cell, 2000 times each, with the rewards of the cell that is left."""
    repeats, size = 2000, 4
    dynamics = dynamics_class(5 * size**2 * repeats, size=size, slip=0.4)
    action, state = (array.ravel() for array in np.indices((5, size**2, repeats))[:2])
    records = dynamics.get_state()
    records["state"], records["clock"] = state, 7
    records["key"] = np.random.default_rng(0).integers(0, 2**63, len(state))
    dynamics.set_state(range(len(state)), records)
    rewards, terminated = dynamics.step(action)
    assert not terminated.any()
    assert (rewards == dynamics.reward[action, state]).all()
    counts = np.zeros((5 * size**2, size**2))
    np.add.at(counts, (action * size**2 + state, dynamics.observe()), 1.0)
    p = np.stack([expected_arrivals(size, 0.4, s, a) for a in range(5) for s in range(size**2)])
    assert (counts[p == 0.0] == 0).all()
    assert (np.abs(counts / repeats - p) <= 5.0 * np.sqrt(p * (1.0 - p) / repeats) + 1e-12).all()


def test_layouts_depend_on_their_seed_and_on_nothing_else():
    for name in ("ObjectWorld", "BinaryWorld"):
        envs = [make(name, layout_seed=seed) for seed in (0, 0, 1, 2**63 - 1)]
        assert (envs[0].features == envs[1].features).all()
        assert len({env.features.tobytes() for env in envs}) == 3
        before = envs[0].reward.copy()
        starts = {envs[0].reset(seed=seed)[0] for seed in range(30)}
        assert len(starts) > 20
        assert (envs[0].reward == before).all()


def test_time_is_up_after_50_steps():
    env = gym.make("ilrl/BinaryWorld-v0")
    env.reset(seed=0)
    assert [env.step(4)[2:4] for _ in range(50)] == [(False, False)] * 49 + [(False, True)]


@pytest.mark.parametrize("name", ["ObjectWorld", "BinaryWorld"])
def test_planning_reads_the_model_through_wrappers(name):
    env = gym.make(f"ilrl/{name}-v0", size=6)
    mdp = TabularMDP.from_env(env, gamma=0.9)
    np.testing.assert_allclose(mdp.transitions.toarray(), env.unwrapped.transition_matrix.toarray(), atol=1e-15)
    np.testing.assert_array_equal(mdp.rewards, env.unwrapped.reward)


@pytest.mark.parametrize("env_class", [ObjectWorldEnv, BinaryWorldEnv])
def test_what_is_published_cannot_be_changed(env_class):
    env = env_class()
    for array in (env.features, env.positions, env.reward):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    again = pickle.loads(pickle.dumps(env))
    np.testing.assert_array_equal(again.features, env.features)


def test_a_large_grid():
    env = make("ObjectWorld", size=300, n_objects=2000)
    assert env.features.shape == (90_000, 4)
    env.reset(seed=0)
    env.step(1)
    with pytest.raises(ValueError, match="features='continuous' or a smaller size"):
        make("ObjectWorld", size=1000, features="discrete")


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("ObjectWorld", {"size": 2}, "size must be an integer from 3 to 1000, not 2"),
        ("ObjectWorld", {"size": 5.5}, "size must be an integer"),
        ("ObjectWorld", {"n_objects": 0}, "n_objects must be an integer from 1 to 256"),
        ("ObjectWorld", {"n_objects": 257}, "n_objects must be an integer from 1 to 256"),
        ("ObjectWorld", {"n_colors": 1}, "n_colors must be an integer from 2 to 26"),
        ("ObjectWorld", {"features": "binary"}, "features must be one of .*continuous.*discrete.*not 'binary'"),
        ("ObjectWorld", {"slip": 1.01}, "slip must be a probability"),
        ("ObjectWorld", {"layout_seed": 2**63}, "layout_seed must be an integer in"),
        ("BinaryWorld", {"size": 1001}, "size must be an integer from 3 to 1000"),
        ("BinaryWorld", {"slip": -0.1}, "slip must be a probability"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(name, **kwargs)


def in_cell(env, state):
    env.reset(seed=0)
    record = env.get_state()
    record["state"] = state
    env.set_state(record)
    return env.render()


def test_text_of_object_world():
    """Every cell's sign is its reward and its letters are its object; the agent's is in brackets."""
    env = make(size=5, n_objects=6, n_colors=3, layout_seed=2, render_mode="ansi")
    text = in_cell(env, 7)
    lines = [[line[5 * column : 5 * column + 5] for column in range(5)] for line in text.splitlines()]
    pairs = zip(env.dynamics.outer, env.dynamics.inner, strict=True)
    objects = dict(zip(env.dynamics.places.tolist(), pairs, strict=True))
    for state, cell in enumerate(itertools.chain(*lines)):
        outer, inner = objects.get(state, (None, None))
        letters = "  " if outer is None else "ABC"[outer] + "abc"[inner]
        assert cell[1:4] == {1.0: "+", 0.0: ".", -1.0: "-"}[env.reward[0, state]] + letters
        assert (cell[0], cell[4]) == (("[", "]") if state == 7 else (" ", " "))


def test_text_of_binary_world():
    env = make("BinaryWorld", size=4, layout_seed=3, render_mode="ansi")
    cells = [line[4 * column : 4 * column + 4] for line in in_cell(env, 14).splitlines() for column in range(4)]
    for state, cell in enumerate(cells):
        assert cell[1] == {1.0: "+", 0.0: ".", -1.0: "-"}[env.reward[0, state]]
        assert cell[2] == ("B" if env.dynamics.blue.flat[state] else "r")
        assert (cell[0] == "[") == (cell[3] == "]") == (state == 14)


def test_picture_of_object_world():
    """Objects show both colours, and cells that pay alike have the same colour; the agent is where it is."""
    env = make(size=12, n_objects=20, n_colors=5, render_mode="rgb_array")
    picture = in_cell(env, 30)
    cell, colors = cell_pixels(12), palette(5)
    shades = {}
    taken = set(env.dynamics.places.tolist())
    for state in range(144):
        left, top = corner(state, 12)
        if state not in taken:
            shades.setdefault(env.reward[0, state], set()).add(tuple(picture[top + cell // 2, left + cell // 2]))
    assert all(len(found) == 1 for found in shades.values())
    assert len(set.union(*shades.values())) == 3
    for place, inner, outer in zip(env.dynamics.places, env.dynamics.inner, env.dynamics.outer, strict=True):
        left, top = corner(int(place), 12)
        middle = top + cell // 2
        assert tuple(picture[middle, left + cell // 2]) == colors[inner]
        assert tuple(picture[middle, left + round(0.22 * cell)]) == colors[outer]
    changed = np.argwhere((in_cell(env, 31) != picture).any(axis=2))
    left, top = corner(30, 12)
    assert (changed.min(axis=0) >= [top, left]).all()
    assert (changed.max(axis=0) < [top + cell, left + 2 * cell]).all()
    assert len(set(palette(26))) == 26


def test_picture_of_binary_world():
    env = make("BinaryWorld", size=6, layout_seed=1, render_mode="rgb_array")
    picture = in_cell(env, 0)
    static = binary_scene(env.dynamics.cell_rewards, env.dynamics.blue)
    cell = cell_pixels(6)
    for state in range(36):
        left, top = corner(state, 6)
        red, _, blue = picture[top + cell // 4, left + cell // 4]
        assert (blue > red) == env.dynamics.blue.flat[state]
        x, y = left + cell // 2, top + cell // 2
        white = [tuple(static[at]) == (255, 255, 255) for at in ((y, x), (y + cell // 10, x))]
        assert white == [env.reward[0, state] != 0, env.reward[0, state] > 0]
