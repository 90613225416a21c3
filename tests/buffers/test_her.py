import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from gym_ilrl import Demonstrations, collect
from gym_ilrl.buffers import DemoHerReplayBuffer

N_BITS = 4


SMALL = {"buffer_size": 300, "batch_size": 8, "learning_starts": 0, "policy_kwargs": {"net_arch": [8]}, "device": "cpu"}


def wander(observations):
    """Reach goals other than the one asked for."""
    return observations["observation"].sum(axis=1).astype(int) % N_BITS


@pytest.fixture(scope="module")
def bit_demos():
    return collect(wander, BitFlippingEnv(n_bits=N_BITS), n_episodes=6, seed=0)


def make(demos, n_envs=1, **kwargs):
    env = make_vec_env(BitFlippingEnv, n_envs, env_kwargs={"n_bits": N_BITS})
    buffer = DemoHerReplayBuffer(
        200,
        env.observation_space,
        env.action_space,
        env=env,
        device="cpu",
        n_envs=n_envs,
        demonstrations=demos,
        **kwargs,
    )
    return buffer, env


@pytest.mark.parametrize("strategy", ["future", "final", "episode"])
def test_demonstrated_goals_are_replaced_by_goals_reached_in_the_same_episode(bit_demos, strategy):
    buffer, _ = make(bit_demos, goal_selection_strategy=strategy)
    nested = buffer.demonstrations_buffer
    np.testing.assert_array_equal(
        nested.ep_length[: nested.size(), 0], np.repeat(bit_demos.episode_lengths, bit_demos.episode_lengths)
    )
    samples = buffer.sample(300)
    reached = [{tuple(row) for row in episode.observations["achieved_goal"][1:]} for episode in bit_demos]
    starts = [{tuple(row) for row in episode.observations["observation"][:-1]} for episode in bit_demos]
    wanted = [tuple(episode.observations["desired_goal"][0]) for episode in bit_demos]
    n_new = 0
    for i in range(300):
        observation, goal = (tuple(samples.observations[key][i].numpy()) for key in ("observation", "desired_goal"))
        assert any(observation in starts[e] and (goal in reached[e] or goal == wanted[e]) for e in range(6))
        n_new += goal not in wanted
        achieved = tuple(samples.next_observations["achieved_goal"][i].numpy())
        assert samples.rewards[i].item() == (0.0 if achieved == goal else -1.0)
    assert n_new > 20


def test_one_episode_fills_its_buffer(bit_demos):
    buffer, _ = make(bit_demos[:1])
    assert len(buffer.sample(10).rewards) == 10


def test_demonstrations_alone_until_an_online_episode_has_ended(bit_demos):
    buffer, env = make(bit_demos, online_reward=5.0, demo_reward=-5.0)
    observations = env.reset()
    buffer.add(observations, observations, np.zeros((1, 1), int), np.zeros(1), np.array([False]), [{}])
    assert (buffer.sample(10).rewards == -5).all()
    buffer.add(observations, observations, np.zeros((1, 1), int), np.zeros(1), np.array([True]), [{}])
    assert (buffer.sample(10).rewards == 5).sum() == 5


class InfoGoal(gym.Env):
    """Its reward for a goal is in the infos: the number of the step just done."""

    part = spaces.Box(-100, 100, (1,), np.float32)
    observation_space = spaces.Dict({"observation": part, "achieved_goal": part, "desired_goal": part})
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def _observation(self):
        return {key: np.full(1, self.t, np.float32) for key in self.observation_space.spaces}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._observation(), {}

    def step(self, action):
        self.t += 1
        return self._observation(), 0.0, False, self.t == 5, {"clock": self.t}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return np.array([one["clock"] for one in info], np.float32)


def test_infos_of_the_step_go_to_compute_reward():
    numbers = np.arange(6, dtype=np.float32)[:, None]
    observations = dict.fromkeys(("observation", "achieved_goal", "desired_goal"), numbers)
    episode = {
        "observations": observations,
        "actions": np.zeros((5, 1), np.float32),
        "rewards": np.arange(1.0, 6.0),
        "infos": {"clock": np.arange(6)},
    }
    env = DummyVecEnv([InfoGoal])
    demos = Demonstrations.from_episodes([episode] * 2, InfoGoal())
    buffer = DemoHerReplayBuffer(
        20, env.observation_space, env.action_space, env=env, device="cpu", demonstrations=demos, copy_info_dict=True
    )
    samples = buffer.sample(50)
    assert th.equal(samples.rewards, samples.observations["observation"] + 1)
    assert (samples.dones == 0).all()  # truncated


def test_pickling_forgets_the_environment_and_set_env_gives_both_parts_one(bit_demos):
    buffer, env = make(bit_demos)
    restored = pickle.loads(pickle.dumps(buffer))
    assert restored.env is None
    assert restored.demonstrations_buffer.env is None
    restored.set_env(env)
    assert restored.demonstrations_buffer.env is env
    assert len(restored.sample(10).rewards) == 10


@pytest.mark.parametrize("n_envs", [1, 3])
def test_learning_and_reloading(bit_demos, n_envs, tmp_path):
    env = make_vec_env(BitFlippingEnv, n_envs, env_kwargs={"n_bits": N_BITS})
    model = DQN(
        "MultiInputPolicy",
        env,
        train_freq=1,
        replay_buffer_class=DemoHerReplayBuffer,
        replay_buffer_kwargs={"demonstrations": bit_demos, "copy_info_dict": True},
        **SMALL,
    )
    model.learn(90)
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    model.save(tmp_path / "model.zip")
    loaded = DQN.load(tmp_path / "model.zip", env=env)
    assert loaded.replay_buffer.demonstrations_buffer.size() == bit_demos.n_transitions
    assert loaded.replay_buffer.size() == 0
    loaded.load_replay_buffer(tmp_path / "buffer.pkl", truncate_last_traj=False)
    assert loaded.replay_buffer.size() == model.replay_buffer.size() == 90 // n_envs
    loaded.learn(30, reset_num_timesteps=False)


def test_continuous_actions():
    demos = collect(
        lambda observations: 2.0 * (observations["observation"] != observations["desired_goal"]) - 1,
        BitFlippingEnv(n_bits=N_BITS, continuous=True),
        n_episodes=2,
        seed=0,
    )
    env = BitFlippingEnv(n_bits=N_BITS, continuous=True)
    kwargs = {"demonstrations": demos}
    SAC("MultiInputPolicy", env, replay_buffer_class=DemoHerReplayBuffer, replay_buffer_kwargs=kwargs, **SMALL).learn(
        30
    )
