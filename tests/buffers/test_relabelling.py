import gymnasium as gym
import numpy as np
import pytest
import torch as th
from buffer_helpers import ACTIONS, OBSERVATIONS, add_online, demonstrations, is_demo, steps_of
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from gym_ilrl.buffers import DemoReplayBuffer


def make(demos, **kwargs):
    buffer = DemoReplayBuffer(50, OBSERVATIONS, ACTIONS, device="cpu", demonstrations=demos, **kwargs)
    add_online(buffer, 20, done=lambda i: i % 5 == 4)
    return buffer


class Blank(gym.Env):
    observation_space, action_space = OBSERVATIONS, ACTIONS


@pytest.fixture
def vec_normalize():
    """One whose statistics are set by hand, so that the normalised values can be computed by hand."""
    env = VecNormalize(DummyVecEnv([Blank]), clip_obs=1e9, clip_reward=1e9, epsilon=0.0)
    env.obs_rms.mean, env.obs_rms.var = np.array([10.0, 20.0, 30.0]), np.array([4.0, 9.0, 16.0])
    env.ret_rms.var = np.float64(25.0)
    return env


def test_sqil_constants():
    samples = make(demonstrations(rewards=False), demo_reward=1.0, online_reward=0.0).sample(20)
    np.testing.assert_array_equal(samples.rewards[:, 0].numpy(), is_demo(samples).astype(float))
    assert is_demo(samples).sum() == 10


def test_a_function_replaces_rewards_of_its_own_part_and_may_learn():
    weight = th.ones(1, requires_grad=True)
    calls = []

    def reward(observations, actions, next_observations):
        calls.append(len(observations))
        return weight * (observations[:, 0] + next_observations[:, 0] + actions[:, 1])

    demos = demonstrations()
    buffer = make(demos, demo_reward=reward)
    for factor in (1.0, 3.0):
        weight.data.fill_(factor)
        samples = buffer.sample(8)
        expected = factor * (samples.observations[:, 0] + samples.next_observations[:, 0] + samples.actions[:, 1])
        rows = th.as_tensor(is_demo(samples))
        assert th.allclose(samples.rewards[rows, 0], expected[rows])
        assert (samples.rewards[~rows] == 0.5).all()
        assert samples.rewards.dtype == th.float32
        assert not samples.rewards.requires_grad
    assert calls == [4, 4]  # one call a batch


@pytest.mark.parametrize("shape", [(8,), (8, 1)])
def test_numpy_rewards_of_either_shape(shape):
    buffer = make(demonstrations(), demo_fraction=1.0, demo_reward=lambda o, a, n: np.arange(8.0).reshape(shape))
    np.testing.assert_array_equal(buffer.sample(8).rewards.numpy(), np.arange(8.0).reshape(8, 1))


@pytest.mark.parametrize("value", [np.zeros(7), np.zeros((8, 2)), 1.0])
def test_another_number_of_rewards_is_refused(value):
    buffer = make(demonstrations(), demo_fraction=1.0, demo_reward=lambda o, a, n: value)
    with pytest.raises(ValueError, match=r"demo_reward must return rewards of shape \(8,\)"):
        buffer.sample(8)


def test_vec_normalize_normalises_both_parts(vec_normalize):
    demos = demonstrations()
    samples = make(demos).sample(20, env=vec_normalize)
    steps = steps_of(demos)
    raw = samples.observations.numpy() * [2.0, 3.0, 4.0] + [10.0, 20.0, 30.0]
    assert (raw[:, 0] > 999).sum() == 10
    for row, next_row, reward in zip(raw, samples.next_observations.numpy(), samples.rewards[:, 0], strict=True):
        if row[0] < 999:
            assert reward.item() == pytest.approx(0.5 / 5.0)
            continue
        step = steps[float(np.round(row[0]))]
        np.testing.assert_allclose(next_row * [2, 3, 4] + [10, 20, 30], step["next_observation"], rtol=1e-5)
        assert reward.item() == pytest.approx(step["reward"] / 5.0, rel=1e-5)


def test_given_rewards_are_not_normalised_and_functions_see_normalised_observations(vec_normalize):
    seen = []

    def reward(observations, actions, next_observations):
        seen.append(observations)
        return th.full((len(observations),), 7.0)

    samples = make(demonstrations(), demo_reward=reward, online_reward=-2.0).sample(10, env=vec_normalize)
    assert samples.rewards[:, 0].tolist() == [-2.0] * 5 + [7.0] * 5
    assert th.equal(seen[0], samples.observations[5:])
