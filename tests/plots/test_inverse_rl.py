"""The figure of inverse reinforcement learning: its panels, what they share, and that it leaves nothing behind."""

import pickle
import subprocess
import sys

import gymnasium as gym
import matplotlib.image
import numpy as np
import pytest
from matplotlib.quiver import Quiver

from gym_ilrl import TabularMDP
from gym_ilrl.planning import occupancy, solve
from gym_ilrl.plots import expected_displacement, plot_inverse_rl, state_positions

TITLES = ["True reward", "Learned reward", "Learner's policy", "Expert's visits", "Learner's visits"]


@pytest.fixture(scope="module")
def results(lake):
    """What there is to draw of the lake, as arguments."""
    expert, learner = solve(lake, temperature=0.001).policy, solve(lake, temperature=0.01).policy
    return {
        "mdp": lake,
        "learned_reward": np.random.default_rng(0).normal(size=16),
        "policy": learner,
        "expert_occupancy": occupancy(lake, expert),
        "learner_occupancy": occupancy(lake, learner),
        "true_reward": np.arange(16) == 15,
        "positions": state_positions(gym.make("FrozenLake-v1")),
    }


def panels(figure) -> dict:
    return {ax.get_title(): ax for ax in figure.axes if ax.get_title()}


def image(figure, title):
    return panels(figure)[title].images[0]


def test_each_panel_shows_its_numbers(results):
    figure = plot_inverse_rl(**results, title="Frozen lake")
    assert list(panels(figure)) == TITLES
    expected = {
        "True reward": results["true_reward"],
        "Learned reward": results["learned_reward"],
        "Learner's policy": results["learned_reward"],
        "Expert's visits": results["expert_occupancy"].sum(axis=0),
        "Learner's visits": results["learner_occupancy"].sum(axis=0),
    }
    for title, values in expected.items():
        np.testing.assert_array_equal(image(figure, title).get_array(), np.reshape(values, (4, 4)))
    assert figure.get_suptitle() == "Frozen lake"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["start", "ending with reward", "ending"]


def limits_of(figure, title) -> tuple[float, float]:
    norm = image(figure, title).norm
    return norm.vmin, norm.vmax


def test_rewards_have_their_own_scales_and_visits_share_one(results):
    figure = plot_inverse_rl(**results)
    highest = np.abs(results["learned_reward"]).max()
    assert limits_of(figure, "True reward") == (-1, 1)
    assert limits_of(figure, "Learned reward") == limits_of(figure, "Learner's policy") == (-highest, highest)
    most = max(results[name].sum(axis=0).max() for name in ("expert_occupancy", "learner_occupancy"))
    assert limits_of(figure, "Expert's visits") == limits_of(figure, "Learner's visits") == (0, most)
    assert len(figure.axes) == 5 + 3  # and as many colour bars


def arrows_of(figure) -> Quiver:
    return next(c for c in panels(figure)["Learner's policy"].collections if isinstance(c, Quiver))


def test_arrows_are_those_of_the_learner(results):
    arrows = arrows_of(plot_inverse_rl(**results))
    moved = expected_displacement(results["mdp"], results["policy"], results["positions"])
    at = dict(zip(map(tuple, arrows.XY.tolist()), zip(arrows.U, arrows.V, strict=True), strict=True))
    assert len(at) > 5
    for place, displacement in zip(results["positions"].tolist(), moved, strict=True):
        if tuple(place) in at:
            assert np.arctan2(*at[tuple(place)]) == pytest.approx(np.arctan2(*displacement))


def test_a_policy_over_time_is_weighted_by_its_visits(lake, results):
    finite = lake.replace(horizon=6, gamma=0.9)
    policy = solve(finite, temperature=0.01).policy
    visits = occupancy(finite, policy)
    mean = policy[0].copy()
    for state in range(16):
        if visits[:, state].sum() > 0:
            mean[:, state] = visits[:, state] / visits[:, state].sum()
    assert np.abs(mean - policy[0]).max() > 0.01
    given = {**results, "mdp": finite, "policy": policy, "learner_occupancy": visits}
    over_time = arrows_of(plot_inverse_rl(**given))
    expected = arrows_of(plot_inverse_rl(**{**given, "policy": mean}))
    np.testing.assert_allclose(
        np.c_[over_time.XY, over_time.U, over_time.V], np.c_[expected.XY, expected.U, expected.V]
    )


def test_rewards_on_actions_are_their_means_over_the_actions_that_exist():
    available = np.array([[True, True, True], [True, False, True]])
    transitions = np.tile(np.roll(np.eye(3), 1, axis=1), (2, 1))
    mdp = TabularMDP(transitions, np.zeros((2, 3)), available=available, terminal=[0, 0, 1])
    policy = np.where(available, 1.0 / available.sum(axis=0), 0.0)
    visits = occupancy(mdp, policy)
    places = [[0, 0], [1, 0], [2, 0]]
    figure = plot_inverse_rl(mdp, [[1, 3], [5, 9], [7, 7]], policy, visits, visits, positions=places)
    assert image(figure, "Learned reward").get_array().tolist() == [[2, 5, 0]]


def test_where_no_episode_ends_a_constant_is_taken_out():
    mdp = TabularMDP.from_successors([[[1]], [[2]], [[0]]], np.ones((3, 1, 1)), np.zeros(3))
    visits = np.ones((1, 3))
    figure = plot_inverse_rl(mdp, [7, 9, 6], visits, visits, visits, [7, 9, 6], [[0, 0], [1, 0], [2, 0]])
    assert image(figure, "Learned reward").get_array().tolist() == [[0, 2, -1]]
    assert image(figure, "True reward").get_array().tolist() == [[7, 9, 6]]


def test_true_rewards_on_actions_are_drawn_on_the_states_that_earn_them(lake, results):
    figure = plot_inverse_rl(**{**results, "true_reward": lake.rewards.T})
    np.testing.assert_allclose(image(figure, "True reward").get_array().ravel(), (np.arange(16) == 15) / 0.99)
    other = np.random.default_rng(0).normal(size=(16, 4)) * ~lake.terminal[:, None]
    figure = plot_inverse_rl(**{**results, "true_reward": other})
    np.testing.assert_allclose(image(figure, "True reward").get_array().ravel(), other.mean(axis=1))


def test_what_is_not_known_is_left_out(results):
    figure = plot_inverse_rl(**{**results, "true_reward": None, "expert_occupancy": None})
    assert list(panels(figure)) == ["Learned reward", "Learner's policy", "Learner's visits"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["start", "ending"]


def test_an_expert_without_actions(results):
    visits = results["expert_occupancy"].sum(axis=0)
    figure = plot_inverse_rl(**{**results, "expert_occupancy": visits})
    np.testing.assert_array_equal(image(figure, "Expert's visits").get_array(), visits.reshape(4, 4))


@pytest.mark.parametrize("true_reward", [None, np.zeros(16)])
@pytest.mark.parametrize("expert_occupancy", [None, np.ones(16)])
@pytest.mark.parametrize("shape", [(2, 8), (8, 2), None, "points", "lines"])
def test_maps_of_any_form(results, shape, true_reward, expert_occupancy, tmp_path):
    places = np.random.default_rng(0).normal(size=(16, 2)) if shape == "points" else None
    if shape == "lines":
        places = np.random.default_rng(0).normal(size=(16, 2, 2)) * (2.0, 1.0)
    if isinstance(shape, tuple):
        places = np.argwhere(np.ones(shape))[:, ::-1]
    given = {"positions": places, "true_reward": true_reward, "expert_occupancy": expert_occupancy}
    figure = plot_inverse_rl(**{**results, **given})
    figure.savefig(tmp_path / "picture.png")
    left_out = {"True reward": true_reward is None, "Expert's visits": expert_occupancy is None}
    assert list(panels(figure)) == [title for title in TITLES if not left_out.get(title, False)]


def test_without_positions(results):
    figure = plot_inverse_rl(**{**results, "positions": None})
    learned, policy = (panels(figure)[title] for title in ("Learned reward", "Learner's policy"))
    np.testing.assert_array_equal(learned.patches[0].get_data().values, results["learned_reward"])
    np.testing.assert_array_equal(policy.images[0].get_array(), results["policy"])
    ends = [ax.get_ylim() for title, ax in panels(figure).items() if "visits" in title]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("positions", [None, [[3.0, 1.0]]])
def test_one_state(positions, tmp_path):
    mdp = TabularMDP.from_arrays(np.ones((1, 2, 1)), np.ones((1, 2)))
    policy = np.full((2, 1), 0.5)
    visits = occupancy(mdp, policy)
    figure = plot_inverse_rl(mdp, [2.0], policy, visits, visits, [1.0], positions)
    figure.savefig(tmp_path / "one.png")
    assert list(panels(figure)) == TITLES


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learned_reward", np.full(16, np.nan), r"learned_reward must be finite numbers, and at \(0,\) is nan"),
        ("learned_reward", np.zeros((4, 16)), r"the shape of learned_reward must be \(16,\) or \(16, 4\)"),
        ("true_reward", np.full((16, 4), np.inf), "true_reward must be finite"),
        ("expert_occupancy", np.zeros((16, 4)), r"the shape of expert_occupancy must be \(4, 16\) or \(16,\)"),
        ("learner_occupancy", np.zeros(16), r"the shape of learner_occupancy must be \(4, 16\)"),
        ("policy", np.zeros((4, 16)), "policy must be probabilities"),
        ("positions", np.zeros((15, 2)), r"the shape of positions must be \(16, 2\) or \(16, 2, 2\)"),
    ],
)
def test_what_cannot_be_drawn(results, name, value, message):
    with pytest.raises(ValueError, match=message):
        plot_inverse_rl(**{**results, name: value})


def test_a_figure_is_a_file_a_notebooks_picture_and_can_be_pickled(results, tmp_path):
    figure = plot_inverse_rl(**results)
    path = tmp_path / "lake.png"
    figure.savefig(path, dpi=50)
    assert len(np.unique(matplotlib.image.imread(path).reshape(-1, 4), axis=0)) > 20
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert list(panels(pickle.loads(pickle.dumps(figure)))) == TITLES


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_pyplot_is_never_loaded():
    code = """
import sys, numpy as np
from gym_ilrl.plots import plot_inverse_rl
from gym_ilrl.planning import TabularMDP
print("matplotlib" in sys.modules)
mdp = TabularMDP.from_arrays(np.ones((1, 2, 1)), np.ones((1, 2)))
policy = np.full((2, 1), 0.5)
plot_inverse_rl(mdp, [2.0], policy, policy, policy)._repr_png_()
print("matplotlib.pyplot" in sys.modules)
"""
    assert run_python(code).split() == ["False", "False"]


def test_without_matplotlib_the_way_to_it_is_named(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "gym_ilrl.plots.figure", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'gym-ilrl\[plots\]'"):
        plot_inverse_rl(**results)
