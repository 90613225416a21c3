"""A seed repeats a run, bit for bit, and nothing else decides it."""

import random

import numpy as np
import pytest
import torch as th
from algorithm_helpers import make_model, parameters, same
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.env_util import make_vec_env

from gym_ilrl import BC, DAgger, collect, expert

HARD = {"beta_schedule": "linear", "deterministic": False, "n_steps": 25}


def run(algorithm, demos, seed, n_envs=1, env="CartPole-v1", **kwargs):
    options = HARD if algorithm is DAgger else {}
    model = make_model(algorithm, make_vec_env(env, n_envs), demos, seed=seed, **{**options, **kwargs})
    return model.learn(100)


@pytest.mark.parametrize("n_envs", [1, 3])
def test_same_seed_same_run(algorithm, demos, n_envs):
    first = run(algorithm, demos, seed=3, n_envs=n_envs, validation_fraction=0.0)
    for generator in (random.random, np.random.rand, th.rand):  # move the global generators on
        generator(*[] if generator is random.random else [5])
    second = run(algorithm, demos, seed=3, n_envs=n_envs, validation_fraction=0.0)
    assert same(parameters(first), parameters(second))
    if algorithm is DAgger:
        left, right = (model._training_set._columns["observations"].values for model in (first, second))
        assert th.equal(left, right)


def test_another_seed_another_run(algorithm, demos):
    assert not same(parameters(run(algorithm, demos, seed=3)), parameters(run(algorithm, demos, seed=4)))


@pytest.mark.parametrize(
    ("base", "env", "policy"),
    [
        (PPO, "Pendulum-v1", "MlpPolicy"),
        (SAC, "Pendulum-v1", "MlpPolicy"),
        (DQN, "CartPole-v1", "MlpPolicy"),
        (RecurrentPPO, "CartPole-v1", "MlpLstmPolicy"),
    ],
)
def test_every_base_repeats(algorithm, base, env, policy):
    recorded = collect(expert(env), env, n_timesteps=100, seed=0)
    options = {"env": env, "base": base, "policy": policy, "policy_kwargs": {"net_arch": [8]}}
    first, second = (run(algorithm, recorded, seed=1, **options) for _ in range(2))
    assert same(parameters(first), parameters(second))


def test_set_random_seed_repeats(demos):
    model = BC(env="CartPole-v1", demonstrations=demos, seed=0)
    start = model.get_parameters()["policy"]
    start = {key: value.clone() for key, value in start.items()}
    results = []
    for _ in range(2):
        model.set_random_seed(5)
        model.policy.load_state_dict(start)
        model.policy.optimizer.state.clear()
        results.append(parameters(model.learn(20)))
    assert same(*results)


def test_without_seed_torch_decides(demos):
    def unseeded():
        return parameters(BC(env="CartPole-v1", demonstrations=demos).learn(10))

    th.manual_seed(1)
    first = unseeded()
    assert not same(first, unseeded())
    th.manual_seed(1)
    assert same(first, unseeded())


def test_learning_moves_no_global_generator_of_numpy(demos):
    model = BC(env="CartPole-v1", demonstrations=demos, seed=0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    model.learn(20)
    after = np.random.rand(), random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    assert after == (np.random.rand(), random.random())  # noqa: NPY002
