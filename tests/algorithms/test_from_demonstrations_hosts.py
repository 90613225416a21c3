"""The classes "from demonstrations" over many environments, replay buffers, and classes of one's own."""

import inspect
from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from from_demonstrations_helpers import (
    ALL,
    CASES,
    FAMILIES,
    OFF_POLICY,
    PPO_KWARGS,
    builder,
    demonstrations_by_environment,
    make_env,
    parameters,
    same,
)
from gymnasium import spaces
from stable_baselines3 import DQN, SAC, HerReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import (
    A2CfD,
    DQfD,
    FromDemonstrations,
    PPOfD,
    SACfD,
    TQCfD,
    collect,
)
from gym_ilrl.buffers import DemoHerReplayBuffer
from gym_ilrl.buffers.compat import NStepReplayBuffer


@pytest.fixture(scope="module")
def demonstrations():
    return demonstrations_by_environment()


@pytest.fixture
def make(demonstrations):
    return builder(demonstrations)


@pytest.mark.parametrize("cls", FAMILIES)
def test_vec_normalize(cls, make):
    env = VecNormalize(make_vec_env(CASES[cls][1], 2))
    model = make(cls, env).learn(60)
    assert env.obs_rms.count > 150  # the demonstrations, too
    evaluate_policy(model, env, n_eval_episodes=1)


@pytest.mark.parametrize("cls", [PPOfD, SACfD, DQfD])
def test_dict_observations(cls):
    space = spaces.Dict({"a": spaces.Box(-1, 1, (2,), np.float32), "b": spaces.Discrete(3)})
    action_space = spaces.Box(-1, 1, (1,), np.float32) if cls is SACfD else spaces.Discrete(2)

    class DictEnv(gym.Env):
        observation_space, clock = space, 0

        def __init__(self):
            self.action_space = action_space

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.clock = 0
            return space.sample(), {}

        def step(self, action):
            self.clock += 1
            return space.sample(), 1.0, False, self.clock == 5, {}

    def act(observations):
        return np.stack([action_space.sample() for _ in observations["b"]])

    demos = collect(act, DictEnv(), n_episodes=4, seed=0)
    kwargs = PPO_KWARGS if cls is PPOfD else OFF_POLICY
    model = cls("MultiInputPolicy", DictEnv(), demonstrations=demos, **deepcopy(kwargs)).learn(40)
    if cls is DQfD and NStepReplayBuffer is not None:
        assert model.n_steps == 1  # SB3 has no n-step returns of Dict observations
        with pytest.raises(AssertionError, match="Dict"):
            cls("MultiInputPolicy", DictEnv(), demonstrations=demos, n_steps=3, **deepcopy(kwargs))


@pytest.mark.parametrize("cls", [SACfD, DQfD])
def test_hindsight_replay(cls, tmp_path):
    env = BitFlippingEnv(n_bits=4, continuous=cls is SACfD, max_steps=4)
    demos = collect(lambda obs: np.stack([env.action_space.sample() for _ in obs["observation"]]), env, n_episodes=5)
    kwargs = {**deepcopy(OFF_POLICY), "replay_buffer_class": HerReplayBuffer}
    model = cls("MultiInputPolicy", env, demonstrations=demos, replay_buffer_kwargs={"n_sampled_goal": 2}, **kwargs)
    assert type(model.replay_buffer) is DemoHerReplayBuffer
    assert model.replay_buffer.n_sampled_goal == 2
    model.learn(30).save(tmp_path / "model")
    cls.load(tmp_path / "model", env=env).learn(20)


@pytest.mark.parametrize("cls", [PPOfD, A2CfD, SACfD, TQCfD])
def test_state_dependent_exploration(cls, make, demonstrations):
    env, demos = gym.make("Pendulum-v1"), demonstrations["Pendulum-v1"]
    make(cls, env, demonstrations=demos, use_sde=True).learn(40)


@pytest.mark.parametrize("cls", ALL)
def test_arguments_of_the_user_are_left_alone(cls, make, demonstrations):
    policy, name, kwargs = CASES[cls]
    given = deepcopy(kwargs)
    cls(policy, make_env(name), demonstrations=demonstrations[name], **given)
    assert given == kwargs


@pytest.mark.parametrize("cls", ALL)
def test_signature(cls):
    names = list(inspect.signature(cls).parameters)
    host = list(inspect.signature(cls.__mro__[2]).parameters)
    assert names[: len(host)] == host
    assert set(names[len(host) :]) >= {"demonstrations", "imitation_coef", "demo_fraction", "save_demonstrations"}
    if cls is DQfD and "n_steps" in names:
        assert inspect.signature(cls).parameters["n_steps"].default == 3


def test_positional_arguments_of_the_host(demonstrations):
    demos = demonstrations["CartPole-v1"]
    model = PPOfD("MlpPolicy", "CartPole-v1", 1e-2, 32, 16, 3, demonstrations=demos, device="cpu")
    assert (model.learning_rate, model.n_steps, model.batch_size, model.n_epochs) == (1e-2, 32, 16, 3)
    model = PPOfD(ActorCriticPolicy, "CartPole-v1", demonstrations=demos, device="cpu", policy_kwargs={})
    assert type(model.policy) is ActorCriticPolicy
    if NStepReplayBuffer is not None:
        names = list(inspect.signature(DQN).parameters)
        defaults = [parameter.default for parameter in inspect.signature(DQN).parameters.values()]
        until = names.index("n_steps")
        model = DQfD("MlpPolicy", "CartPole-v1", *defaults[2:until], 2, demonstrations=demos, device="cpu")
        assert model.n_steps == 2


class MySAC(SAC):
    """Somebody's own algorithm."""

    def __init__(self, policy, env, penalty=0.5, **kwargs):
        super().__init__(policy, env, **kwargs)
        self.penalty = penalty


class MyfD(FromDemonstrations, MySAC):
    """Made from it."""


class MyPPOfD(PPOfD):
    """With an argument more."""

    def __init__(self, policy, env, extra=1, **kwargs):
        super().__init__(policy, env, **kwargs)
        self.extra = extra


def test_classes_of_the_user(demonstrations, tmp_path):
    model = MyfD("MlpPolicy", "Pendulum-v1", 0.7, demonstrations=demonstrations["Pendulum-v1"], **deepcopy(OFF_POLICY))
    model.learn(20).save(tmp_path / "mine")
    assert MyfD.load(tmp_path / "mine").penalty == 0.7
    assert list(inspect.signature(MyfD).parameters)[:3] == ["policy", "env", "penalty"]
    assert "demonstrations" in inspect.signature(MyfD).parameters
    model = MyPPOfD("MlpPolicy", "CartPole-v1", 2, demonstrations=demonstrations["CartPole-v1"], **deepcopy(PPO_KWARGS))
    model.learn(20)
    assert list(inspect.signature(MyPPOfD).parameters) == ["policy", "env", "extra", "kwargs"]


def test_parameters_and_copies(make):
    for cls in FAMILIES:
        model, other = make(cls).learn(20), make(cls, seed=1)
        other.set_parameters(model.get_parameters())
        assert same(parameters(model), parameters(other))
        original = make(cls) if cls is PPOfD else model  # SB3's own PPO cannot be copied once it has learnt
        before, twin = parameters(original), deepcopy(original)
        twin.learn(20)
        assert same(before, parameters(original))
        assert not same(before, parameters(twin))


@pytest.mark.parametrize("cls", [SACfD, DQfD])
def test_replay_buffers_are_saved_and_loaded(cls, make, tmp_path):
    model = make(cls).learn(20)
    model.save_replay_buffer(tmp_path / "buffer")
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", env=make_env(CASES[cls][1]))
    loaded.load_replay_buffer(tmp_path / "buffer")
    assert loaded.replay_buffer.size() == 20
    assert loaded.replay_buffer.demonstrations_buffer.size() == model.replay_buffer.demonstrations_buffer.size()
    if cls is DQfD:
        assert loaded.replay_buffer.td_error.__self__ is loaded
    loaded.learn(20, reset_num_timesteps=False)


def test_priorities_are_the_temporal_difference_errors(make):
    model = make(DQfD).learn(20)
    samples = model.replay_buffer.demonstrations_buffer.sample(4)
    with th.no_grad():
        errors = model._td_error(samples)
    for i in range(4):
        discount = getattr(samples, "discounts", None)
        discount = model.gamma if discount is None else discount[i].item()
        best = model.q_net_target(samples.next_observations[i : i + 1]).max().item()
        target = samples.rewards[i].item() + (1 - samples.dones[i].item()) * discount * best
        value = model.q_net(samples.observations[i : i + 1])[0, samples.actions[i].item()].item()
        assert errors[i].item() == pytest.approx(value - target, abs=1e-4)
