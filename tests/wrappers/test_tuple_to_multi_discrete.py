import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from stable_baselines3 import DQN
from stable_baselines3.common.env_checker import check_env

from gym_ilrl.wrappers import TupleToMultiDiscrete


class Dice(gym.Env):
    """Two dice from 1 to 6 and from 3 to 4."""

    observation_space = spaces.Tuple([spaces.Discrete(6, start=1), spaces.Discrete(2, start=3)])
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return (6, 3), {}


def test_blackjack_keeps_its_numbers():
    plain, wrapped = gym.make("Blackjack-v1"), TupleToMultiDiscrete(gym.make("Blackjack-v1"))
    np.testing.assert_array_equal(wrapped.observation_space.nvec, [32, 11, 2])
    for seed in range(20):
        observation = wrapped.reset(seed=seed)[0]
        assert wrapped.observation_space.contains(observation)
        assert tuple(observation) == tuple(map(int, plain.reset(seed=seed)[0]))


def test_numbers_are_counted_from_the_start_of_their_space():
    env = TupleToMultiDiscrete(Dice())
    np.testing.assert_array_equal(env.observation_space.nvec, [6, 2])
    np.testing.assert_array_equal(env.reset()[0], [5, 0])


@pytest.mark.filterwarnings("error")
def test_sb3_accepts_it():
    env = TupleToMultiDiscrete(gym.make("Blackjack-v1"))
    check_env(env)
    DQN("MlpPolicy", env, learning_starts=5).learn(10)


def test_spec_rebuilds_it():
    spec = EnvSpec.from_json(TupleToMultiDiscrete(gym.make("Blackjack-v1")).spec.to_json())
    assert isinstance(gym.make(spec), TupleToMultiDiscrete)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Taxi"])
@pytest.mark.filterwarnings("ignore:.*unversioned")
def test_other_spaces_are_refused(env_id):
    with pytest.raises(ValueError, match=r"Tuple of Discrete spaces, and this one observes (Box|Discrete)"):
        TupleToMultiDiscrete(gym.make(env_id))
