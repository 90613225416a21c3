"""A frozen copy acts as the policy did, shares nothing with it, and draws nothing."""

import numpy as np
import pytest
import torch as th
from sb3_contrib import QRDQN, TQC, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from gym_ilrl.losses.actor import actor_optimizer
from gym_ilrl.losses.snapshot import frozen_copy

SMALL = {"n_steps": 32, "n_epochs": 1, "batch_size": 32}
CASES = {
    "ppo": (PPO, "MlpPolicy", "CartPole-v1", SMALL),
    "ppo with gSDE": (PPO, "MlpPolicy", "Pendulum-v1", {**SMALL, "use_sde": True}),
    "ppo with two extractors": (
        PPO, "MlpPolicy", "Pendulum-v1", {**SMALL, "policy_kwargs": {"share_features_extractor": False}},
    ),
    "a2c": (A2C, "MlpPolicy", "Pendulum-v1", {}),
    "recurrent": (RecurrentPPO, "MlpLstmPolicy", "CartPole-v1", {**SMALL, "policy_kwargs": {"lstm_hidden_size": 8}}),
    "sac with gSDE": (SAC, "MlpPolicy", "Pendulum-v1", {"learning_starts": 10, "use_sde": True}),
    "td3": (TD3, "MlpPolicy", "Pendulum-v1", {"learning_starts": 10}),
    "tqc": (TQC, "MlpPolicy", "Pendulum-v1", {"learning_starts": 10}),
    "dqn": (DQN, "MlpPolicy", "CartPole-v1", {"learning_starts": 10}),
    "qrdqn": (QRDQN, "MlpPolicy", "CartPole-v1", {"learning_starts": 10}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_copy_acts_alike_and_stays_as_it_was(case):
    algorithm, policy, env, kwargs = CASES[case]
    model = algorithm(policy, env, seed=0, device="cpu", **kwargs).learn(64)
    observations = np.stack([model.observation_space.sample() for _ in range(5)]).clip(-5, 5)
    before = model.predict(observations, deterministic=True)[0]
    random_state = th.get_rng_state()
    copy = frozen_copy(model.policy)
    assert th.equal(th.get_rng_state(), random_state)
    assert type(copy) is type(model.policy)
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    assert not any(module.training for module in copy.modules())
    with th.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(copy.predict(observations, deterministic=True)[0], before)
    actor_optimizer(model.policy)  # the policy keeps its own
    with pytest.raises(TypeError, match="optimizer"):
        actor_optimizer(copy)


def test_masks_are_obeyed_by_a_copy():
    from sb3_contrib.common.envs import InvalidActionEnvDiscrete

    model = MaskablePPO("MlpPolicy", InvalidActionEnvDiscrete(dim=6, n_invalid_actions=3), **SMALL).learn(32)
    masks = np.array([False] * 5 + [True])
    assert frozen_copy(model.policy).predict(model.env.reset(), action_masks=masks)[0] == 5
