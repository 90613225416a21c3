"""The losses of SAC, TQC, CrossQ and TD3, against torch's own transformed distribution and the definition."""

import math

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.compat import CROSSQ_POLICIES
from gym_ilrl.losses.imitation import imitation_loss

LOW, HIGH = np.array([-2.0, 0.0, -1.0], np.float32), np.array([4.0, 10.0, 1.0], np.float32)
BOX = spaces.Box(LOW, HIGH)
POLICIES = [SACPolicy, TQCPolicy, *CROSSQ_POLICIES]


def scaled(actions):
    """Map the interval [low, high] to [-1, 1]."""
    middle, half = (LOW + HIGH) / 2.0, (HIGH - LOW) / 2.0
    return (actions - th.as_tensor(middle)) / th.as_tensor(half)


def outputs(policy, observations):
    """Return the mean and the log standard deviation of the actor, before squashing."""
    latent = policy.actor.latent_pi(observations)
    return policy.actor.mu(latent), policy.actor.log_std(latent)


@pytest.fixture(params=POLICIES, ids=lambda policy_class: policy_class.__name__)
def policy(request, make_policy):
    policy = make_policy(request.param, BOX)
    policy.set_training_mode(False)  # batch renormalisation of CrossQ
    return policy


def test_squared_error_of_the_deterministic_action_is_the_default(policy, observations, sample):
    actions = sample(BOX)
    predicted, _ = policy.predict(observations.numpy(), deterministic=True)
    expected = ((scaled(th.as_tensor(predicted)) - scaled(actions)) ** 2).mean().item()
    batch = ImitationBatch(observations, actions)
    assert expected > 0.1
    assert imitation_loss(policy, batch).item() == pytest.approx(expected, rel=1e-4)
    assert imitation_loss(policy, batch, mode="mse").item() == pytest.approx(expected, rel=1e-4)


def test_likelihood_is_that_of_the_change_of_variables(policy, observations, sample):
    actions = sample(BOX)
    actions[0] = th.as_tensor(HIGH)  # at the bound, where the density of the policy is infinite or zero
    mean, log_std = outputs(policy, observations)
    assert log_std.min() < -1.0 < log_std.max()
    gaussian = Normal(mean, log_std.clamp(-1.0, 2.0).exp())  # 2: SB3's own cap
    squashed = Independent(TransformedDistribution(gaussian, TanhTransform()), 1)
    expected = -squashed.log_prob(scaled(actions).clamp(-0.999, 0.999)).mean().item()
    loss = imitation_loss(policy, ImitationBatch(observations, actions), mode="likelihood")
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_likelihood_does_not_narrow_the_deviation_below_its_floor(policy, observations, sample):
    policy.actor.log_std.weight.data.zero_()
    policy.actor.log_std.bias.data.copy_(th.tensor([-1.5, -0.5, -3.0]))
    imitation_loss(policy, ImitationBatch(observations, sample(BOX)), mode="likelihood").backward()
    assert policy.actor.log_std.bias.grad[[0, 2]].tolist() == [0.0, 0.0]
    assert policy.actor.log_std.bias.grad[1] != 0.0


def test_state_dependent_deviation_has_the_same_floor(make_policy, observations, sample):
    policy, actions = make_policy(SACPolicy, BOX, use_sde=True), sample(BOX)
    policy.actor.log_std.data[:, 0] -= 4.0
    latent = policy.actor.latent_pi(observations)
    std = (latent.square() @ policy.actor.log_std.exp().square() + 1e-6).sqrt()
    assert std.min() < math.exp(-1) < std.max()
    gaussian = Normal(policy.actor.mu(latent), std.clamp(min=math.exp(-1)))
    squashed = Independent(TransformedDistribution(gaussian, TanhTransform()), 1)
    expected = -squashed.log_prob(scaled(actions).clamp(-0.999, 0.999)).mean().item()
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch, mode="likelihood").item() == pytest.approx(expected, rel=1e-4)
    mse = (th.tanh(policy.actor.mu(latent)) - scaled(actions)).square().mean().item()
    assert imitation_loss(policy, batch).item() == pytest.approx(mse, rel=1e-4)


def test_deterministic_actor(make_policy, observations, sample):
    policy, actions = make_policy(TD3Policy, BOX), sample(BOX)
    predicted, _ = policy.predict(observations.numpy())
    expected = ((scaled(th.as_tensor(predicted)) - scaled(actions)) ** 2).mean().item()
    assert imitation_loss(policy, ImitationBatch(observations, actions)).item() == pytest.approx(expected, rel=1e-4)


def test_an_expert_that_acts_like_the_policy_costs_nothing(policy, observations):
    actions, _ = policy.predict(observations.numpy(), deterministic=True)
    assert imitation_loss(policy, ImitationBatch(observations, th.as_tensor(actions))).item() < 1e-10


@pytest.mark.parametrize("mode", ["mse", "likelihood"])
def test_weighted_mean(policy, observations, sample, mode):
    actions, weights = sample(BOX), th.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0])
    each = [
        imitation_loss(policy, ImitationBatch(observations[i, None], actions[i, None]), mode=mode).item()
        for i in range(7)
    ]
    weighted = imitation_loss(policy, ImitationBatch(observations, actions, weights=weights), mode=mode).item()
    assert weighted == pytest.approx(np.average(each, weights=weights), rel=1e-4)


def test_unknown_mode_is_refused(policy, observations, sample):
    with pytest.raises(ValueError, match=r"mode='nll' is no imitation loss of .*Policy; use 'mse' or 'likelihood'"):
        imitation_loss(policy, ImitationBatch(observations, sample(BOX)), mode="nll")
