"""GridMaze against the maze as its own picture in text shows it, searched and stepped in plain Python."""

from collections import deque

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import gym_ilrl  # noqa: F401
from gym_ilrl.envs.grid_layouts import generate_layout
from gym_ilrl.envs.grid_maze import GridMazeDynamics
from gym_ilrl.envs.grid_viewer import draw, write
from gym_ilrl.experts.grid_maze import GridMazeExpert

LAYOUTS = ("maze", "rooms", "open")  # from the upper left corner to the lower right one
CONFIGURATIONS = [
    {},
    {"size": 2, "layout": "maze"},
    {"size": 5, "layout": "rooms", "layout_seed": 4, "slip": 0.5},
    {"size": 4, "layout": "open", "slip": 0.0},
    {"size": 6, "layout": "maze", "layout_seed": 9, "slip": 1.0},
    {"size": 5, "wind": 0.3},
    {"size": 4, "layout": "open", "slip": 0.2, "wind": 1.0, "wind_direction": "right"},
    {"size": 5, "layout": "spiral", "wind": 0.5, "wind_direction": "left"},
    {"size": 4, "layout": "cliff", "slip": 0.0, "wind": 0.25, "wind_direction": "down"},
    {"layout": ["S #G", "  # ", "# C ", "    ", " # C"], "slip": 0.3, "wind": 0.2},
]


def make(**kwargs):
    return gym.make("ilrl/GridMaze-v0", **kwargs).unwrapped


def neighbours(text):
    """Read, off the maze in text, where left, down, right and up lead from each cell: ``[(4 cells), ...]``."""
    lines = text.splitlines()
    rows, columns = len(lines) // 2, len(lines[0]) // 4
    table = []
    for cell in range(rows * columns):
        row, column = divmod(cell, columns)
        y, x = 2 * row + 1, 4 * column + 2
        free = (lines[y][x - 2] == " ", lines[y + 1][x] == " ", lines[y][x + 2] == " ", lines[y - 1][x] == " ")
        steps = (-1, columns, 1, -columns)
        table.append([cell + step if is_free else cell for step, is_free in zip(steps, free, strict=True)])
    return table


def distances(table, start):
    """Breadth-first search."""
    found, queue = {start: 0}, deque([start])
    while queue:
        cell = queue.popleft()
        for to in table[cell]:
            if to not in found:
                found[to] = found[cell] + 1
                queue.append(to)
    return found


def special_cells(text):
    """Read start, goal and the cells that end the episode off a maze in text whose agent is on its start."""
    marks = [line[2::4] for line in text.splitlines()[1::2]]
    joined = "".join(marks)
    return joined.index("@"), joined.index("G"), {cell for cell, mark in enumerate(joined) if mark in "GC"}


def expected_model(env, slip=0.1, wind=0.0, wind_direction="up", **_):
    """Arrival probabilities ``{(cell, action): {to: probability}}`` from the text and the docstring."""
    layout = env.dynamics.layout
    text = write(layout, layout.start, layout.goal, layout.start)
    table, over = neighbours(text), special_cells(text)[2]
    gust = ["left", "down", "right", "up"].index(wind_direction)
    model = {}
    for cell in range(len(table)):
        for action in range(4):
            arrivals = {}
            for direction, p in ((action, 1 - slip), ((action + 1) % 4, slip / 2), ((action + 3) % 4, slip / 2)):
                to = cell if cell in over else table[cell][direction]
                blown = to if to in over else table[to][gust]
                for end, probability in ((to, p * (1 - wind)), (blown, p * wind)):
                    if probability > 0:
                        arrivals[end] = arrivals.get(end, 0.0) + probability
            model[cell, action] = arrivals
    return model


@pytest.mark.parametrize("kwargs", CONFIGURATIONS)
def test_the_model_is_what_the_text_shows(kwargs):
    env = make(**kwargs)
    layout = env.dynamics.layout
    start, goal, over = special_cells(write(layout, layout.start, layout.goal, layout.start))
    expected = expected_model(env, **kwargs)
    assert set(env.P) == set(range(env.observation_space.n))
    assert env.initial_distribution[start] == 1.0
    for (cell, action), arrivals in expected.items():
        outcomes = env.P[cell][action]
        assert {to: p for p, to, _, _ in outcomes} == pytest.approx(arrivals)
        for outcome in outcomes:
            assert list(map(type, outcome)) == [float, int, float, bool]
            _, to, reward, terminated = outcome
            assert reward == (1.0 if to == goal and cell != goal else 0.0)
            assert terminated == (to in over)
    assert env.P is env.P


@pytest.mark.parametrize("kwargs", CONFIGURATIONS)
def test_the_sparse_form_equals_the_toy_text_form(kwargs):
    env = make(**kwargs)
    n = int(env.observation_space.n)
    matrix, dense = env.transition_matrix, np.zeros((4 * n, n))
    reward = np.zeros((4, n))
    for cell, actions in env.P.items():
        for action, outcomes in actions.items():
            for probability, to, r, terminated in outcomes:
                dense[action * n + cell, to] += probability
                reward[action, cell] += probability * r
                assert env.terminal[to] == terminated
    assert matrix.shape == (4 * n, n)
    assert matrix.format == "csr"
    assert (matrix.toarray() == dense).all()
    assert matrix.nnz == np.count_nonzero(dense)
    np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)).ravel(), 1.0, rtol=0, atol=1e-15)
    np.testing.assert_allclose(env.reward, reward, rtol=0, atol=1e-15)
    assert env.initial_distribution.sum() == 1.0


@pytest.mark.parametrize("kwargs", CONFIGURATIONS)
def test_steps_follow_the_model(kwargs):
    """Every cell and action, 1000 times each: arrivals, rewards and ends against the model's probabilities."""
    repeats = 1000
    env = make(**kwargs)
    n = int(env.observation_space.n)
    cell, action = (array.ravel() for array in np.indices((n, 4, repeats))[:2])
    dynamics = GridMazeDynamics(len(cell), **kwargs)
    state = dynamics.get_state()
    state["cell"], state["clock"] = cell, 3
    state["key"] = np.random.default_rng(0).integers(0, 2**63, len(cell))
    dynamics.set_state(range(len(cell)), state)
    rewards, terminated = dynamics.step(action)
    to = dynamics.observe()
    goal = env.dynamics.goal
    assert (terminated == env.terminal[to]).all()
    assert (rewards == ((to == goal) & (cell != goal))).all()
    counts = np.zeros((4 * n, n))
    np.add.at(counts, (action * n + cell, to), 1.0)
    p = env.transition_matrix.toarray()
    assert (counts[p == 0.0] == 0).all()
    assert (np.abs(counts / repeats - p) <= 5.0 * np.sqrt(p * (1.0 - p) / repeats) + 1e-12).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [2, 3, 8, 15])
def test_every_cell_can_be_reached(layout, size):
    for layout_seed in range(10):
        found = generate_layout(layout, size, layout_seed)
        assert found.shape == (size, size)
        assert len(distances(neighbours(write(found, 0, 1, 0)), 0)) == size * size


def test_a_maze_is_a_spanning_tree_with_a_tenth_of_the_other_walls_opened():
    size = 40
    openings = [generate_layout("maze", size, seed) for seed in range(20)]
    extra = np.array([maze.right.sum() + maze.down.sum() - (size**2 - 1) for maze in openings])
    walls = 2 * size * (size - 1) - (size**2 - 1)  # of the tree alone
    assert (extra >= 0).all()
    assert abs(extra.mean() - 0.1 * walls) < 5 * np.sqrt(walls * 0.1 * 0.9 / len(openings))


@pytest.mark.parametrize("size", [4, 7, 12])
def test_rooms_have_a_door_in_each_of_their_four_walls(size):
    middle, places = size // 2, set()
    for seed in range(30):
        rooms = generate_layout("rooms", size, seed)
        assert (~rooms.right).sum() == (~rooms.down).sum() == size - 2
        for wall in (rooms.right[:, middle - 1], rooms.down[middle - 1]):
            assert wall[:middle].sum() == wall[middle:].sum() == 1
            places |= set(np.flatnonzero(wall).tolist())
    assert places == set(range(size))


def test_layouts_depend_on_their_seed_and_on_nothing_else():
    for layout in ("maze", "rooms"):
        texts = [write(generate_layout(layout, 12, seed), 0, 1, 0) for seed in (0, 0, 1, 2)]
        assert texts[0] == texts[1]
        assert len(set(texts)) == 3
    env = make()
    before = write(env.dynamics.layout, 0, 1, 0)
    for seed in range(3):
        assert env.reset(seed=seed)[0] == 0
    assert write(env.dynamics.layout, 0, 1, 0) == before


@pytest.mark.parametrize("kwargs", CONFIGURATIONS)
def test_the_planned_value_is_the_value_of_the_planned_policy(kwargs):
    """``V = (I - gamma P_pi)^-1 r_pi``, where arriving at the goal ends everything."""
    env = gym.make("ilrl/GridMaze-v0", **kwargs)
    expert = GridMazeExpert(env)
    n = int(env.observation_space.n)
    assert expert.gamma == 1 - 1 / 200
    actions, _ = expert.predict(np.arange(n))
    system, rewards = np.eye(n), np.zeros(n)
    goal, over = env.unwrapped.dynamics.goal, env.unwrapped.terminal
    for (cell, action), arrivals in expected_model(env.unwrapped, **kwargs).items():
        if actions[cell] == action and not over[cell]:
            for to, p in arrivals.items():
                rewards[cell] += p * (to == goal)
                system[cell, to] -= expert.gamma * p * (not over[to])
    np.testing.assert_allclose(np.linalg.solve(system, rewards), expert.values, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kwargs", [{"layout": layout, "size": size} for layout in LAYOUTS for size in (3, 9)])
def test_without_slip_the_expert_takes_a_shortest_way_from_everywhere(kwargs):
    env = gym.make("ilrl/GridMaze-v0", slip=0.0, layout_seed=2, **kwargs)
    expert, n = GridMazeExpert(env), int(env.observation_space.n)
    table = neighbours(write(env.unwrapped.dynamics.layout, 0, n - 1, 0))
    to_goal = distances(table, n - 1)
    actions, _ = expert.predict(np.arange(n))
    assert all(to_goal[table[cell][actions[cell]]] == to_goal[cell] - 1 for cell in range(n - 1))
    cell, _ = env.reset(seed=0)
    rewards = []
    for _ in range(to_goal[0]):
        cell, reward, terminated, _, _ = env.step(expert.predict(cell)[0])
        rewards.append(reward)
    assert (cell, terminated) == (n - 1, True)
    assert rewards == [0.0] * (to_goal[0] - 1) + [1.0]


def test_the_expert_refuses_another_environment():
    with pytest.raises(TypeError, match="needs an ilrl/GridMaze-v0"):
        GridMazeExpert(gym.make("FrozenLake-v1"))


def test_success_is_to_arrive_at_the_goal():
    env = make(size=3, slip=0.5)
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    arrivals = 0
    for _ in range(300):
        assert info["is_success"] is False
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert info["is_success"] is terminated is (reward == 1)
        if terminated or truncated:
            arrivals += terminated
            _, info = env.reset()
    assert arrivals > 3


def test_a_saved_state_replays():
    env = make(layout="open", slip=0.5)
    env.reset(seed=3)
    for t in range(10):
        env.step(t % 4)
    state = env.get_state()
    first = [env.step(t % 4)[0] for t in range(40)]
    env.set_state(state)
    assert [env.step(t % 4)[0] for t in range(40)] == first
    assert len(set(first)) > 3


def test_time_is_up_after_200_steps_and_the_spec_is_json():
    env = gym.make("ilrl/GridMaze-v0", layout="rooms", size=5)
    env.reset(seed=0)
    ends = [env.step(3)[2:4] for _ in range(200)]  # up: away from the goal
    assert ends == [(False, False)] * 199 + [(False, True)]
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert write(again.unwrapped.dynamics.layout, 0, 1, 0) == write(env.unwrapped.dynamics.layout, 0, 1, 0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 1}, "size must be an integer from 2 to 1000"),
        ({"size": 2000}, "size must be an integer from 2 to 1000"),
        ({"size": 4.5}, "size must be an integer"),
        ({"layout": "labyrinth"}, "layout must be one of maze, rooms, open, spiral, cliff, not 'labyrinth'"),
        ({"layout_seed": -1}, "layout_seed must be an integer in"),
        ({"slip": 1.1}, "slip is a probability"),
        ({"slip": float("nan")}, "slip is a probability"),
        ({"wind": 1.1}, "wind is a probability"),
        ({"wind_direction": "north"}, "wind_direction must be one of left, down, right, up, not 'north'"),
        ({"layout": []}, "or a grid as a list of strings, one a row"),
        ({"layout": ["S ", "G"]}, r"rows of one length \(they have \[1, 2\] characters\)"),
        ({"layout": ["S x", "  G"]}, r"only \(it has \['x'\]\)"),
        ({"layout": ["S  ", "   "]}, r"one goal 'G' \(it has 0\)"),
        ({"layout": ["S S", "  G"]}, r"one start 'S' \(it has 2\)"),
        ({"layout": ["S#G", " C "]}, "a way from the start 'S' to the goal 'G'"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_a_spiral_is_one_corridor_from_the_corner_to_the_middle():
    for size in (2, 3, 6, 9):
        spiral = generate_layout("spiral", size)
        assert spiral.right.sum() + spiral.down.sum() == size**2 - 1
        found = distances(neighbours(write(spiral, 0, 1, 0)), 0)
        assert found[spiral.goal] == size**2 - 1
        assert set(divmod(spiral.goal, size)) <= {(size - 1) // 2, size // 2}


def test_a_cliff_lies_between_start_and_goal_and_ends_the_episode_without_reward():
    env = make(size=4, layout="cliff", slip=0.0, render_mode="ansi")
    assert env.reset(seed=0)[0] == 12
    assert [line[2::4] for line in env.render().splitlines()[1::2]] == ["    ", "    ", "    ", "@CCG"]
    assert np.flatnonzero(env.terminal).tolist() == [13, 14, 15]
    assert env.step(2) == (13, 0.0, True, False, {"is_success": False})
    env.reset(seed=0)
    assert [env.step(action)[0] for action in (3, 2, 2, 2)] == [8, 9, 10, 11]
    assert env.step(1) == (15, 1.0, True, False, {"is_success": True})


def test_wind_blows_against_walls_and_out_of_no_goal():
    env = make(size=3, layout="open", slip=0.0, wind=1.0, wind_direction="down")
    env.reset(seed=0)
    assert [env.step(action)[0] for action in (2, 2, 3)] == [4, 8, 8]  # two cells a step, and 8 is the goal
    env = make(size=3, layout="open", slip=0.0, wind=1.0, wind_direction="left")
    env.reset(seed=0)
    assert [env.step(action)[0] for action in (2, 1, 1, 2)] == [0, 3, 6, 6]


def test_gusts_are_independent_of_slips():
    rows = 100_000
    dynamics = GridMazeDynamics(rows, size=5, layout="open", slip=0.4, wind=0.3, wind_direction="up")
    state = dynamics.get_state()
    state["cell"], state["key"] = 12, np.random.default_rng(1).integers(0, 2**63, rows)
    dynamics.set_state(range(rows), state)
    dynamics.step(np.full(rows, 2))
    shares = np.bincount(dynamics.observe(), minlength=25) / rows
    # moved right, up or down, and then stayed or was blown up
    expected = {13: 0.6 * 0.7, 8: 0.6 * 0.3, 7: 0.2 * 0.7, 2: 0.2 * 0.3, 17: 0.2 * 0.7, 12: 0.2 * 0.3}
    for cell, p in expected.items():
        assert abs(shares[cell] - p) < 5 * np.sqrt(p * (1 - p) / rows)
    assert shares.sum() == pytest.approx(sum(expected.values()))


def test_episodes_without_wind_are_what_they_have_been():
    """Recorded with the first version of the environment."""
    env = make()
    env.reset(seed=7)
    assert [int(env.step(t % 3)[0]) for t in range(24)] == [
        *(0, 8, 8, 8, 8, 8, 8, 16, 8, 8, 16, 16, 16, 24, 24, 24, 32, 32, 40, 48, 49, 48, 48, 49)
    ]


def test_a_grid_of_characters_is_read_as_it_is_written():
    rows = ["S #G", "  # ", "# C ", "    "]
    env = make(layout=rows)
    env.reset(seed=0)
    text = write(env.dynamics.layout, 0, 3, 0)
    assert [line[2::4].replace("@", "S") for line in text.splitlines()[1::2]] == rows
    assert env.observation_space.n == 16
    assert env.transition_matrix[2, 2] == 1.0  # inside the wall
    picture = draw(env.dynamics.layout, 0, 3, 0)
    assert (picture[68, 308] == picture[0, 0]).all()  # wall
    assert (picture[308, 308] != picture[428, 188]).any()  # cliff and floor


def test_positions_are_columns_and_rows():
    env = make(layout=["S  ", "  G"])
    assert env.positions.tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]


def test_text_shows_start_goal_and_agent():
    env = make(size=3, layout="open", slip=0.0, render_mode="ansi")
    env.reset(seed=0)
    env.step(1)
    assert env.render() == (
        "+---+---+---+\n| S         |\n+   +   +   +\n| @         |\n+   +   +   +\n|         G |\n+---+---+---+\n"
    )


def test_picture_has_its_walls_where_the_layout_has_them():
    layout = generate_layout("maze", 6, 1)
    picture = draw(layout, start=0, goal=35, agent=14)
    assert picture.dtype == np.uint8
    assert picture.shape == (496, 496, 3)
    wall, cell, margin = picture[0, 0], 80, 8
    for row in range(6):
        for column in range(5):
            pixel = picture[margin + row * cell + 40, margin + (column + 1) * cell]
            assert (pixel == wall).all() == (not layout.right[row, column])
            pixel = picture[margin + (column + 1) * cell, margin + row * cell + 40]
            assert (pixel == wall).all() == (not layout.down[column, row])
    moved = draw(layout, start=0, goal=35, agent=15)
    changed = np.flatnonzero((picture != moved).any(axis=(0, 2)))
    assert changed.min() >= margin + 2 * cell
    assert changed.max() < margin + 4 * cell
