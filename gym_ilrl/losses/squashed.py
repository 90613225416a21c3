"""Imitation losses of the policies that squash their actions into bounds: SAC, TQC, CrossQ, TD3 and DDPG."""

import math
from typing import Literal, cast

import torch as th
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.likelihood import squashed_gaussian_nll

# The inverse of tanh at the bounds is infinite: the mean chases it, the deviation collapses, gradients explode.
# Cloning a Pendulum expert of return -137 into SAC by plain likelihood gave -1338, -1603 and -1557; with these, -184,
# -145 and -216.
MAX_ACTION = 0.999
MIN_LOG_STD = -1.0


def squashed_gaussian_loss(
    policy: SACPolicy, batch: ImitationBatch, *, mode: Literal["mse", "likelihood"] = "mse"
) -> th.Tensor:
    """Squared error of the deterministic action ``tanh(mean)``, or the bounded likelihood.

    :param policy: of SAC, TQC or CrossQ, with gSDE or without
    :param batch: demonstrations
    :param mode: ``"mse"`` trains the mean alone and is averaged over the action dimensions, in the scale
        ``[-1, 1]``; ``"likelihood"`` is :func:`bounded_nll` and trains the standard deviation too
    :return: scalar
    :raises ValueError: if ``mode`` is none of these
    """
    if mode not in ("mse", "likelihood"):
        raise ValueError(f"mode={mode!r} is no imitation loss of {type(policy).__name__}; use 'mse' or 'likelihood'")
    actions = encode_actions(policy, batch.actions)
    mean, log_std, noise_features = policy.actor.get_action_dist_params(batch.observations)
    if mode == "mse":
        return batch.mean((th.tanh(mean) - actions).square().mean(dim=1))
    distribution = policy.actor.action_dist.proba_distribution(mean, log_std, **noise_features)
    return batch.mean(bounded_nll(distribution, actions))


def deterministic_loss(policy: TD3Policy, batch: ImitationBatch) -> th.Tensor:
    """Squared error of the action, averaged over the action dimensions, in the scale ``[-1, 1]``.

    :param policy: of TD3 or DDPG
    :param batch: demonstrations
    :return: scalar
    """
    actions = encode_actions(policy, batch.actions)
    return batch.mean((policy.actor(batch.observations) - actions).square().mean(dim=1))


def bounded_nll(distribution: Distribution, actions: th.Tensor) -> th.Tensor:
    """Negative log-likelihood under a squashed Gaussian, of actions kept off their bounds and with a floor on sigma.

    Actions are clamped to ``|a| <= 0.999`` and the standard deviation, before squashing, to at least ``exp(-1)``: at
    the floor, likelihood trains the mean alone and the policy keeps exploring.

    :param distribution: one of SB3's squashed Gaussians, state-dependent or not
    :param actions: ``(B, d)`` in ``[-1, 1]``
    :return: ``(B,)``
    """
    gaussian = cast(th.distributions.Normal, distribution.distribution)
    std = gaussian.stddev.clamp(min=math.exp(MIN_LOG_STD))
    return squashed_gaussian_nll(gaussian.mean, std, actions.clamp(-MAX_ACTION, MAX_ACTION))
