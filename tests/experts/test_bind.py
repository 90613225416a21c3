"""An expert made by id does the right thing in the environment it acts in, or refuses."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.wrappers import NormalizeObservation
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

import gym_ilrl
from gym_ilrl.algorithms.labeller import Labeller
from gym_ilrl.experts import registry
from gym_ilrl.experts.registry import expert, register_expert

MAP = ["SFFF", "HHHF", "HHHF", "HHHG"]  # on the default map, its only way leads into holes


def test_a_wrapper_that_changes_observations_is_refused():
    wrapped = NormalizeObservation(gym.make("Pendulum-v1"))
    with pytest.raises(ValueError, match="NormalizeObservation"):
        gym_ilrl.collect(expert("Pendulum-v1"), wrapped, n_episodes=1)
    with pytest.raises(ValueError, match="NormalizeObservation"):
        Labeller(expert("Pendulum-v1"), DummyVecEnv([lambda: wrapped]))


def test_planned_anew_for_the_layout():
    env = gym.make("ilrl/GridMaze-v0", layout_seed=3)
    demos = gym_ilrl.collect(expert("ilrl/GridMaze-v0"), env, n_episodes=3, seed=0)
    own = gym_ilrl.collect(expert(env), env, n_episodes=3, seed=0)
    np.testing.assert_array_equal(demos.actions, own.actions)
    assert demos.returns().min() > 0


@pytest.mark.parametrize("vec_env_class", [DummyVecEnv, SubprocVecEnv])
def test_planned_anew_for_the_map(vec_env_class):
    venv = make_vec_env(
        "FrozenLake-v1", env_kwargs={"desc": MAP, "is_slippery": False}, n_envs=2, vec_env_cls=vec_env_class
    )
    demos = gym_ilrl.collect(expert("FrozenLake-v1"), venv, n_episodes=2, seed=0)
    venv.close()
    np.testing.assert_array_equal(demos.returns(), 1.0)


def test_a_larger_map():
    own = gym_ilrl.collect(expert("FrozenLake8x8-v1"), "FrozenLake8x8-v1", n_episodes=2, seed=0)
    other = gym_ilrl.collect(expert("FrozenLake-v1"), "FrozenLake8x8-v1", n_episodes=2, seed=0)
    np.testing.assert_array_equal(other.actions, own.actions)


def test_another_environment_is_refused():
    with pytest.raises(ValueError, match="expert of TaxiEnv and was given FrozenLakeEnv"):
        gym_ilrl.collect(expert("Taxi"), "FrozenLake-v1", n_episodes=1)


def test_dagger_labels_raw_observations_later():
    venv = VecNormalize(make_vec_env("CartPole-v1", n_envs=2))
    labeller = Labeller(expert("CartPole-v1"), venv)
    assert labeller.can_label_later
    observations = np.array([[0, 0, 0.1, 0.5], [0, 0, -0.1, -0.5]], dtype=np.float32)
    np.testing.assert_array_equal(labeller.label(observations, np.zeros(2, dtype=bool)), [1, 0])


def test_messages_name_what_helps(monkeypatch):
    with pytest.raises(LookupError, match=r"did you mean 'CartPole-v1'\?"):
        expert("Cartpole-v1")
    with pytest.raises(LookupError, match=r"any function or object with predict\(\)"):
        expert(CartPoleEnv())
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))
    for policy in (lambda observations: observations[:, 2] > 0, lambda observations: np.zeros(2)):
        register_expert("CartPole", policy)
        with pytest.raises(TypeError, match=r"called with the environment and must return something with predict\(\)"):
            expert("CartPole-v1")
