"""Arrows against displacements that are added up outcome by outcome."""

import gymnasium as gym
import numpy as np
import pytest
from matplotlib.quiver import Quiver

from gym_ilrl import TabularMDP
from gym_ilrl.plots import expected_displacement, plot_policy, plot_states, state_positions

SQUARE = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])


def random_policy(seed: int, *shape: int) -> np.ndarray:
    """Of shape ``(..., n_actions, n_states)``."""
    return np.moveaxis(np.random.default_rng(seed).dirichlet(np.ones(shape[-2]), size=(*shape[:-2], shape[-1])), -1, -2)


def dots(ax) -> list[list[float]]:
    return [place for c in ax.collections if not isinstance(c, Quiver) for place in c.get_offsets().tolist()]


@pytest.fixture
def square():
    """Right or down on 2 x 2 cells, staying at the edge; the last cell ends the episode."""
    successors = [[[1], [2]], [[1], [3]], [[3], [2]], [[3], [3]]]
    return TabularMDP.from_successors(successors, np.ones((4, 2, 1)), np.zeros(4), terminal=[0, 0, 0, 1])


def test_displacements_by_hand(square):
    policy = [[0.25, 1.0, 1.0, 0.5], [0.75, 0.0, 0.0, 0.5]]
    assert expected_displacement(square, policy, SQUARE).tolist() == [[0.25, 0.75], [0, 0], [1, 0], [0, 0]]


@pytest.mark.parametrize("stretched", [1.0, 2.5])
def test_displacements_on_ice_are_the_sum_over_outcomes(lake, stretched):
    env = gym.make("FrozenLake-v1")
    places = state_positions(env) * (stretched, 1.0)
    policy = random_policy(0, 4, 16)
    expected = np.zeros((16, 2))
    for state in set(range(16)) - {5, 7, 11, 12, 15}:
        for action in range(4):
            for chance, following, _, _ in env.unwrapped.P[state][action]:
                expected[state] += policy[action, state] * chance * (places[following] - places[state])
    np.testing.assert_allclose(expected_displacement(lake, policy, places), expected, atol=1e-14)
    assert np.abs(expected[14]).max() > 0.05  # beside the goal


def test_of_several_times_the_first_is_drawn(lake, ax):
    places = state_positions(gym.make("FrozenLake-v1"))
    policy = random_policy(1, 3, 4, 16)
    first = expected_displacement(lake, policy[0], places)
    np.testing.assert_array_equal(expected_displacement(lake, policy, places), first)


def test_an_ending_in_no_state_is_staying():
    mdp = TabularMDP(np.array([[0.0, 0.5], [0.0, 0.0]]), np.zeros((1, 2)), ending=[[0.5, 1.0]], initial=[1, 0])
    assert mdp.final_transitions is None
    assert expected_displacement(mdp, np.ones((1, 2)), [[0, 0], [4, 0]]).tolist() == [[2, 0], [0, 0]]


def test_actions_that_do_not_exist_lead_nowhere():
    available = [[True, True], [True, False]]
    mdp = TabularMDP(np.array([[0.0, 1], [1, 0], [0, 1], [0, 0]]), np.zeros((2, 2)), available=available)
    policy = [[0.5, 1.0], [0.5, 0.0]]
    assert expected_displacement(mdp, policy, [[0, 0], [4, 2]]).tolist() == [[4, 2], [-4, -2]]


def test_arrows_point_where_the_policy_leads(square, ax):
    policy = np.array([[0.25, 0.0, 1.0, 0.5], [0.75, 1.0, 0.0, 0.5]])
    plot_states(ax, np.zeros(4), SQUARE, mdp=square)
    arrows = plot_policy(ax, policy, square, SQUARE)
    assert arrows.XY.tolist() == SQUARE[:3].tolist()  # none where the episode is over
    assert (arrows.angles, arrows.scale_units, arrows.scale, arrows.pivot) == ("xy", "xy", 1.0, "middle")
    assert ax.yaxis_inverted()
    directions = np.array([[0.25, 0.75], [0, 1], [1, 0]])
    drawn = np.column_stack([arrows.U, arrows.V])
    cross = drawn[:, 0] * directions[:, 1] - drawn[:, 1] * directions[:, 0]
    np.testing.assert_allclose(cross, 0, atol=1e-12)
    assert ((drawn * directions).sum(axis=1) > 0).all()
    lengths = np.hypot(*drawn.T)
    np.testing.assert_allclose(lengths, 0.85 * np.array([np.hypot(0.25, 0.75), 1, 1]))


def test_downwards_is_downwards_on_the_screen(square, ax):
    """Also on axes on which nothing else is drawn."""
    plot_policy(ax, [[0, 0, 1, 1], [1, 1, 0, 0]], square, SQUARE)
    upper, lower = ax.transData.transform(SQUARE[[0, 2]])
    assert upper[1] > lower[1]
    x, y = ax.get_xlim(), ax.get_ylim()
    assert x[0] <= 0 < 1 <= x[1]
    assert y[1] <= 0 < 1 <= y[0]


def test_the_longest_fill_a_cell_and_none_is_longer(ax):
    """400 cells lead to a neighbour, but for one that leads to the other corner."""
    places = np.array([[column, row] for row in range(20) for column in range(20)]) * 3.0
    following = np.where(np.arange(400) % 20 == 19, np.arange(400) - 1, np.arange(400) + 1)
    following[0] = 399
    mdp = TabularMDP.from_successors(following[:, None, None], np.ones((400, 1, 1)), np.zeros(400))
    arrows = plot_policy(ax, np.ones((1, 400)), mdp, places)
    np.testing.assert_allclose(np.hypot(arrows.U, arrows.V), 0.85 * 3.0)


def test_a_dot_where_the_policy_stays(square, ax):
    plot_policy(ax, [[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]], square, SQUARE)
    assert dots(ax) == [[1, 0]]


def test_solid_cells_have_neither_arrow_nor_dot(ax):
    env = gym.make("ilrl/GridMaze-v0", layout=["S# ", "  G"], slip=0.0)
    arrows = plot_policy(ax, np.full((4, 6), 0.25), TabularMDP.from_env(env), state_positions(env))
    assert sorted(arrows.XY.tolist() + dots(ax)) == [[0, 0], [0, 1], [1, 1], [2, 0]]


def test_lines_move_from_middle_to_middle():
    mdp = TabularMDP.from_successors([[[1]], [[1]]], np.ones((2, 1, 1)), np.zeros(2), terminal=[0, 1])
    moved = expected_displacement(mdp, np.ones((1, 2)), [[[0, 0], [2, 0]], [[2, 0], [2, 4]]])
    assert moved.tolist() == [[1, 2], [0, 0]]


def test_a_policy_that_never_moves(ax):
    mdp = TabularMDP.from_arrays(np.eye(4)[:, None], np.zeros(4))
    assert len(plot_policy(ax, np.ones((1, 4)), mdp, SQUARE).XY) == 0
    assert dots(ax) == SQUARE.tolist()


@pytest.mark.parametrize(("shape", "columns", "rows"), [((32, 32), 32, 32), ((33, 20), 10, 16), ((100, 100), 25, 25)])
def test_large_grids_have_fewer_arrows(ax, shape, columns, rows):
    row, column = np.indices(shape)
    places = np.column_stack([column.ravel(), row.ravel()]).astype(float)
    n_states = len(places)
    mdp = TabularMDP.from_successors(
        ((np.arange(n_states) + 1) % n_states)[:, None, None], np.ones((n_states, 1, 1)), np.zeros(n_states)
    )
    arrows = plot_policy(ax, np.ones((1, n_states)), mdp, places)
    x, y = (np.unique(along) for along in arrows.XY.T)
    assert (len(x), len(y), len(arrows.XY)) == (columns, rows, columns * rows)
    assert len(np.unique(np.diff(x))) == 1


def test_points_have_an_arrow_in_each_part_of_the_map(ax):
    rng = np.random.default_rng(0)
    places = rng.uniform(size=(3000, 2)) * (10.0, 5.0)
    mdp = TabularMDP.from_successors(rng.integers(3000, size=(3000, 1, 1)), np.ones((3000, 1, 1)), np.zeros(3000))
    arrows = plot_policy(ax, np.ones((1, 3000)), mdp, places)
    assert 200 < len(arrows.XY) <= 22 * 12
    assert arrows.pivot == "tail"
    cells = np.floor((arrows.XY - places.min(axis=0)) / (np.ptp(places, axis=0).max() / 22))
    assert len(np.unique(cells, axis=0)) == len(cells)
    distance = np.abs(arrows.XY[:, None] - places[None, ::50]).max(axis=2).min(axis=0)
    assert distance.max() < 2 * 10 / 22  # no state is far from an arrow


def test_without_positions_the_probabilities_are_drawn(square, ax):
    policy = random_policy(0, 2, 4)
    image = plot_policy(ax, policy, square, title="Policy")
    np.testing.assert_array_equal(image.get_array(), policy)
    assert ax.get_title() == "Policy"
    assert image.get_extent()[2:] == [1.5, -0.5]  # action 0 above


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.full((4, 2), 0.5), r"the shape of policy must be \(2, 4\) or \(any, 2, 4\), not \(4, 2\)"),
        (np.full((2, 4), 0.4), r"sum to 1 over the actions, the first axis; in state 0 they are \[0.4, 0.4\]"),
        ([[0.5, 0.5, 1.5, 0.5], [0.5, 0.5, -0.5, 0.5]], r"in state 2 they are \[1.5, -0.5\]"),
        ([[0.5, np.nan, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]], r"policy must be finite numbers, and at \(0, 1\) is nan"),
    ],
)
def test_what_is_no_policy(square, policy, message, ax):
    for positions in (None, SQUARE):
        with pytest.raises(ValueError, match=message):
            plot_policy(ax, policy, square, positions)


def test_positions_of_another_problem(square, ax):
    with pytest.raises(ValueError, match=r"the shape of positions must be \(4, 2\) or \(4, 2, 2\), not \(3, 2\)"):
        plot_policy(ax, np.full((2, 4), 0.5), square, SQUARE[:3])
