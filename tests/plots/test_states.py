"""What is drawn of one number for each state: which number is where, and in which colour."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from gym_ilrl import TabularMDP
from gym_ilrl.plots import plot_states, state_positions
from gym_ilrl.plots.scales import DIVERGING, SEQUENTIAL

MAP_3x2 = np.array([[0.0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])


def value_at(ax, image, place) -> float:
    """The number under the pointer, at a place in the coordinates of the axes."""
    x, y = ax.transData.transform(place)
    return float(image.get_cursor_data(SimpleNamespace(x=x, y=y)))


def lines(ax) -> list[np.ndarray]:
    """The segments of walls or links."""
    return [segment for c in ax.collections if c.get_gid() == "links" for segment in c.get_segments()]


def marks(ax) -> list[list[list[float]]]:
    return [np.asarray(c.get_offsets()).tolist() for c in ax.collections if c.get_zorder() == 4]


def test_an_image_is_not_mirrored(ax):
    values = np.arange(6.0) - 2
    image = plot_states(ax, values, MAP_3x2)
    assert list(ax.images) == [image]
    np.testing.assert_array_equal(image.get_array(), [[-2, -1, 0], [1, 2, 3]])
    assert [value_at(ax, image, place) for place in MAP_3x2] == values.tolist()
    upper_left, lower_right = ax.transData.transform(MAP_3x2[[0, 5]])
    assert upper_left[0] < lower_right[0]
    assert upper_left[1] > lower_right[1]  # display coordinates grow upwards


def test_states_in_any_order_and_unit():
    rng = np.random.default_rng(0)
    row, column = np.indices((5, 8))
    places = rng.permutation(np.column_stack([column.ravel(), row.ravel()])) * (0.25, 3.0) + (10.0, -2.0)
    values = rng.normal(size=40)
    ax = Figure().subplots()
    image = plot_states(ax, values, places)
    assert [value_at(ax, image, place) for place in places] == values.tolist()
    assert image.get_extent() == pytest.approx([9.875, 11.875, 11.5, -3.5])


def test_cells_of_frozen_lake(ax, lake):
    image = plot_states(ax, np.arange(16.0), state_positions(gym.make("FrozenLake-v1")), mdp=lake, kind="value")
    np.testing.assert_array_equal(image.get_array(), np.arange(16).reshape(4, 4))
    start, ends = marks(ax)
    assert start == [[0, 0]]
    assert ends == [[1, 1], [3, 1], [3, 2], [0, 3], [3, 3]]


def test_goals_are_marked_apart(ax, lake):
    goals = np.arange(16) >= 14  # 14 is no terminal state
    plot_states(ax, np.zeros(16), state_positions(gym.make("FrozenLake-v1")), mdp=lake, goals=goals)
    start, goal, ends = marks(ax)
    assert (start, goal, ends) == ([[0, 0]], [[3, 3]], [[1, 1], [3, 1], [3, 2], [0, 3]])


def test_many_starts_are_not_marked(ax, lake):
    plot_states(ax, np.zeros(16), state_positions(gym.make("FrozenLake-v1")), mdp=lake.replace(initial=None))
    assert len(marks(ax)) == 1


@pytest.mark.parametrize("wind", [0.0, 0.3])
def test_walls_of_a_maze_are_those_of_its_layout(ax, wind):
    env = gym.make("ilrl/GridMaze-v0", size=7, wind=wind)
    plot_states(ax, np.zeros(49), state_positions(env), mdp=TabularMDP.from_env(env))
    layout = env.unwrapped.dynamics.layout
    expected = [[[c + 0.5, r - 0.5], [c + 0.5, r + 0.5]] for r, c in np.argwhere(~layout.right)]
    expected += [[[c - 0.5, r + 0.5], [c + 0.5, r + 0.5]] for r, c in np.argwhere(~layout.down)]
    assert len(expected) > 10
    assert sorted(np.sort(line, axis=0).tolist() for line in lines(ax)) == sorted(np.array(expected).tolist())


def test_ice_and_cliffs_have_no_walls(ax, lake):
    plot_states(ax, np.zeros(16), state_positions(gym.make("FrozenLake-v1")), mdp=lake)
    assert lines(ax) == []
    cliff = gym.make("CliffWalking-v1" if "CliffWalking-v1" in gym.registry else "CliffWalking-v0")
    plot_states(ax, np.zeros(48), state_positions(cliff), mdp=TabularMDP.from_env(cliff))
    assert lines(ax) == []


def test_jumps_know_no_walls(ax):
    """From each cell of 3 x 3 to one that is in another row and another column."""
    mdp = TabularMDP.from_successors([[[(s + 4) % 9]] for s in range(9)], np.ones((9, 1, 1)), np.zeros(9))
    places = np.array([[column, row] for row in range(3) for column in range(3)])
    plot_states(ax, np.zeros(9), places, mdp=mdp)
    assert lines(ax) == []


def test_cells_that_nothing_leads_to_or_from_are_solid(ax):
    env = gym.make("ilrl/GridMaze-v0", layout=["S# ", "  G"])
    image = plot_states(ax, np.arange(6.0), state_positions(env), mdp=TabularMDP.from_env(env))
    assert image.get_array().mask.tolist() == [[False, True, False], [False, False, False]]
    assert np.ptp(image.cmap(np.ma.masked)[:3]) == 0  # grey, as no number is
    np.testing.assert_array_equal(image.get_array().data, [[0, 1, 2], [3, 4, 5]])


def test_lines_have_their_numbers_and_keep_to_the_right(ax):
    """A road of length 2 to the east and back, and one to the south; right of eastwards is south, which is down."""
    segments = np.array([[[0, 0], [2, 0]], [[2, 0], [0, 0]], [[2, 0], [2, 2]]], dtype=float)
    roads = plot_states(ax, [1.0, -3.0, 2.0], segments)
    drawn = dict(zip(roads.get_array().tolist(), np.array(roads.get_segments()), strict=True))
    assert list(drawn) == [1, 2, -3]  # the largest on top
    shift = {value: drawn[value] - segments[i] for i, value in enumerate([1.0, -3.0, 2.0])}
    lane = shift[1.0][0, 1]
    assert 0 < lane < 0.2
    np.testing.assert_allclose(shift[1.0], [[0, lane]] * 2, atol=1e-12)
    np.testing.assert_allclose(shift[-3.0], [[0, -lane]] * 2, atol=1e-12)
    np.testing.assert_allclose(shift[2.0], [[-lane, 0]] * 2, atol=1e-12)
    assert ax.yaxis_inverted()
    low, high = sorted(ax.get_ylim())
    assert low <= 0 < 2 <= high


def test_marks_are_in_the_middle_of_lines(ax):
    mdp = TabularMDP.from_successors([[[1]], [[1]]], np.ones((2, 1, 1)), np.zeros(2), terminal=[0, 1])
    plot_states(ax, np.zeros(2), [[[0, 0], [2, 0]], [[2, 0], [2, 4]]], mdp=mdp)
    assert marks(ax) == [[[1, 0]], [[2, 2]]]


def test_points_have_their_numbers_and_links(ax):
    places = np.array([[0.0, 0], [2, 1], [1, 3], [5, 5]])
    mdp = TabularMDP.from_successors([[[1]], [[2]], [[2]], [[0]]], np.ones((4, 1, 1)), np.zeros(4))
    points = plot_states(ax, [3.0, -4.0, 0.5, 1.0], places, mdp=mdp)
    assert isinstance(points, PathCollection)
    drawn = dict(zip(map(tuple, np.asarray(points.get_offsets()).tolist()), points.get_array().tolist(), strict=True))
    assert drawn == {(0, 0): 3.0, (2, 1): -4.0, (1, 3): 0.5, (5, 5): 1.0}
    assert abs(points.get_array()[-1]) == 4.0  # on top
    assert ax.yaxis_inverted()
    assert {tuple(map(tuple, line.tolist())) for line in lines(ax)} == {
        ((0, 0), (2, 1)), ((2, 1), (1, 3)), ((0, 0), (5, 5)),
    }  # fmt: skip
    plot_states(ax, np.zeros(4), places)
    assert ax.yaxis_inverted()  # and not turned back


def test_without_positions_states_stand_beside_each_other(ax):
    bars = plot_states(ax, [1.0, -2.0, 0.0])
    np.testing.assert_array_equal(bars.get_data().values, [1, -2, 0])
    np.testing.assert_array_equal(bars.get_data().edges, [-0.5, 0.5, 1.5, 2.5])
    assert ax.get_xlim() == (-0.5, 2.5)
    assert len(ax.figure.axes) == 1  # no colour bar


@pytest.mark.parametrize("positions", [None, [[4.0, 2.0]]])
def test_one_state(ax, positions):
    plot_states(ax, [2.0], positions, mdp=TabularMDP.from_arrays(np.ones((1, 2, 1)), np.zeros(1)))
    ax.figure.canvas.draw()
    assert not ax.images or ax.images[0].get_array().tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("kind", "values", "limits"),
    [
        ("reward", [-1.0, 3.0], (-3, 3)),
        ("reward", [-4.0, 3.0], (-4, 4)),
        ("reward", [0.0, 0.0], (-1, 1)),
        ("occupancy", [0.5, 3.0], (0, 3)),
        ("occupancy", [0.0, 0.0], (0, 1)),
        ("value", [-1.0, 3.0], (-1, 3)),
        ("value", [2.0, 2.0], (1.5, 2.5)),
        ("reward", [0.0] * 999 + [5.0], (-5, 5)),  # the only reward is no outlier
        ("reward", [1.0] * 999 + [5.0], (-5, 5)),
        ("reward", [1.0] * 999 + [-500.0], (-3, 3)),
        ("occupancy", [1.0] * 999 + [500.0], (0, 3)),
        ("value", [0.0, 1.0] * 500 + [-500.0, 4.0], (-2.0, 4.0)),
        ("value", [0.0, 1.0] * 500 + [500.0], (0, 3.0)),
    ],
)
def test_the_ends_of_the_colours(ax, kind, values, limits):
    places = np.column_stack([np.arange(len(values)), np.zeros(len(values))])
    image = plot_states(ax, values, places, kind=kind)
    assert (image.norm.vmin, image.norm.vmax) == pytest.approx(limits)


def test_the_colour_bar_points_to_what_is_beyond(ax):
    image = plot_states(ax, [1.0, 2.0, 9.0], [[0, 0], [1, 0], [2, 0]], kind="value", limits=(1.5, 10.0))
    assert (image.norm.vmin, image.norm.vmax) == (1.5, 10.0)
    assert image.colorbar.extend == "min"
    assert len(ax.figure.axes) == 2
    plot_states(ax, [1.0, 2.0], [[0, 0], [1, 0]], colour_bar=False)
    assert len(ax.figure.axes) == 2


def lightness(colour: str) -> float:
    """L* of CIELAB."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return 116 * np.cbrt(luminance) - 16


def test_colours_are_perceptually_uniform():
    down_to_purple = [lightness(colour) for colour in SEQUENTIAL]
    np.testing.assert_allclose(np.diff(down_to_purple), np.diff(down_to_purple).mean(), atol=0.6)
    up_and_down = np.array([lightness(colour) for colour in DIVERGING])
    np.testing.assert_allclose(up_and_down, up_and_down[::-1], atol=0.8)
    np.testing.assert_allclose(np.diff(up_and_down)[:5], 11, atol=0.8)
    assert len(set(to_rgb(DIVERGING[5]))) == 1  # zero is grey


def test_zero_is_grey_and_signs_have_their_colours(ax):
    image = plot_states(ax, [-1.0, 0.0, 3.0], [[0, 0], [1, 0], [2, 0]])
    (red, _, blue), zero, (_, _, more_blue) = (image.cmap(image.norm(value))[:3] for value in (-1, 0, 3))
    assert red > blue
    assert np.ptp(zero) < 0.02
    assert more_blue > 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": [0.0, np.nan]}, r"values must be finite numbers, and at \(1,\) is nan"),
        ({"values": [np.inf]}, "values must be finite"),
        ({"values": []}, r"the shape of values must be \(any,\), not \(0,\)"),
        ({"values": np.zeros((2, 2))}, "the shape of values"),
        (
            {"values": np.zeros(2), "positions": np.zeros((3, 2))},
            r"the shape of positions must be \(2, 2\) or \(2, 2, 2\)",
        ),
        ({"values": np.zeros(1), "positions": [[0, np.inf]]}, r"positions must be finite"),
        ({"values": np.zeros(2), "limits": (1.0, 1.0)}, "limits must be the lower and the higher end"),
        ({"values": np.zeros(2), "kind": "rewards"}, "kind must be one of reward, value, occupancy, not 'rewards'"),
    ],
)
def test_what_cannot_be_drawn(ax, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_states(ax, **arguments)


def test_another_number_of_states_than_the_model_has(ax, lake):
    with pytest.raises(ValueError, match=r"the shape of values must be \(16,\), not \(15,\)"):
        plot_states(ax, np.zeros(15), mdp=lake)
