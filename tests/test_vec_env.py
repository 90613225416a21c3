import pickle
import warnings
from functools import partial

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import registry
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import PPO
from stable_baselines3.common import env_util
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

import gym_ilrl
from gym_ilrl import make_vec_env
from gym_ilrl.vec_env import DynamicsVecEnv

IDS = sorted(env_id for env_id in registry if env_id.startswith("ilrl/"))
LANE = "ilrl/LaneKeeping-v0"
LONG_EPISODES = ("ilrl/GridMaze-v0", "ilrl/SparsePointMaze-v0", "ilrl/RoadNetwork-v0")  # longer than the training


def dummy(env_id, n_envs=4, **kwargs):
    return DummyVecEnv([partial(gym.make, env_id, **kwargs)] * n_envs)


def assert_same_infos(ours, theirs):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert type(one[key]) is type(other[key]), key
            np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("limit", [None, 6])
def test_equals_dummy_vec_env(env_id, limit):
    kwargs = {} if limit is None else {"max_episode_steps": limit}
    ours, theirs = DynamicsVecEnv(env_id, 4, **kwargs), dummy(env_id, **kwargs)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata == theirs.metadata
    assert ours.render_mode is theirs.render_mode is None
    theirs.action_space.seed(1)
    dones = timeouts = 0
    for seed in (8, None):
        if seed is not None:
            assert ours.seed(seed) == theirs.seed(seed)
        np.testing.assert_array_equal(ours.reset(), theirs.reset())
        assert_same_infos(ours.reset_infos, theirs.reset_infos)
        for _ in range(210):
            actions = np.array([theirs.action_space.sample() for _ in range(4)])
            one, other = ours.step(actions), theirs.step(actions)
            for a, b in zip(one[:3], other[:3], strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)
            assert_same_infos(one[3], other[3])
            assert_same_infos(ours.reset_infos, theirs.reset_infos)
            dones += one[2].sum()
            timeouts += sum(info["TimeLimit.truncated"] for info in one[3])
    assert dones > 0
    assert limit is None or timeouts > 0


@pytest.mark.parametrize("env_id", IDS)
def test_learns_bit_for_bit_what_it_learns_in_sb3s_own(env_id):
    weights = []
    for venv in (make_vec_env(env_id, 2), env_util.make_vec_env(env_id, 2)):
        model = PPO("MlpPolicy", venv, n_steps=64, batch_size=64, n_epochs=2, seed=3, device="cpu").learn(256)
        weights.append(model.get_parameters()["policy"])
        assert len(model.ep_info_buffer) > 0 or env_id in LONG_EPISODES
    for name, value in weights[0].items():
        assert (value == weights[1][name]).all(), name


def test_last_observation_belongs_to_the_finished_episode():
    """At a reset by time, the terminal observation is the next one of that episode, had it gone on."""
    limited, endless = (DynamicsVecEnv(LANE, 2, max_episode_steps=limit) for limit in (3, -1))
    actions = np.zeros((2, 1), dtype=np.float32)
    for venv in (limited, endless):
        venv.seed(0)
        venv.reset()
        for _ in range(2):
            venv.step(actions)
    _, _, dones, infos = limited.step(actions)
    expected = endless.step(actions)[0]
    assert dones.tolist() == [True, True]
    for row in range(2):
        np.testing.assert_array_equal(infos[row]["terminal_observation"], expected[row])
        assert infos[row]["TimeLimit.truncated"] is True


def test_options_reach_the_rules_of_their_row(monkeypatch):
    venv = DynamicsVecEnv(LANE, 3)
    received = []
    reset = venv.dynamics.reset

    def remember(rows, generators, options=None):
        received.append((list(rows), options))
        reset(rows, generators, options)

    monkeypatch.setattr(venv.dynamics, "reset", remember)
    venv.seed(1)
    venv.set_options([{}, {"a": 1}, {}])
    observations = venv.reset()
    assert received == [([0], None), ([1], {"a": 1}), ([2], None)]
    venv.seed(1)
    np.testing.assert_array_equal(venv.reset(), observations)
    assert received[-1] == ([0, 1, 2], None)  # options are used once


def test_env_method_and_get_attr_answer_for_each_row():
    venv, singles = make_vec_env(LANE, 3, seed=5), dummy(LANE, 3)
    singles.seed(5)
    venv.reset(), singles.reset()
    assert (
        venv.env_method("privileged_state", indices=[2])[0].tolist()
        == singles.env_method("privileged_state")[2].tolist()
    )
    np.testing.assert_array_equal(venv.unwrapped.privileged_states(), singles.env_method("privileged_state"))
    assert venv.get_attr("row") == [0, 1, 2]
    assert venv.get_attr("render_mode", indices=1) == ["rgb_array"]
    assert [spec.id for spec in venv.get_attr("spec")] == [LANE] * 3
    with pytest.raises(AttributeError):
        venv.get_attr("no_such_attribute")
    state = venv.env_method("get_state", indices=0)[0]
    venv.env_method("set_state", state, indices=2)
    states = venv.unwrapped.privileged_states()
    np.testing.assert_array_equal(states[2], states[0])
    assert (states[1] != states[0]).any()


def test_set_attr():
    venv = make_vec_env(LANE, 2)
    venv.set_attr("label", "a")
    venv.set_attr("label", "b", indices=1)
    assert venv.get_attr("label") == ["a", "b"]
    for name in ("wind", "observation_space", "render_mode", "step", "dynamics"):
        with pytest.raises(ValueError, match=f"{name!r} cannot be set for single environments, whose rules are shared"):
            venv.set_attr(name, 1.0)


def test_stepping_one_alone_is_refused():
    venv = make_vec_env(LANE, 2, seed=0)
    venv.reset()
    with pytest.raises(RuntimeError, match="environment 1 of a vectorised one"):
        venv.env_method("reset", indices=1)


@pytest.mark.parametrize("library", [pickle, cloudpickle])
def test_survives_pickling_in_the_middle_of_an_episode(library):
    venv = make_vec_env(LANE, 3, seed=2)
    venv.reset()
    actions = np.full((3, 1), 0.3, dtype=np.float32)
    for _ in range(20):
        venv.step(actions)
    twin = library.loads(library.dumps(venv.unwrapped))
    for _ in range(60):  # across resets
        ours, theirs = venv.unwrapped.step(actions), twin.step(actions)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert_same_infos(ours[3], theirs[3])
    assert twin.envs[1].dynamics is twin.dynamics


def test_renders_tiled():
    venv = make_vec_env(LANE, 4, seed=0)
    venv.reset()
    images = venv.get_images()
    assert len(images) == 4
    assert venv.render().shape == (960, 1280, 3)
    np.testing.assert_array_equal(venv.render()[:480, 640:], images[1])


def test_spec_rebuilds_a_single_environment():
    venv = make_vec_env(LANE, 2, env_kwargs={"wind": 0.25, "max_episode_steps": 50})
    env = gym.make(venv.get_attr("spec")[0])
    assert env.unwrapped.dynamics.wind == 0.25
    assert env.spec.max_episode_steps == 50
    reference = env_util.make_vec_env(LANE, 2, env_kwargs={"wind": 0.25, "max_episode_steps": 50})
    assert venv.get_attr("spec")[0].kwargs == reference.envs[0].unwrapped.spec.kwargs


@pytest.mark.parametrize("env_id", [LANE, f"gym_ilrl:{LANE}", gym.spec(LANE)])
def test_make_vec_env_is_native_and_monitored(env_id):
    venv = make_vec_env(env_id, n_envs=2, seed=0)
    assert isinstance(venv, VecMonitor)
    assert isinstance(venv.unwrapped, DynamicsVecEnv)
    assert not any(venv.env_is_wrapped(Monitor))
    venv.reset()
    returns = np.zeros(2)
    for _ in range(100):
        _, rewards, dones, infos = venv.step(np.ones((2, 1), dtype=np.float32))
        returns += rewards
        for row in np.flatnonzero(dones):
            assert infos[row]["episode"]["r"] == infos[row]["episode"]["l"] == returns[row]
            returns[row] = 0.0
    assert venv.episode_count > 0


@pytest.mark.parametrize(
    "kwargs",
    [
        {"wrapper_class": TimeLimit, "wrapper_kwargs": {"max_episode_steps": 5}},
        {"vec_env_cls": DummyVecEnv},
        {"monitor_kwargs": {"info_keywords": ("curvature",)}},
        {"env_kwargs": {"disable_env_checker": True}},
    ],
)
def test_make_vec_env_leaves_special_wishes_to_sb3(kwargs):
    venv = make_vec_env(LANE, n_envs=2, seed=0, **kwargs)
    assert isinstance(venv, DummyVecEnv)
    assert all(venv.env_is_wrapped(Monitor))


def test_make_vec_env_writes_monitor_files(tmp_path):
    make_vec_env(LANE, n_envs=2, monitor_dir=str(tmp_path)).close()
    assert len(list(tmp_path.glob("*.monitor.csv"))) == 2


@pytest.mark.parametrize("env_id", ["CartPole-v1", partial(gym.make, "CartPole-v1"), gym.spec("CartPole-v1")])
def test_make_vec_env_makes_everything_else_as_sb3_does(env_id):
    ours = make_vec_env(env_id, n_envs=2, seed=4)
    theirs = env_util.make_vec_env("CartPole-v1", n_envs=2, seed=4)
    assert type(ours) is type(theirs)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())


def test_make_vec_env_in_subprocesses():
    venv = make_vec_env(f"gym_ilrl:{LANE}", n_envs=2, seed=4, vec_env_cls=SubprocVecEnv)
    try:
        np.testing.assert_array_equal(venv.reset(), make_vec_env(LANE, n_envs=2, seed=4).reset())
    finally:
        venv.close()


def test_same_action_samples_as_sb3():
    ours, theirs = make_vec_env(LANE, 2, seed=9, start_index=3), env_util.make_vec_env(LANE, 2, seed=9, start_index=3)
    assert ours.action_space.sample() == theirs.action_space.sample()


def test_refuses_wrong_input():
    with pytest.raises(ValueError, match="'CartPole-v1' has no vectorised form"):
        DynamicsVecEnv("CartPole-v1", 2)
    with pytest.raises(ValueError, match="num_envs must be at least 1"):
        make_vec_env(LANE, n_envs=0)
    venv = make_vec_env(LANE, n_envs=3)
    venv.reset()
    with pytest.raises(ValueError, match=r"for each of the 3 environments.* shape \(2, 1\)"):
        venv.step(np.zeros((2, 1), dtype=np.float32))


def test_privileged_expert_reads_all_rows_at_once_through_wrappers(monkeypatch):
    venv = VecNormalize(make_vec_env(LANE, 3, seed=0))
    observations = venv.reset()
    teacher = gym_ilrl.expert(LANE).bind(venv)
    expected = teacher.act_on_state(np.stack(venv.env_method("privileged_state")))

    def forbidden(*args, **kwargs):
        raise AssertionError("one Python call for each environment")

    monkeypatch.setattr(DynamicsVecEnv, "env_method", forbidden)
    np.testing.assert_array_equal(teacher.predict(observations)[0], expected)


def test_making_it_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        venv = make_vec_env(LANE, 2, seed=0)
        venv.reset()
        venv.step(np.zeros((2, 1), dtype=np.float32))


@pytest.mark.parametrize("env_id", ["ilrl/GridMaze-v0", "ilrl/Tightrope-v0"])
def test_numbers_that_are_no_actions_and_steps_before_reset_are_refused(env_id):
    venv = make_vec_env(env_id, n_envs=3)
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        venv.venv.step(np.zeros(3, dtype=np.int64))
    venv.reset()
    for actions in (np.full(3, 99), np.full(3, -1), np.zeros(3), np.zeros((3, 1), dtype=np.int64), None):
        with pytest.raises(ValueError, match="expected"):
            venv.step(actions)
