"""The divergence from an anchor as part of the reward."""

from typing import Any, cast

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import obs_as_tensor

from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.distribution import action_distribution


@th.no_grad()
def subtract_log_ratio(model: OnPolicyAlgorithm, reference: BasePolicy, states: ImitationBatch, coef: float) -> float:
    r"""Subtract :math:`\lambda (\log\pi_\theta(a|s) - \log\pi_0(a|s))` from each reward of a rollout.

    The advantages and returns are computed again.

    :param model: at the end of its rollout
    :param reference: :math:`\pi_0`
    :param states: of the rollout, in its own order, with the actions
    :param coef: :math:`\lambda`
    :return: the mean of the logarithms' difference
    """
    buffer, policy = model.rollout_buffer, unwrap(model.policy)
    actions = states.actions
    if isinstance(model.action_space, spaces.Discrete):
        actions = actions.long().flatten()  # the rollout holds them as a column of floats
    log_probs = action_distribution(reference, states).log_prob(actions)
    log_ratios = buffer.log_probs - log_probs.cpu().numpy().reshape(buffer.log_probs.shape)
    buffer.rewards -= (coef * log_ratios).astype(buffer.rewards.dtype)
    last_observations = obs_as_tensor(cast(Any, model._last_obs), model.device)
    last_values = cast(Any, policy).predict_values(last_observations)
    buffer.compute_returns_and_advantage(last_values, cast(np.ndarray, model._last_episode_starts))
    return float(log_ratios.mean())
