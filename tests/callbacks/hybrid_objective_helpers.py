"""Algorithms and demonstrations for the tests of the hybrid objective."""

from copy import deepcopy

import torch as th
from sb3_contrib import QRDQN, TQC, TRPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.logger import Logger

from gym_ilrl import Demonstrations, collect, expert
from gym_ilrl.losses.compat import CROSSQ_POLICIES

SMALL = {"net_arch": [8]}
ON_POLICY = {"n_steps": 32, "policy_kwargs": SMALL, "seed": 0, "device": "cpu"}
PPO_KWARGS = {**ON_POLICY, "batch_size": 16, "n_epochs": 2}
OFF_POLICY = {"learning_starts": 20, "batch_size": 16, "policy_kwargs": SMALL, "seed": 0, "device": "cpu"}
ALGORITHMS = [
    (PPO, "MlpPolicy", "CartPole-v1", PPO_KWARGS, 96),
    (PPO, "MlpPolicy", "Pendulum-v1", {**PPO_KWARGS, "use_sde": True}, 96),
    (A2C, "MlpPolicy", "CartPole-v1", {**ON_POLICY, "n_steps": 8}, 48),
    (TRPO, "MlpPolicy", "CartPole-v1", {**ON_POLICY, "batch_size": 16}, 96),
    (
        RecurrentPPO,
        "MlpLstmPolicy",
        "CartPole-v1",
        {**PPO_KWARGS, "policy_kwargs": {**SMALL, "lstm_hidden_size": 8}},
        64,
    ),
    (SAC, "MlpPolicy", "Pendulum-v1", OFF_POLICY, 40),
    (SAC, "MlpPolicy", "Pendulum-v1", {**OFF_POLICY, "use_sde": True}, 40),
    (TD3, "MlpPolicy", "Pendulum-v1", {**OFF_POLICY, "train_freq": 1, "gradient_steps": 1}, 40),
    (DDPG, "MlpPolicy", "Pendulum-v1", {**OFF_POLICY, "train_freq": 1, "gradient_steps": 1}, 40),
    (TQC, "MlpPolicy", "Pendulum-v1", OFF_POLICY, 40),
    (DQN, "MlpPolicy", "CartPole-v1", {**OFF_POLICY, "train_freq": 1, "buffer_size": 1000}, 40),
    (
        QRDQN,
        "MlpPolicy",
        "CartPole-v1",
        {**OFF_POLICY, "train_freq": 1, "buffer_size": 1000, "policy_kwargs": {"net_arch": [8], "n_quantiles": 5}},
        40,
    ),
]
if CROSSQ_POLICIES:
    from sb3_contrib import CrossQ

    ALGORITHMS.append((CrossQ, "MlpPolicy", "Pendulum-v1", OFF_POLICY, 40))
NAMES = [f"{case[0].__name__}{'-gSDE' if case[3].get('use_sde') else ''}" for case in ALGORITHMS]


def parameters_of(model) -> th.Tensor:
    return th.nn.utils.parameters_to_vector(model.policy.parameters()).detach().clone()


def build(case, **changes):
    algorithm, policy, env, kwargs, _ = case
    model = algorithm(policy, env, **deepcopy({**kwargs, **changes}))  # SB3 changes policy_kwargs in place
    model.set_logger(Logger(None, []))
    return model


def trained(case, callback=None, **changes) -> th.Tensor:
    return parameters_of(build(case, **changes).learn(case[4], callback=callback))


def demonstrations_by_environment() -> dict[str, Demonstrations]:
    return {name: collect(expert(name), name, n_episodes=2, seed=0) for name in ("CartPole-v1", "Pendulum-v1")}
