"""Finding the expert of an id, an environment and a VecEnv, and what is said where there is none."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.classic_control import CartPoleEnv
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack

import gym_ilrl
from gym_ilrl.experts import registry
from gym_ilrl.experts.base import PrivilegedExpert
from gym_ilrl.experts.cart_pole import CartPoleExpert
from gym_ilrl.experts.registry import expert, find_factory, newest_version, register_expert, registered_experts
from gym_ilrl.wrappers import TupleToMultiDiscrete


class Steady(PrivilegedExpert):
    def act_on_state(self, privileged_states):
        return privileged_states[:, 0].astype(np.int64)


class Revealing(gym.Env):
    """Its true state is 1."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}

    def privileged_state(self):
        return np.ones(1)


@pytest.fixture
def revealing(monkeypatch):
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))
    gym.register("tests/Revealing-v3", Revealing)
    register_expert("tests/Revealing", lambda env: Steady(env.observation_space, env.action_space))
    yield "tests/Revealing-v3"
    del gym.registry["tests/Revealing-v3"]


def test_every_entry_leads_to_a_factory():
    for name in registered_experts():
        assert callable(find_factory(name))


def test_unversioned_means_newest(revealing):
    newest = max(spec.version for spec in gym.registry.values() if spec.name == "LunarLander")
    assert newest_version("LunarLander") == f"LunarLander-v{newest}"
    assert newest_version("LunarLander-v1") == "LunarLander-v1"
    assert newest_version("tests/Revealing") == revealing


def test_arguments_go_to_the_environment():
    assert expert("LunarLander", continuous=True).action_space.shape == (2,)
    assert expert("FrozenLake", desc=["SF", "HG"], is_slippery=False).observation_space.n == 4


def test_privileged_experts_are_bound_to_the_environment_given(revealing):
    observation = np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="bound to none"):
        expert(revealing).predict(observation)
    assert expert(gym.make(revealing)).predict(observation)[0] == 1
    venv = make_vec_env(revealing, n_envs=3)
    np.testing.assert_array_equal(expert(venv).predict(venv.reset())[0], [1, 1, 1])


def test_a_version_is_preferred_to_all_versions(revealing):
    register_expert("tests/Revealing-v3", "builtins:repr")
    assert find_factory("tests/Revealing-v3") is repr
    assert find_factory("tests/Revealing-v2") is not repr


def test_anything_with_predict_may_be_registered(revealing):
    class Zero:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return np.zeros(len(observation), np.int64), state

    register_expert(revealing, lambda env: Zero())
    for env in (revealing, gym.make(revealing), make_vec_env(revealing)):
        assert isinstance(expert(env), Zero)


@pytest.mark.parametrize(
    "name", ["LaneKeeping", "Tightrope", "GridMaze", "SparsePointMaze", "ObjectWorld", "RiskyPath"]
)
def test_ilrl_experts_act_alike_in_one_and_in_many(name):
    env_id = f"ilrl/{name}-v0"
    native, alone = gym_ilrl.make_vec_env(env_id, 3, seed=5), gym.make(env_id)
    observations = native.reset()
    actions, _ = expert(native).predict(observations)
    for row in range(3):
        observation, _ = alone.reset(seed=5 + row)
        np.testing.assert_array_equal(observation, observations[row])
        np.testing.assert_allclose(expert(alone).predict(observation)[0], actions[row], rtol=1e-6)


def test_the_module_may_stand_before_the_id():
    by_id, by_env = expert("gym_ilrl:ilrl/GridMaze-v0"), expert(gym.make("gym_ilrl:ilrl/GridMaze-v0"))
    np.testing.assert_array_equal(by_id.predict(np.arange(20))[0], by_env.predict(np.arange(20))[0])


def test_blackjack_in_a_vec_env():
    venv = make_vec_env("Blackjack-v1", 4, wrapper_class=TupleToMultiDiscrete)
    assert expert(venv).predict(venv.reset())[0].shape == (4,)


@pytest.mark.parametrize("vec_env_class", [None, SubprocVecEnv])
def test_vec_env_with_its_configuration(vec_env_class):
    venv = make_vec_env("FrozenLake-v1", 2, env_kwargs={"is_slippery": False}, vec_env_cls=vec_env_class)
    actions, _ = expert(venv).predict(venv.reset())
    np.testing.assert_array_equal(actions, expert("FrozenLake-v1", is_slippery=False).predict(np.array([0, 0]))[0])
    venv.close()


@pytest.mark.parametrize(
    ("env", "wrapper"),
    [
        (lambda: wrappers.FlattenObservation(gym.make("FrozenLake-v1")), "FlattenObservation"),
        (lambda: wrappers.NormalizeObservation(gym.make("CartPole-v1")), "NormalizeObservation"),
        (lambda: wrappers.RescaleAction(gym.make("Pendulum-v1"), -1.0, 1.0), "RescaleAction"),
        (lambda: wrappers.TimeLimit(wrappers.FlattenObservation(gym.make("Taxi")), 9), "FlattenObservation"),
        (lambda: VecFrameStack(make_vec_env("CartPole-v1"), 2), "VecFrameStack"),
        (lambda: make_vec_env("CartPole-v1", wrapper_class=wrappers.NormalizeObservation), "NormalizeObservation"),
        (
            lambda: make_vec_env("CartPole-v1", wrapper_class=wrappers.NormalizeObservation, vec_env_cls=SubprocVecEnv),
            "SubprocVecEnv",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*unversioned")
def test_changed_observations_or_actions_are_refused(env, wrapper):
    made = env()
    with pytest.raises(ValueError, match=f"(?s){wrapper}.*change.*; ask for the expert"):
        expert(made)
    made.close()


def test_harmless_wrappers_are_accepted():
    env = wrappers.TransformReward(wrappers.TimeLimit(gym.make("CartPole-v1"), 10), lambda reward: 2 * reward)
    assert isinstance(expert(env), CartPoleExpert)


@pytest.mark.parametrize("env_id", ["CartPol-v1", "Reacher-v2", "tests/Nothing"])
def test_an_environment_without_expert_is_told_what_to_do(env_id):
    with pytest.raises(LookupError) as refusal:
        expert(env_id)
    sentence = str(refusal.value)
    assert "\n" not in sentence
    for word in (env_id, "predict()", "trained model", "register_expert"):
        assert word in sentence
    assert env_id == "tests/Nothing" or f"{env_id.partition('-')[0]}" in sentence.replace(env_id, "")


def test_environments_that_cannot_be_named_are_refused():
    with pytest.raises(LookupError, match="has no spec"):
        expert(CartPoleEnv())
    with pytest.raises(TypeError, match="given int"):
        expert(7)
    with pytest.raises(TypeError, match="Stable-Baselines3 VecEnv, and was given SyncVectorEnv"):
        expert(gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")]))
    with pytest.raises(TypeError, match="leave them out"):
        expert(gym.make("CartPole-v1"), sutton_barto_reward=True)


@pytest.mark.parametrize("factory", [3, "module", "a:b:c", None])
def test_register_refuses_what_is_no_factory(factory):
    with pytest.raises(TypeError, match="callable or 'module:attribute'"):
        register_expert("tests/Revealing", factory)
