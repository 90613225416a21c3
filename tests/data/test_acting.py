import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import A2C, DQN, PPO, SAC

from gym_ilrl.data.acting import acting


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(
    ("algorithm", "env_id"),
    [(PPO, "CartPole-v1"), (A2C, "Acrobot-v1"), (PPO, "Pendulum-v1"), (DQN, "Acrobot-v1"), (SAC, "Pendulum-v1")],
)
def test_acts_as_predict_does(algorithm, env_id, deterministic):
    env = gym.make(env_id)
    model = algorithm("MlpPolicy", env, seed=0, device="cpu")
    shape = (200, *env.observation_space.shape)
    observations = np.random.default_rng(0).normal(scale=3.0, size=shape).astype(np.float32)
    act = acting(model.policy, env.action_space, deterministic)
    model.set_random_seed(1)
    expected, _ = model.policy.predict(observations, deterministic=deterministic)
    model.set_random_seed(1)
    actions = act(observations, np.zeros(200, dtype=bool), None)
    np.testing.assert_array_equal(actions, expected)
    assert actions.dtype == expected.dtype
    if env_id != "Pendulum-v1":
        assert len(np.unique(actions)) > 1  # otherwise any policy would pass
