"""Pretraining of the actor and of value functions: what it reaches, and what it leaves."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from pretrain_helpers import (
    ACTOR_CRITICS,
    OFF_POLICY,
    ON_POLICY,
    Observer,
    OneAction,
    batch_of,
    build,
    demonstrations_by_environment,
    demos_of,
    differ,
    loss_of,
    pretrained,
    state,
)
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, PPO, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from gym_ilrl import Demonstrations, collect
from gym_ilrl.callbacks import Pretrain
from gym_ilrl.losses.values import state_values


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return demonstrations_by_environment()


@pytest.mark.parametrize("algorithm", [PPO, A2C, TRPO, *ACTOR_CRITICS])
@pytest.mark.parametrize("n_envs", [1, 3])
def test_cloning_lowers_the_imitation_loss(algorithm, n_envs, demonstrations):
    demos = demonstrations["Pendulum-v1"]
    kwargs = ON_POLICY if algorithm in (PPO, A2C, TRPO) else {**OFF_POLICY, "train_freq": 1, "gradient_steps": 1}
    model = build(algorithm, make_vec_env("Pendulum-v1", n_envs), **kwargs)
    before = loss_of(model, demos)
    pretrained(model, demos, n_epochs=20, critic_updates=0)
    assert loss_of(model, demos) < before - 0.05 * abs(before)


@pytest.mark.parametrize("algorithm", [TD3, DDPG])
def test_target_of_the_actor_is_the_cloned_one(algorithm, demonstrations):
    model = build(algorithm, "Pendulum-v1", **OFF_POLICY)
    before = state(model.actor)
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=1, critic_updates=0)
    assert differ(before, state(model.actor))
    assert not differ(state(model.actor), state(model.actor_target))


def test_cloned_policy_does_what_was_demonstrated(demonstrations):
    demos = demonstrations["CartPole-v1"]
    model = pretrained(build(PPO, "CartPole-v1", **ON_POLICY), demos, n_epochs=30, learning_rate=1e-2, critic_updates=0)
    actions, _ = model.predict(batch_of(model, demos).observations.numpy(), deterministic=True)
    assert (actions == demos.actions).mean() > 0.8


@pytest.mark.parametrize(("algorithm", "policy"), [(RecurrentPPO, "MlpLstmPolicy"), (MaskablePPO, "MlpPolicy")])
def test_policies_with_memory_and_masks(algorithm, policy):
    masks = np.ones((11, 2), dtype=bool)
    steps = {"observations": np.linspace(0, 1, 11, dtype=np.float32)[:, None], "actions": np.ones(10, dtype=np.int64)}
    steps |= {"terminations": np.arange(10) == 9, "truncations": np.zeros(10, dtype=bool)}
    env = OneAction()
    demos = Demonstrations.from_episodes([{**steps, "rewards": np.ones(10), "infos": {"action_masks": masks}}] * 2, env)
    model = build(algorithm, env, policy, **{**ON_POLICY, "batch_size": 16})
    pretrained(model, demos, n_epochs=60, critic_updates=20, learning_rate=1e-2, batch_size=20)
    action, _ = model.predict(np.zeros((1, 1), dtype=np.float32), deterministic=True)
    assert action == 1
    model.learn(32)


def test_dict_observations_and_images():
    image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    for space, policy in (
        (spaces.Dict({"image": image, "vector": spaces.Box(-1, 1, (3,), np.float32)}), "MultiInputPolicy"),
        (image, "CnnPolicy"),
    ):
        env = OneAction(space)
        demos = demos_of(env, 2)
        for vec_env in (DummyVecEnv([lambda env=env: env]), None):
            keys = ["vector"] if isinstance(space, spaces.Dict) else None
            if vec_env is not None:  # VecNormalize lies below SB3's VecTransposeImage
                vec_env = VecNormalize(vec_env, norm_obs=keys is not None, norm_obs_keys=keys)
            kwargs = {"features_extractor_kwargs": {"cnn_output_dim": 8}} if keys else {}
            model = PPO(policy, vec_env or env, n_steps=4, batch_size=4, policy_kwargs=kwargs, device="cpu")
            before = loss_of(model, demos)
            model.learn(4, callback=Pretrain(demos, n_epochs=2, critic_updates=2))
            assert loss_of(model, demos) < before


def test_value_function_learns_the_return_to_go():
    """Reward 1 for ten steps: V(t) = (1 - gamma^(10 - t)) / (1 - gamma)."""
    demos = demos_of(OneAction())
    model = build(PPO, OneAction(), gamma=0.9, **ON_POLICY)
    actor = state(model.policy.action_net)
    pretrained(model, demos, n_epochs=0, critic_updates=3000, learning_rate=1e-2)
    states = th.arange(10.0)[:, None] / 10
    with th.no_grad():
        values = model.policy.predict_values(states).flatten()
    expected = (1 - 0.9 ** (10 - th.arange(10.0))) / (1 - 0.9)
    np.testing.assert_allclose(values, expected, atol=0.25)
    assert not differ(actor, state(model.policy.action_net))


def test_value_function_leaves_a_shared_extractor_and_the_actor():
    image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    model = PPO("CnnPolicy", OneAction(image), n_steps=4, batch_size=4, device="cpu")
    before = state(model.policy)
    pretrained(model, demos_of(OneAction(image), 1), n_epochs=0, critic_updates=3)
    assert {name.split(".")[0] for name in differ(before, state(model.policy))} == {"value_net"}


@pytest.mark.parametrize("norm_reward", [True, False])
def test_vec_normalize_is_seeded_and_the_value_has_its_scale(norm_reward):
    env = OneAction()
    demos = demos_of(env, 20)
    vec_env = VecNormalize(DummyVecEnv([OneAction]), norm_reward=norm_reward, gamma=0.9)
    model = build(PPO, vec_env, gamma=0.9, **ON_POLICY)
    first = []
    model.learn(
        1,
        callback=[
            Pretrain(demos, n_epochs=1, critic_updates=3000, learning_rate=1e-2),
            Observer(lambda model: first.extend((model._last_obs.copy(), vec_env.normalize_obs(np.zeros((1, 1)))))),
        ],
    )
    observed = np.tile(np.arange(11) / 10, 20)  # last observations of the episodes, too
    np.testing.assert_allclose(vec_env.obs_rms.mean, observed.mean(), rtol=0.05)
    np.testing.assert_allclose(vec_env.obs_rms.var, observed.var(), rtol=0.05)
    np.testing.assert_allclose(*first, rtol=1e-5)
    assert first[0].item() < -1.0  # (0 - 0.5) / 0.32
    returns = (1 - 0.9 ** np.arange(1, 11)) / (1 - 0.9)  # R_t = 0.9 R_{t-1} + 1
    if norm_reward:
        np.testing.assert_allclose(vec_env.ret_rms.var, returns.var(), rtol=0.05)
    scale = np.sqrt(vec_env.ret_rms.var + 1e-8).item() if norm_reward else 1.0
    batch = batch_of(model, demos, 0.9)
    with th.no_grad():
        error = (state_values(model.policy, batch) - batch.returns_to_go / scale).abs().mean().item()
    assert error < 0.2 / scale


@pytest.mark.parametrize(
    ("mode", "low", "high"), [("clamp", -1.0, 0.5), ("fit", -9.0, -1.0), (-0.7, -0.7, -0.7), ("residual", -1.0, 0.5)]
)
def test_deviation_after_the_pretraining(mode, low, high):
    """A demonstrator without noise: likelihood alone drives the deviation to zero."""
    env = OneAction(action_space=spaces.Box(-2, 2, (2,), np.float32))
    demos = collect(lambda obs: np.full((len(obs), 2), 0.5, dtype=np.float32), env, n_episodes=10, seed=0)
    model = build(PPO, env, **ON_POLICY)
    bounds = (-1.0, 0.5)
    pretrained(model, demos, n_epochs=200, learning_rate=1e-2, critic_updates=0, log_std=mode, log_std_bounds=bounds)
    log_std = model.policy.log_std.detach()
    assert low - 1e-6 <= log_std.min() <= log_std.max() <= high + 1e-6


def test_residual_deviation_is_the_root_mean_squared_residual():
    env = OneAction(action_space=spaces.Box(-2, 2, (1,), np.float32))
    rng = np.random.default_rng(0)
    demos = collect(lambda obs: rng.normal(0.3, 0.4, (len(obs), 1)).astype(np.float32), env, n_episodes=20, seed=0)
    model = build(PPO, env, **ON_POLICY)
    pretrained(model, demos, n_epochs=3, critic_updates=0, log_std="residual")
    means, _ = model.predict(demos.observations[: len(demos.observations)], deterministic=True)
    rows = np.concatenate([np.arange(10) + 11 * i for i in range(20)])
    expected = np.sqrt(((demos.actions - means[rows]) ** 2).mean())
    np.testing.assert_allclose(model.policy.log_std.exp().item(), expected, rtol=1e-4)


def test_a_deviation_of_states_is_left_alone(demonstrations):
    model = build(PPO, "Pendulum-v1", use_sde=True, **ON_POLICY)
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=1, critic_updates=1)
    with pytest.raises(ValueError, match="use_sde=False"):
        pretrained(build(PPO, "Pendulum-v1", use_sde=True, **ON_POLICY), demonstrations["Pendulum-v1"], log_std=-1.0)
