"""Which demonstrated actions are worth imitating, as the critic sees it."""

from typing import cast

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.values import action_values, has_action_values, state_values
from gym_ilrl.supervised.vec_normalize import return_scale

FILTERS = ("q", "advantage")


def check_filter(name: str | None, model: BaseAlgorithm, demonstrations: Demonstrations) -> None:
    """Refuse a filter that the model's critic, or the demonstrations, cannot serve.

    :raises ValueError: saying which one can
    """
    algorithm = type(model).__name__
    if name == "q" and not has_action_values(model.policy):
        raise ValueError(
            f"filter='q' compares action values and {algorithm} has no critic of actions beside its actor; use "
            "filter='advantage' with PPO, A2C and their kin, and none with DQN, whose margin ends where Q agrees"
        )
    if name == "advantage" and not isinstance(model, OnPolicyAlgorithm):
        raise ValueError(
            f"filter='advantage' needs a value function of states, which {algorithm} lacks; use filter='q'"
        )
    if name == "advantage" and demonstrations.rewards is None:
        raise ValueError(
            "filter='advantage' compares the demonstrator's rewards with the value function and these demonstrations "
            "have none; record them with their rewards, or use filter=None"
        )


def preferred(model: BaseAlgorithm, batch: ImitationBatch, name: str) -> th.Tensor:
    """Return 1.0 for each demonstrated action that the critic prefers to the policy's own, else 0.0, ``(B,)``.

    :param model: whose critic is asked
    :param batch: with ``returns_to_go``, for "advantage"
    :param name: ``"q"``: :math:`Q(s, a_{demo}) > Q(s, \\pi(s))`, ``"advantage"``: :math:`G_{demo} > V(s)`
    """
    policy = unwrap(model.policy)
    with th.no_grad():
        if name == "advantage":
            returns = cast(th.Tensor, batch.returns_to_go) / return_scale(model.get_vec_normalize_env())
            return (returns > state_values(policy, batch)).float()
        own_actions = policy(batch.observations, deterministic=True)
        demonstrated = action_values(policy, batch.observations, encode_actions(policy, batch.actions))
        return (demonstrated > action_values(policy, batch.observations, own_actions)).float()
