import functools

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import stable_baselines3
import torch as th
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import SimpleMultiObsEnv
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import buffers, collect, expert
from gym_ilrl.buffers import (
    DemoDictReplayBuffer,
    DemoReplayBuffer,
    PrioritizedDemoReplayBuffer,
    demonstration_buffer,
)
from gym_ilrl.buffers.compat import NStepReplayBuffer

ALGORITHMS = {
    name: getattr(library, name)
    for library, names in {
        stable_baselines3: ["SAC", "TD3", "DDPG", "DQN"],
        sb3_contrib: ["TQC", "CrossQ", "QRDQN"],
    }.items()
    for name in names
    if hasattr(library, name)  # CrossQ came with sb3-contrib 2.4
}


@functools.cache
def demos_of(env_id):
    return collect(expert(env_id), env_id, n_episodes=1, seed=0)


def env_id_of(name):
    return "CartPole-v1" if "DQN" in name else "Pendulum-v1"


SMALL = {"policy_kwargs": {"net_arch": [8]}, "buffer_size": 300}


def build(algorithm, env, demos=None, cls=DemoReplayBuffer, policy="MlpPolicy", **kwargs):
    options = {"learning_starts": 5, "batch_size": 8, "buffer_size": 300, "seed": 0, "device": "cpu", **kwargs}
    options.setdefault("policy_kwargs", {"net_arch": [8]})
    extra = {"demonstrations": demos} | options.pop("replay_buffer_kwargs", {})
    return algorithm(policy, env, replay_buffer_class=cls, replay_buffer_kwargs=extra, **options)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_learn_save_load_and_continue(name, normalised, tmp_path):
    demos = demos_of(env_id_of(name))
    demos.save(tmp_path / "demos.npz")
    env = make_vec_env(env_id_of(name), n_envs=3, seed=0)
    if normalised:
        env = VecNormalize(env)
    model = build(ALGORITHMS[name], env, str(tmp_path / "demos.npz"), train_freq=1, gradient_steps=2)
    model.learn(60)
    assert model.replay_buffer.size() == 20
    assert model.replay_buffer.demonstrations_buffer.size() == demos.n_transitions
    model.save(tmp_path / "model.zip")
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    loaded = type(model).load(tmp_path / "model.zip", env=env, device="cpu")
    assert loaded.replay_buffer.size() == 0
    assert loaded.replay_buffer.demonstrations_buffer.size() == demos.n_transitions
    loaded.load_replay_buffer(tmp_path / "buffer.pkl")
    loaded.learn(30, reset_num_timesteps=False)
    assert loaded.replay_buffer.size() == 30


def test_without_demonstrations_the_run_is_the_plain_one():
    runs = []
    for cls in (ReplayBuffer, DemoReplayBuffer):
        model = SAC(
            "MlpPolicy", "Pendulum-v1", learning_starts=5, seed=3, replay_buffer_class=cls, device="cpu", **SMALL
        )
        runs.append(model.learn(30).policy.state_dict())
    assert all(th.equal(runs[0][key], runs[1][key]) for key in runs[0])


class Images(gym.Env):
    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.t += 1
        return self.observation_space.sample(), 1.0, False, self.t == 6, {}


def always_0(observations):
    first = observations if isinstance(observations, np.ndarray) else next(iter(observations.values()))
    return np.zeros(len(first), int)


def multi_obs_demos():
    return collect(always_0, TimeLimit(SimpleMultiObsEnv(), 20), n_episodes=1, seed=0)


@pytest.mark.parametrize("normalised", [False, True])
def test_images(normalised):
    demos = collect(always_0, Images(), n_episodes=2, seed=0)
    env = make_vec_env(Images, n_envs=2)
    if normalised:
        build(DQN, VecNormalize(env), demos, policy="MlpPolicy", train_freq=1).learn(20)
    else:
        build(DQN, env, demos, policy="CnnPolicy", train_freq=1).learn(20)


def test_dict_observations_with_images():
    demos = multi_obs_demos()
    env = make_vec_env(SimpleMultiObsEnv, n_envs=2)
    build(DQN, env, demos, DemoDictReplayBuffer, policy="MultiInputPolicy", train_freq=1, learning_starts=0).learn(20)


def test_memory_optimisation():
    kwargs = {"handle_timeout_termination": False}
    demos = demos_of("Pendulum-v1")
    build(SAC, "Pendulum-v1", demos, optimize_memory_usage=True, replay_buffer_kwargs=kwargs).learn(30)


class Corridor(gym.Env):
    """Four cells in a row; to the right is right. Its own reward says the contrary."""

    observation_space, action_space = spaces.Box(0, 1, (4,), np.float32), spaces.Discrete(2)

    def _observation(self):
        return np.eye(4, dtype=np.float32)[self.cell]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell, self.t = 0, 0
        return self._observation(), {}

    def step(self, action):
        self.cell, self.t = int(np.clip(self.cell + (1 if action == 1 else -1), 0, 3)), self.t + 1
        return self._observation(), -float(action), False, self.t == 6, {}


def test_sqil_learns_what_was_demonstrated_and_not_the_reward():
    demos = collect(lambda observations: np.ones(len(observations), int), Corridor(), n_episodes=1, seed=0)
    sqil = {"demo_reward": 1.0, "online_reward": 0.0}
    greedy = []
    for options in (sqil, {"demo_fraction": 0.5}):
        options = {"learning_rate": 0.02, "gamma": 0.9, "target_update_interval": 20, "train_freq": 1} | {
            "batch_size": 32,
            "replay_buffer_kwargs": options,
        }
        model = build(DQN, Corridor(), demos, **options).learn(300)
        greedy.append(model.predict(np.eye(4, dtype=np.float32), deterministic=True)[0].tolist())
    assert greedy == [[1, 1, 1, 1], [0, 0, 0, 0]]


class TestDemonstrationBuffer:
    def test_plain(self):
        model = SAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [8]}, device="cpu")
        demos = demos_of("Pendulum-v1")
        buffer = demonstration_buffer(model, demos)
        assert type(buffer) is ReplayBuffer
        assert buffer.size() == demos.n_transitions
        model.replay_buffer, before = buffer, model.critic.state_dict()["qf1.0.weight"].clone()
        model.learn(0)
        model.train(gradient_steps=3, batch_size=16)
        assert not th.equal(before, model.critic.state_dict()["qf1.0.weight"])

    def test_dict(self):
        demos = multi_obs_demos()
        model = DQN("MultiInputPolicy", SimpleMultiObsEnv(), buffer_size=100)
        assert type(demonstration_buffer(model, demos)) is DictReplayBuffer

    @pytest.mark.skipif(NStepReplayBuffer is None, reason="SB3 has n-step returns since 2.7")
    def test_n_step(self):
        model = DQN("MlpPolicy", "CartPole-v1", n_steps=4, gamma=0.9, policy_kwargs={"net_arch": [8]})
        buffer = demonstration_buffer(model, demos_of("CartPole-v1")[:1])
        assert (type(buffer), buffer.n_steps, buffer.gamma) == (NStepReplayBuffer, 4, 0.9)
        assert buffer.sample(50).discounts.min() == pytest.approx(0.9**4, rel=1e-5)
        model = build(
            DQN, "CartPole-v1", None, buffers.DemoNStepReplayBuffer, replay_buffer_kwargs={"n_steps": 2, "gamma": 0.5}
        )
        assert demonstration_buffer(model, demos_of("CartPole-v1")).sample(9).discounts.min() == 0.25

    def test_of_a_model_with_demonstration_replay_keeps_rewards_and_priorities(self):
        kwargs = {"demo_reward": 1.0, "demo_fraction": 0.1, "alpha": 0.7}
        model = build(DQN, "CartPole-v1", None, PrioritizedDemoReplayBuffer, replay_buffer_kwargs=kwargs)
        asked = []
        model.replay_buffer.td_error = lambda samples: asked.append(len(samples.rewards)) or samples.rewards
        model.replay_buffer_kwargs = {}  # as where an algorithm built the buffer itself
        buffer = demonstration_buffer(model, demos_of("CartPole-v1"))
        assert (buffer.sample(8).rewards == 1).all()
        assert (asked, buffer.alpha, buffer.size()) == ([32], 0.7, 0)
        assert model.replay_buffer.demonstrations_buffer is None

    def test_refused(self):
        with pytest.raises(TypeError, match="PPO has no replay buffer"):
            demonstration_buffer(PPO("MlpPolicy", "CartPole-v1"), demos_of("CartPole-v1"))
        model = DQN("MlpPolicy", "CartPole-v1", buffer_size=100)
        with pytest.raises(TypeError, match="needs demonstrations"):
            demonstration_buffer(model, None)
        with pytest.raises(ValueError, match="do not fit"):
            demonstration_buffer(model, demos_of("Pendulum-v1"))
