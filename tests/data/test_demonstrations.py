"""The container: against episodes kept one by one, and against everything malformed."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize, VecTransposeImage

from gym_ilrl.data import Demonstrations, Episode
from gym_ilrl.data.episode import equal_arrays

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (2,), np.float32)
ACTIONS = spaces.Discrete(3)
SPACES = (OBSERVATIONS, ACTIONS)


def make_episode(length, seed=0, terminated=True, rewards=True, infos=False):
    rng = np.random.default_rng(seed)
    terminations = np.zeros(length, bool)
    terminations[-1] = terminated
    return Episode(
        rng.normal(size=(length + 1, 2)).astype(np.float32),
        rng.integers(0, 3, length),
        rng.normal(size=length) if rewards else None,
        terminations,
        None,
        {"mask": rng.random((length + 1, 3)) < 0.5} if infos else None,
    )


def make_demos(lengths=(3, 1, 4), **kwargs):
    return Demonstrations.from_episodes([make_episode(n, i, **kwargs) for i, n in enumerate(lengths)], SPACES)


def test_holds_the_episodes_it_was_built_from():
    episodes = [make_episode(n, n, terminated=n % 2 == 0, infos=True) for n in (3, 1, 4)]
    demos = Demonstrations.from_episodes(episodes, SPACES, {"who": "me"})
    assert len(demos) == demos.n_episodes == 3
    assert demos.n_transitions == 8
    assert demos.offsets.tolist() == [0, 3, 4, 8]
    assert len(demos.observations) == 8 + 3
    assert list(demos) == episodes
    assert demos[-1] == episodes[2]
    assert demos[np.int64(1)] == episodes[1]
    assert demos.metadata == {"who": "me"}
    with pytest.raises(IndexError):
        demos[3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
def test_selections_are_those_of_a_list(lengths, data):
    demos = make_demos(lengths, infos=True)
    episodes = list(demos)
    start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
    step = data.draw(st.sampled_from([None, 1, 2, -1, -3]))
    if episodes[start:stop:step]:
        assert list(demos[start:stop:step]) == episodes[start:stop:step]
    else:
        with pytest.raises(ValueError, match="selects no episodes"):
            demos[start:stop:step]
    indices = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=5))
    assert list(demos[indices]) == [episodes[i] for i in indices]


def test_adjoining_selections_are_views():
    demos = make_demos()
    assert np.shares_memory(demos[1:].observations, demos.observations)
    assert np.shares_memory(demos[1].actions, demos.actions)


def test_transitions_against_a_loop():
    demos = make_demos(infos=True)
    transitions = demos.transitions()
    row = 0
    for episode in demos:
        for t in range(len(episode)):
            assert (transitions.observations[row] == episode.observations[t]).all()
            assert (transitions.next_observations[row] == episode.observations[t + 1]).all()
            assert (transitions.infos["mask"][row] == episode.infos["mask"][t]).all()
            assert transitions.actions[row] == episode.actions[t]
            assert transitions.rewards[row] == episode.rewards[t]
            assert transitions.terminations[row] == (t == len(episode) - 1)
            row += 1
    assert row == len(transitions.actions) == len(transitions.observations)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(0, 1))
def test_returns_against_loops(lengths, gamma):
    demos = make_demos(lengths)
    to_go = []
    for episode in demos:
        running, reversed_values = 0.0, []
        for reward in episode.rewards[::-1]:
            running = reward + gamma * running
            reversed_values.append(running)
        to_go += reversed_values[::-1]
    np.testing.assert_allclose(demos.discounted_returns_to_go(gamma), to_go, atol=1e-12)
    np.testing.assert_allclose(demos.returns(), [episode.rewards.sum() for episode in demos], atol=1e-12)


def test_concatenation_keeps_what_both_have():
    both = make_demos((2, 3), infos=True) + make_demos((4,), infos=True)
    assert list(both) == list(make_demos((2, 3), infos=True)) + list(make_demos((4,), infos=True))
    poorer = make_demos((2,), infos=True) + make_demos((3,), rewards=False)
    assert poorer.rewards is None
    assert poorer.infos is None
    other = Demonstrations.from_episodes([make_episode(2)], (OBSERVATIONS, spaces.Discrete(4)))
    with pytest.raises(ValueError, match=r"cannot join.*action spaces"):
        make_demos() + other


def test_split_and_shuffle_are_permutations_of_episodes():
    demos = make_demos((1, 2, 3, 4, 5, 6, 7))
    for fraction, seed in ((0.01, None), (0.5, 0), (0.99, 3)):
        first, second = demos.split(fraction, seed)
        assert len(first) == min(max(round(7 * fraction), 1), 6)
        lengths = [len(episode) for part in (first, second) for episode in part]
        assert sorted(lengths) == [1, 2, 3, 4, 5, 6, 7]
        assert (lengths == sorted(lengths)) == (seed is None)
    assert demos.shuffle(0) == demos.shuffle(0) != demos.shuffle(1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        demos.split(1.0)
    with pytest.raises(ValueError, match="at least two"):
        demos[:1].split(0.5)


def test_is_immutable_and_not_copied():
    observations = np.zeros((3, 2), np.float32)
    demos = Demonstrations.from_arrays([observations], [np.array([0, 1])], SPACES)
    assert copy.deepcopy(demos) is demos
    assert copy.copy(demos) is demos
    thawed = pickle.loads(pickle.dumps(demos))
    assert thawed == demos
    for array in (thawed.observations, thawed.actions, thawed.offsets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    for array in (demos.observations, demos.actions, demos.terminations, demos.offsets, demos[0].observations):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert observations.flags.writeable
    with pytest.raises(AttributeError):
        demos.actions = np.zeros(2)


def test_equality_notices_every_difference():
    demos = make_demos(infos=True)
    assert demos == make_demos(infos=True)
    fields = {name: getattr(demos, name) for name in Demonstrations.__dataclass_fields__ if name != "check"}
    for change in (
        {"metadata": {"a": 1}},
        {"rewards": demos.rewards + 1},
        {"rewards": None},
        {"infos": None},
        {"observation_space": spaces.Box(-9, 9, (2,))},
        {"terminations": np.zeros(8, bool), "truncations": None},
    ):
        assert Demonstrations(**{**fields, **change}) != demos
    assert not equal_arrays(np.zeros(2, np.float32), np.zeros(2))


def test_summary_and_repr():
    env = gym.make("CartPole-v1")
    demos = Demonstrations.from_arrays([np.zeros((4, 4))], [np.zeros(3, int)], env, rewards=[np.ones(3)])
    assert repr(demos) == "<Demonstrations of CartPole-v1: 1 episode, 3 transitions>"
    for part in (
        "CartPole-v1",
        "(0 terminated, 1 truncated)",
        "3.00 ± 0.00",
        "Discrete(2)",
        "(4,), float32)",
    ):
        assert part in demos.summary()
    assert "no rewards" in make_demos(rewards=False).summary()
    with pytest.raises(ValueError, match="no rewards"):
        make_demos(rewards=False).returns()


# ---- plain arrays


def test_three_layouts_of_plain_arrays_give_the_same():
    demos = make_demos((3, 1, 4))
    flat = demos.transitions()
    expected = Demonstrations.from_arrays(
        [e.observations for e in demos],
        [e.actions for e in demos],
        SPACES,
        rewards=[e.rewards for e in demos],
        terminations=[e.terminations for e in demos],
    )
    assert expected == demos
    common = {"rewards": flat.rewards, "terminations": flat.terminations}
    assert Demonstrations.from_arrays(demos.observations, flat.actions, SPACES, **common) == demos
    replay = Demonstrations.from_arrays(
        flat.observations, flat.actions, SPACES, next_observations=flat.next_observations, **common
    )
    assert replay == demos
    by_length = Demonstrations.from_arrays(
        demos.observations, flat.actions, SPACES, episode_lengths=[3, 1, 4], rewards=flat.rewards
    )
    assert by_length.truncations.tolist() == [False, False, True, True, False, False, False, True]
    assert not by_length.terminations.any()


def test_flat_dict_observations_and_an_unfinished_last_episode():
    space = spaces.Dict(image=spaces.Box(0, 255, (2, 2, 3), np.uint8), n=spaces.Discrete(5, start=2))
    following = {"image": np.zeros((3, 2, 2, 3), np.uint8), "n": np.array([3, 4, 5])}
    current = {"image": np.zeros((3, 2, 2, 3), np.uint8), "n": np.array([2, 3, 2])}
    demos = Demonstrations.from_arrays(
        current, np.zeros(3, int), (space, ACTIONS), next_observations=following, terminations=np.array([0, 1, 0])
    )
    assert demos.observations["n"].tolist() == [2, 3, 4, 2, 5]
    assert demos.observations["image"].dtype == np.uint8
    assert demos.terminations.tolist() == [False, True, False]
    assert demos.truncations.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observations": np.zeros((3, 3))}, "shape"),
        ({"observations": np.zeros((4, 2))}, "has 4 rows|have 4 rows"),
        ({"observations": np.array([[0, 0], [np.nan, 0], [0, 0]])}, r"NaN.*row 1"),
        ({"observations": np.array([[0, 0], [np.inf, 0], [0, 0]])}, "NaN or an infinite"),
        ({"observations": np.full((3, 2), 1e300)}, "NaN or an infinite"),  # more than float32 holds
        ({"observations": np.full((3, 2), "a")}, "cannot become the float32"),
        ({"observations": {"a": np.zeros((3, 2))}}, "shape|have"),
        ({"actions": np.array([0, 3])}, r"3 \(row 1: step 1 of episode 0\).*outside"),
        ({"actions": np.array([-1, 0])}, "outside"),
        ({"actions": np.array([0.0, 1.0])}, "cannot become the int64"),
        ({"actions": np.zeros((2, 1), int)}, "shape"),
        ({"actions": np.zeros(0, int), "episode_lengths": None, "observations": np.zeros((0, 2))}, "zero episodes"),
        ({"rewards": np.zeros(3)}, r"rewards .*\(3,\)"),
        ({"rewards": np.array([0, np.nan])}, "rewards hold NaN"),
        ({"terminations": np.array([True, False])}, "goes on after it ended"),
        ({"terminations": np.array([0, 2])}, "booleans"),
        ({"truncations": np.array([True, False])}, "goes on after it ended"),
        ({"episode_lengths": [1, 0, 1]}, "empty"),
        ({"episode_lengths": [1]}, "add up"),
        ({"episode_lengths": [3, -1], "next_observations": np.zeros((2, 2))}, "add up"),
        ({"episode_lengths": None}, "where do the episodes end"),
        ({"infos": {"a": np.zeros(2)}}, r"infos\['a'\] has 2 rows"),
        ({"infos": {"a": np.array(["x", "y", "z"])}}, "only numbers"),
        ({"metadata": {"a": object()}}, "JSON"),
        ({"metadata": {"a": float("nan")}}, "JSON"),
        ({"next_observations": np.zeros((2, 2))}, "one an action"),
        ({"env": 3}, "expected an environment id"),
        ({"env": (spaces.Tuple([OBSERVATIONS]), ACTIONS)}, "observation space Tuple.*wrap"),
        ({"env": (spaces.Dict(a=spaces.Dict(b=ACTIONS)), ACTIONS)}, "Dict inside its Dict"),
        ({"env": (OBSERVATIONS, spaces.Dict(a=ACTIONS))}, "action space Dict"),
    ],
)
def test_malformed_arrays_are_refused(change, message):
    good = {"observations": np.zeros((3, 2)), "actions": np.array([0, 2]), "env": SPACES, "episode_lengths": [2]}
    Demonstrations.from_arrays(**good)
    with pytest.raises(ValueError, match=message):
        Demonstrations.from_arrays(**{**good, **change})


def test_missing_episode_ends_are_noticed():
    observations, following = np.arange(8.0).reshape(4, 2), np.arange(2.0, 10).reshape(4, 2)
    observations[2:] += 50  # another episode begins here
    following[2:] += 50
    with pytest.raises(ValueError, match=r"next_observations\[1\] is not observations\[2\]"):
        Demonstrations.from_arrays(
            observations, np.zeros(4, int), SPACES, next_observations=following, terminations=[0, 0, 0, 1]
        )


def test_box_actions_are_held_to_their_bounds_up_to_rounding():
    box = spaces.Box(-0.4, 0.4, (1,), np.float32)
    fits = np.nextafter(box.high, np.float32(1))[None]
    Demonstrations.from_arrays([np.zeros((2, 2))], [fits], (OBSERVATIONS, box))
    with pytest.raises(ValueError, match="outside"):
        Demonstrations.from_arrays([np.zeros((2, 2))], [fits + 0.01], (OBSERVATIONS, box))


@pytest.mark.parametrize(
    ("episode", "message"),
    [
        ({"observations": np.zeros((1, 2)), "actions": np.zeros(0, int)}, "no actions"),
        ({"observations": np.zeros((2, 2)), "actions": np.zeros(2, int)}, "one observation more"),
        ({"observations": np.zeros((3, 2)), "actions": np.zeros(2, int), "terminations": [True, True]}, "goes on"),
        (
            {
                "observations": np.zeros((3, 2)),
                "actions": np.zeros(2, int),
                "terminations": [False, False],
                "truncations": [False, False],
            },
            "neither terminates nor truncates",
        ),
        ({"observations": np.zeros((3, 2))}, "an episode is an Episode or a dict"),
        (
            {"obs": 1, "observations": np.zeros((3, 2)), "actions": np.zeros(2, int)},
            "an episode is an Episode or a dict",
        ),
    ],
)
def test_malformed_episodes_are_refused(episode, message):
    with pytest.raises(ValueError, match=message):
        Demonstrations.from_episodes([episode], SPACES)


def test_zero_episodes_and_mixed_episodes_are_refused():
    with pytest.raises(ValueError, match="zero episodes"):
        Demonstrations.from_episodes([], SPACES)
    with pytest.raises(ValueError, match="some episodes have rewards"):
        Demonstrations.from_episodes([make_episode(2), make_episode(2, rewards=False)], SPACES)


# ---- compatibility with environments


class ImageEnv(gym.Env):
    def __init__(self, size=36):
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = ACTIONS

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, True, False, {}


def test_compatible_environments_in_all_forms():
    cartpole = Demonstrations.from_arrays([np.zeros((2, 4))], [np.array([0])], "CartPole-v1")
    venv = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    env = gym.make("CartPole-v1")
    for form in ("CartPole-v1", env, venv, VecNormalize(venv), (env.observation_space, env.action_space)):
        cartpole.check_compatible(form)
    for form in ("Pendulum-v1", VecFrameStack(venv, 2), "Acrobot-v1"):
        with pytest.raises(ValueError, match=r"do not fit the environment.*observation space.*recorded in CartPole-v1"):
            cartpole.check_compatible(form)
    with pytest.raises(ValueError, match="put VecNormalize"):
        cartpole.check_compatible(VecFrameStack(VecNormalize(venv), 2))


def test_bounds_that_nothing_reaches_count_as_infinite():
    biggest = np.finfo(np.float32).max
    demos = Demonstrations.from_arrays([np.zeros((2, 2))], [np.array([0])], SPACES)
    demos.check_compatible((spaces.Box(-biggest, biggest, (2,), np.float32), ACTIONS))
    with pytest.raises(ValueError, match="other bounds"):
        demos.check_compatible((spaces.Box(-1, 1, (2,), np.float32), ACTIONS))
    with pytest.raises(ValueError, match="dtype"):
        demos.check_compatible((spaces.Box(0, 255, (2,), np.uint8), ACTIONS))


def test_transposed_images_are_compatible():
    env = ImageEnv()
    demos = Demonstrations.from_arrays([np.zeros((2, 36, 36, 3), np.uint8)], [np.array([0])], env)
    transposed = VecTransposeImage(DummyVecEnv([ImageEnv]))
    demos.check_compatible(transposed)
    demos.check_compatible((transposed.observation_space, ACTIONS))
    with pytest.raises(ValueError, match="shape"):
        demos.check_compatible(VecTransposeImage(DummyVecEnv([lambda: ImageEnv(40)])))


def test_episodes_are_selected_by_booleans_but_by_no_other_kind():
    episode = {"observations": np.zeros(3, dtype=np.int64), "actions": np.zeros(2, dtype=np.int64)}
    demos = Demonstrations.from_episodes(
        [{**episode, "rewards": np.full(2, i)} for i in range(4)], (spaces.Discrete(3), spaces.Discrete(2))
    )
    assert demos[demos.returns() > 3].returns().tolist() == [4.0, 6.0]
    assert demos[[True, False, False, True]].returns().tolist() == [0.0, 6.0]
    for index in ([True], [0.7], "a", None):
        with pytest.raises(ValueError, match="selected by"):
            demos[index]


def test_without_final_observations_the_last_step_of_each_episode_is_dropped() -> None:
    rows, acts = np.arange(18, dtype=np.float32).reshape(6, 3), np.linspace(-1, 1, 6, dtype=np.float32)[:, None]
    lengths = [3, 1, 2]
    flat = Demonstrations.from_arrays(
        rows, acts, "Pendulum-v1", rewards=np.arange(6.0), episode_lengths=lengths, without_final_observations=True
    )
    cuts = np.cumsum(lengths)[:-1]
    lists = Demonstrations.from_arrays(
        np.split(rows, cuts),
        np.split(acts, cuts),
        "Pendulum-v1",
        rewards=np.split(np.arange(6.0), cuts),
        without_final_observations=True,
    )
    assert flat == lists
    np.testing.assert_array_equal(flat.observations, rows[[0, 1, 2, 4, 5]])
    np.testing.assert_array_equal(flat.actions, acts[[0, 1, 4]])
    np.testing.assert_array_equal(flat.rewards, [0, 1, 4])
    assert not flat.terminations.any()
    assert flat.truncations.tolist() == [False, True, True]
    with pytest.raises(ValueError, match="without_final_observations=True"):
        Demonstrations.from_arrays(rows, acts, "Pendulum-v1", episode_lengths=lengths)


def test_what_the_caller_writes_afterwards_does_not_reach_the_demonstrations() -> None:
    rows, acts, rewards = np.zeros((5, 3), np.float32), np.zeros((4, 1), np.float32), np.zeros(4)
    demos = Demonstrations.from_arrays(rows, acts, "Pendulum-v1", rewards=rewards, episode_lengths=[4])
    for array in (rows, acts, rewards):
        array[:] = np.nan
    assert np.isfinite(demos.observations).all()
    assert np.isfinite(demos.actions).all()
    assert np.isfinite(demos.returns()).all()


@pytest.mark.parametrize(
    ("actions", "fix"),
    [(np.zeros((4, 1), int), r"\(n,\); .*squeeze"), (np.eye(2)[[0, 1, 0, 1]], "argmax"), (np.zeros(4), r"astype\(int")],
)
def test_actions_of_a_usual_wrong_form_are_refused_with_the_fix(actions: np.ndarray, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        Demonstrations.from_arrays(np.zeros((5, 4), np.float32), actions, "CartPole-v1", episode_lengths=[4])


def test_a_bad_value_is_named_by_episode_and_step() -> None:
    observations = [np.zeros((3, 3), np.float32), np.zeros((4, 3), np.float32)]
    observations[1][2] = np.nan
    actions = [np.zeros((2, 1), np.float32), np.zeros((3, 1), np.float32)]
    with pytest.raises(ValueError, match=r"step 2 of episode 1.*repair that episode"):
        Demonstrations.from_arrays(observations, actions, "Pendulum-v1")


@pytest.mark.parametrize("lengths", [None, [4, 4, 4]])
def test_arrays_stacked_by_episode_are_refused_with_the_fix(lengths: list[int] | None) -> None:
    observations, actions = np.zeros((3, 5, 4), np.float32), np.zeros((3, 4), int)
    with pytest.raises(ValueError, match=r"list\(observations\)"):
        Demonstrations.from_arrays(observations, actions, "CartPole-v1", episode_lengths=lengths)
    assert len(Demonstrations.from_arrays(list(observations), list(actions), "CartPole-v1")) == 3
