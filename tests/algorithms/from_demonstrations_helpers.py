"""The classes "from demonstrations", small enough for tests, and what they are given."""

from copy import deepcopy
from dataclasses import replace

import gymnasium as gym
import numpy as np
import torch as th
from sb3_contrib.common.wrappers import ActionMasker

from gym_ilrl import (
    A2CfD,
    DDPGfD,
    Demonstrations,
    DQfD,
    MaskablePPOfD,
    PPOfD,
    QRDQNfD,
    RecurrentPPOfD,
    SACfD,
    TD3fD,
    TQCfD,
    TRPOfD,
    collect,
    expert,
)
from gym_ilrl.losses.compat import CROSSQ_POLICIES

SMALL = {"policy_kwargs": {"net_arch": [8]}, "seed": 0, "device": "cpu", "pretrain_epochs": 1}
ON_POLICY = {**SMALL, "n_steps": 16, "pretrain_kwargs": {"critic_updates": 3}, "critic_warmup": 20}
PPO_KWARGS = {**ON_POLICY, "batch_size": 16, "n_epochs": 2}
OFF_POLICY = {
    **SMALL,
    "learning_starts": 8,
    "batch_size": 8,
    "buffer_size": 200,
    "train_freq": 1,
    "gradient_steps": 1,
    "pretrain_kwargs": {"critic_updates": 3},
}
CASES = {
    PPOfD: ("MlpPolicy", "CartPole-v1", PPO_KWARGS),
    A2CfD: ("MlpPolicy", "CartPole-v1", ON_POLICY),
    TRPOfD: ("MlpPolicy", "Pendulum-v1", {**ON_POLICY, "batch_size": 16}),
    RecurrentPPOfD: ("MlpLstmPolicy", "CartPole-v1", {**PPO_KWARGS, "policy_kwargs": {"lstm_hidden_size": 8}}),
    MaskablePPOfD: ("MlpPolicy", "masked", PPO_KWARGS),
    SACfD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    TD3fD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    DDPGfD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    TQCfD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    DQfD: ("MlpPolicy", "CartPole-v1", OFF_POLICY),
    QRDQNfD: ("MlpPolicy", "CartPole-v1", OFF_POLICY),
}
if CROSSQ_POLICIES:
    from gym_ilrl import CrossQfD

    CASES[CrossQfD] = ("MlpPolicy", "Pendulum-v1", OFF_POLICY)
ALL = list(CASES)
FAMILIES = [PPOfD, SACfD, DQfD]
NOTHING = {
    "pretrain_epochs": 0,
    "pretrain_kwargs": None,
    "imitation_coef": 0,
    "anchor_coef": 0.0,
    "critic_warmup": 0,
}


def masked_env():
    return ActionMasker(gym.make("CartPole-v1"), lambda _: np.array([True, True]))


def make_env(name):
    return masked_env() if name == "masked" else gym.make(name)


def parameters(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(th.equal(left[key], right[key]) for key in left)


def demonstrations_by_environment():
    cart_pole = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=1, seed=0)
    episode = cart_pole[0]
    masks = {"action_masks": np.ones((len(episode.actions) + 1, 2), dtype=bool)}
    return {
        "CartPole-v1": cart_pole,
        "masked": Demonstrations.from_episodes([replace(episode, infos=masks)], "CartPole-v1"),
        "Pendulum-v1": collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0),
    }


def builder(demonstrations):
    """Return what builds a class, ready for a short learn()."""

    def build(cls, env=None, **changes):
        policy, name, kwargs = CASES[cls]
        arguments = deepcopy({**kwargs, **changes})
        given = arguments.pop("demonstrations", demonstrations[name])
        env = make_env(name) if env is None else env
        return cls(arguments.pop("policy", policy), env, demonstrations=given, **arguments)

    return build
