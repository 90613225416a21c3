"""The reward of a function in place of the environment's: what it is given, what it may return, and who sees it."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import SubprocVecEnv

from gym_ilrl import collect
from gym_ilrl.wrappers import LearnedReward

TABLE = np.arange(64.0).reshape(16, 4) / 100


class Walk(gym.Env):
    """Counts upwards by its actions and ends at four; it overwrites its one observation array, as some do."""

    def __init__(self, nested=False, ends=True):
        box = spaces.Box(0, 10, (2,), np.float32)
        self.nested, self.ends = nested, ends
        self.observation_space = spaces.Dict({"at": box, "label": spaces.Discrete(11)}) if nested else box
        self.action_space = spaces.Discrete(3)
        self.array = np.zeros(2)

    def observe(self):
        return {"at": self.array, "label": int(self.array[0])} if self.nested else self.array

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.array[:] = 0
        return self.observe(), {}

    def step(self, action):
        self.array += action
        return self.observe(), 7.0, bool(self.ends and self.array[0] >= 4), False, {"own": True}


def recorded(env, actions=(1, 2, 1)):
    """Return what the reward function was called with, and what each step returned."""
    calls = []

    def reward(observations, actions, next_observations, terminated):
        calls.append((observations, actions, next_observations, terminated))
        return np.array([len(calls)])

    env = LearnedReward(env, reward)
    env.reset(seed=0)
    return calls, [env.step(action) for action in actions]


def test_the_function_gets_the_transition_as_a_batch_of_one():
    calls, steps = recorded(Walk())
    for (observations, actions, next_observations, terminated), before, after, action in zip(
        calls, [0, 1, 3], [1, 3, 4], [1, 2, 1], strict=True
    ):
        np.testing.assert_array_equal(observations, [[before, before]])
        np.testing.assert_array_equal(next_observations, [[after, after]])
        assert observations.dtype == next_observations.dtype == np.float32
        np.testing.assert_array_equal(actions, [action])
        assert actions.dtype == np.int64
        assert terminated.dtype == bool
        assert terminated.tolist() == [after == 4]
    assert [step[1] for step in steps] == [1.0, 2.0, 3.0]
    assert all(type(step[1]) is float for step in steps)
    assert all(step[4] == {"own": True, "original_reward": 7.0} for step in steps)


def test_dictionaries_of_observations():
    calls, _ = recorded(Walk(nested=True))
    assert calls[1][0].keys() == {"at", "label"}
    np.testing.assert_array_equal(calls[1][0]["at"], [[1, 1]])
    np.testing.assert_array_equal(calls[1][2]["at"], [[3, 3]])
    assert calls[1][2]["label"].tolist() == [3]


def test_a_time_limit_is_no_termination_and_a_reset_begins_anew():
    calls = []
    env = LearnedReward(TimeLimit(Walk(ends=False), 2), lambda s, a, n, done: calls.append((s, done)) or [0.0])
    for _ in range(2):
        env.reset()
        env.step(2)
        assert env.step(2)[2:4] == (False, True)
    assert [(int(s[0, 0]), bool(done[0])) for s, done in calls] == [(0, False), (2, False)] * 2


def named(observations, actions=None, terminated=None):
    return [10 * float(actions[0]) + float(observations[0, 0]) + 100 * float(terminated[0])]


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (lambda states: states[:, 0], 1.0),
        (lambda states, actions: states[:, 0] + 10 * actions, 31.0),
        (lambda states, actions, after: after[:, 0], 4.0),
        (lambda states, actions, after, done: done, 1.0),
        (lambda *transition: [len(transition)], 4.0),
        (lambda **transition: [len(transition)], 4.0),
        (lambda states, scale=5.0: scale * states[:, 0], 5.0),  # a default of one's own is left alone
        (named, 131.0),
        (lambda states: th.ones((1, 1), requires_grad=True) * 2, 2.0),
        (np.zeros(1).__add__, None),  # one argument, an array of two columns: refused for its result
    ],
)
def test_functions_of_fewer_arguments(reward, expected):
    env = LearnedReward(Walk(), reward)
    env.reset()
    if expected is None:
        with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
            env.step(1)
        return
    env.step(1)
    assert env.step(3)[1] == expected


@pytest.mark.parametrize("reward", [None, TABLE, lambda: [1.0], lambda a, b, c, d, e: [1.0], lambda s, *, key: [1.0]])
def test_what_is_no_reward_function_is_refused_at_construction(reward):
    with pytest.raises(ValueError, match="reward must be a function of"):
        LearnedReward(Walk(), reward)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.array([np.nan]), "returned nan in step 1 of the episode"),
        ([np.inf], "returned inf in step 1"),
        (3.0, r"float64 of shape \(\) in step 1"),
        (np.zeros(2), r"float64 of shape \(2,\) in step 1"),
        (["high"], "in step 1"),
        (None, r"object of shape \(\) in step 1"),
    ],
)
def test_what_is_no_reward_is_refused_with_its_step(returned, message):
    env = LearnedReward(Walk(), lambda s: [0.0] if s[0, 0] == 0 else returned)
    env.reset()
    env.step(1)
    with pytest.raises(ValueError, match=message):
        env.step(1)


def test_stepping_before_a_reset_is_refused():
    with pytest.raises(gym.error.ResetNeeded):
        LearnedReward(Walk(), lambda s: [0.0]).step(1)


def test_monitor_and_evaluation_stay_on_the_environment_s_return():
    venv = make_vec_env("CartPole-v1", 2, wrapper_class=LearnedReward, wrapper_kwargs={"reward": lambda s: [-3.0]})
    model = PPO("MlpPolicy", venv, n_steps=64, batch_size=64, seed=0).learn(128)
    assert (model.rollout_buffer.rewards == -3.0).all()
    assert all(info["r"] == info["l"] > 0 for info in model.ep_info_buffer)
    returns, lengths = evaluate_policy(model, venv, n_eval_episodes=3, return_episode_rewards=True)
    assert returns == lengths
    inside = LearnedReward(Monitor(gym.make("CartPole-v1")), lambda s: [-3.0])
    assert evaluate_policy(model, inside, n_eval_episodes=2)[0] > 0


def test_a_table_trains_an_algorithm():
    """Walking left is paid, whatever the environment says."""
    table = np.array([1.0, 0.0, 0.0, 0.0])
    env = gym.make("FrozenLake-v1", is_slippery=False)
    venv = make_vec_env(lambda: LearnedReward(Monitor(env), lambda states, actions: table[actions]))
    model = PPO("MlpPolicy", venv, n_steps=256, batch_size=64, learning_rate=0.01, seed=0).learn(1024)
    assert model.predict(0, deterministic=True)[0] == 0


def test_other_processes_get_the_function():
    kwargs = {"reward": lambda states, actions: TABLE[states, actions]}
    venv = make_vec_env(
        "FrozenLake-v1", 2, wrapper_class=LearnedReward, wrapper_kwargs=kwargs, vec_env_cls=SubprocVecEnv
    )
    venv.reset()
    _, rewards, _, infos = venv.step(np.array([1, 3]))
    venv.close()
    np.testing.assert_allclose(rewards, TABLE[0, [1, 3]])
    assert [info["original_reward"] for info in infos] == [0.0, 0.0]


class Model:
    """Something that must not be copied with the spec of the environment."""

    def reward(self, observations):
        return np.ones(1)

    def __deepcopy__(self, memo):
        raise AssertionError("copied")

    def __reduce__(self):
        raise AssertionError("pickled")


def test_specs_share_the_function_and_rebuild_the_wrapper():
    model = Model()
    env = TimeLimit(LearnedReward(gym.make("CartPole-v1"), model.reward), 5)
    again = gym.make(env.spec)
    again.reset()
    assert again.step(0)[1] == 1.0
    demos = collect(lambda observations: np.zeros(len(observations), dtype=int), env, n_episodes=1, seed=0)
    assert demos.rewards.tolist() == [1.0] * demos.n_transitions


def test_the_checker_of_sb3_has_nothing_to_say():
    env = LearnedReward(gym.make("CartPole-v1").unwrapped, lambda s: s[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_rewards_of_imitation_fit():
    reward_nets = pytest.importorskip("imitation.rewards.reward_nets")
    env = gym.make("CartPole-v1")
    net = reward_nets.BasicRewardNet(env.observation_space, env.action_space)
    wrapped = LearnedReward(env, net.predict)
    before, _ = wrapped.reset(seed=0)
    after, reward, terminated, _, _ = wrapped.step(1)
    expected = net.predict(before[None], np.array([1]), after[None], np.array([terminated]))
    assert reward == pytest.approx(expected.item())


def test_no_torch_is_imported():
    code = "import sys, gym_ilrl.wrappers.learned_reward; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
