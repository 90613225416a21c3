"""Pretraining of off-policy critics, which are held apart from their actors or act themselves."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from pretrain_helpers import (
    ACTOR_CRITICS,
    OFF_POLICY,
    OneAction,
    batch_of,
    build,
    demonstrations_by_environment,
    differ,
    one_step,
    pretrained,
    state,
)
from sb3_contrib import QRDQN
from stable_baselines3 import DQN, SAC, TD3

from gym_ilrl import Demonstrations, collect
from gym_ilrl.callbacks.pretrain_critic import fit_action_values


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return demonstrations_by_environment()


@pytest.mark.parametrize("algorithm", ACTOR_CRITICS)
def test_off_policy_critic_learns_while_the_actor_is_held(algorithm, demonstrations):
    model = build(algorithm, "Pendulum-v1", **{**OFF_POLICY, "train_freq": 1, "gradient_steps": 1})
    policy, buffer = model.policy, model.replay_buffer
    before = {name: state(getattr(policy, name)) for name in ("actor", "critic")}
    target = state(policy.critic_target) if hasattr(policy, "critic_target") else None
    entropy = model.log_ent_coef.clone() if hasattr(model, "log_ent_coef") else None
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=0, critic_updates=10)
    assert not differ(before["actor"], state(policy.actor))
    if hasattr(policy, "actor_target"):
        after = state(policy.actor_target)
        assert all(th.allclose(value, before["actor"][name], atol=1e-6) for name, value in after.items())
    assert differ(before["critic"], state(policy.critic))
    if target is not None and policy.critic_target is not policy.critic:
        assert differ(target, state(policy.critic_target))
    if entropy is not None:
        assert th.equal(entropy, model.log_ent_coef)
    assert model.replay_buffer is buffer
    assert buffer.size() <= 1
    assert not policy.actor.optimizer._optimizer_step_pre_hooks  # free to move again
    model.learning_starts = 0
    model.learn(5)
    assert differ(before["actor"], state(policy.actor))


def test_td3_holds_an_extractor_that_actor_and_critic_share():
    image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    env = OneAction(image, spaces.Box(-1, 1, (1,), np.float32))
    demos = collect(lambda obs: np.zeros((len(obs), 1), dtype=np.float32), env, n_episodes=1, seed=0)
    kwargs = {"net_arch": [8], "share_features_extractor": True}
    model = TD3("CnnPolicy", env, buffer_size=50, policy_kwargs=kwargs, batch_size=4, device="cpu")
    before = state(model.policy.actor)
    pretrained(model, demos, n_epochs=0, critic_updates=4)
    assert not differ(before, state(model.policy.actor))


def test_an_off_policy_critic_learns_the_demonstrated_values():
    """One step, reward 3: Q(s, a) = 3 at the demonstrated action."""
    space = spaces.Box(-1, 1, (1,), np.float32)
    demos = Demonstrations.from_episodes(
        [one_step(np.full((1, 1), 0.5, dtype=np.float32), 3.0)], (spaces.Box(0.0, 1.0, (1,), np.float32), space)
    )
    for algorithm in (SAC, TD3):
        model = build(algorithm, OneAction(action_space=space), learning_rate=1e-2, **OFF_POLICY)
        pretrained(model, demos, n_epochs=0, critic_updates=200)
        with th.no_grad():
            values = model.critic(th.zeros(1, 1), th.tensor([[0.5]]))
        np.testing.assert_allclose([value.item() for value in values], 3.0, atol=0.1)


@pytest.mark.parametrize("algorithm", [SAC, DQN])
def test_everything_is_as_before_after_an_exception(algorithm, demonstrations, monkeypatch):
    env = "Pendulum-v1" if algorithm is SAC else "CartPole-v1"
    model = build(algorithm, env, **OFF_POLICY)
    buffer = model.replay_buffer

    def broken(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model, "train", broken)
        with pytest.raises(KeyboardInterrupt):
            pretrained(model, demonstrations[env], n_epochs=0, critic_updates=5)
    assert model.replay_buffer is buffer
    owner = model.actor if algorithm is SAC else model.policy
    assert not owner.optimizer._optimizer_step_pre_hooks


def test_nothing_is_held_where_the_demonstrations_are_refused(demonstrations):
    model = build(SAC, "Pendulum-v1", **OFF_POLICY)
    with pytest.raises(ValueError, match="do not fit"):
        fit_action_values(model, demonstrations["CartPole-v1"], 1, None, {})
    assert not model.actor.optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize("algorithm", [DQN, QRDQN])
def test_q_networks_act_as_demonstrated_and_their_targets_follow(algorithm, demonstrations):
    demos = demonstrations["CartPole-v1"]
    model = build(algorithm, "CartPole-v1", **{**OFF_POLICY, "learning_rate": 1e-2})
    observations = batch_of(model, demos).observations.numpy()

    def agreement():
        return (model.predict(observations, deterministic=True)[0] == demos.actions).mean()

    before = agreement()
    pretrained(model, demos, critic_updates=200)
    assert agreement() > max(0.75, before + 0.1)
    network, target = ("q_net", "q_net_target") if algorithm is DQN else ("quantile_net", "quantile_net_target")
    assert not differ(state(getattr(model.policy, network)), state(getattr(model.policy, target)))  # tau is 1
    assert not model.policy.optimizer._optimizer_step_pre_hooks


def test_the_margin_is_what_was_asked_for():
    """Action 1 alone is demonstrated, reward 0 and one step: Q(1) = 0, and the margin pushes Q(0) below -margin."""
    demos = Demonstrations.from_episodes(
        [one_step(np.array([1]), 0.0)], (spaces.Box(0.0, 1.0, (1,), np.float32), spaces.Discrete(2))
    )
    for margin, most in ((0.3, 1.0), (2.0, 2.5)):
        model = build(DQN, OneAction(), **{**OFF_POLICY, "learning_rate": 1e-2})
        pretrained(model, demos, critic_updates=600, loss_kwargs={"margin": margin})
        with th.no_grad():
            values = model.q_net(th.zeros(1, 1)).flatten()
        assert margin - 0.1 < (values[1] - values[0]).item() < most


def test_q_target_is_updated_as_often_as_in_training(demonstrations):
    """DQN updates its target every 40 environment steps and trains every 4: every ten updates."""
    from gym_ilrl.callbacks.pretrain_critic import _until_target_updates

    model = build(DQN, "CartPole-v1", **OFF_POLICY, target_update_interval=40, train_freq=4, gradient_steps=1)
    assert _until_target_updates(model, 25) == [10, 10, 5]
    model.gradient_steps = 2
    assert _until_target_updates(model, 25) == [20, 5]
    assert _until_target_updates(build(SAC, "Pendulum-v1", **OFF_POLICY), 25) == [25]
