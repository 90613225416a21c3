"""Imitation losses of policies that act greedily on action values: DQN and QR-DQN."""

from typing import Literal

import torch as th
import torch.nn.functional as F
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy

from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.likelihood import categorical_nll

QValueMode = Literal["cross_entropy", "margin"]


def dqn_loss(
    policy: DQNPolicy,
    batch: ImitationBatch,
    *,
    mode: QValueMode = "cross_entropy",
    temperature: float = 1.0,
    margin: float = 0.8,
) -> th.Tensor:
    """Make the demonstrated action the greedy one.

    :param policy: of DQN
    :param batch: demonstrations
    :param mode: ``"cross_entropy"`` of ``softmax(Q / temperature)``, the likelihood of a soft-optimal expert, or
        ``"margin"``, :func:`large_margin`
    :param temperature: in the unit of the return, positive
    :param margin: in the unit of the return, positive; 0.8 in DQfD
    :return: scalar
    :raises ValueError: if an option is none of these
    """
    return _q_value_loss(policy, policy.q_net(batch.observations), batch, mode, temperature, margin)


def qrdqn_loss(
    policy: QRDQNPolicy,
    batch: ImitationBatch,
    *,
    mode: QValueMode = "cross_entropy",
    temperature: float = 1.0,
    margin: float = 0.8,
) -> th.Tensor:
    """:func:`dqn_loss` of the action values that QR-DQN acts on, the means of its quantiles."""
    q_values = policy.quantile_net(batch.observations).mean(dim=1)
    return _q_value_loss(policy, q_values, batch, mode, temperature, margin)


def _q_value_loss(
    policy: BasePolicy, q_values: th.Tensor, batch: ImitationBatch, mode: str, temperature: float, margin: float
) -> th.Tensor:
    for name, value in (("temperature", temperature), ("margin", margin)):
        if not value > 0.0:
            raise ValueError(f"{name}={value} is not positive; expected a number above 0, in the unit of the return")
    actions = encode_actions(policy, batch.actions)
    if mode == "cross_entropy":
        return batch.mean(categorical_nll(q_values / temperature, actions))
    if mode == "margin":
        return batch.mean(large_margin(q_values, actions, margin))
    raise ValueError(f"mode={mode!r} is no imitation loss of {type(policy).__name__}; use 'cross_entropy' or 'margin'")


def large_margin(q_values: th.Tensor, actions: th.Tensor, margin: float) -> th.Tensor:
    """``max_a [Q(s, a) + l(a_E, a)] - Q(s, a_E)`` with ``l = 0`` at the expert's action and ``margin`` elsewhere.

    Zero as soon as the expert's action is better than every other by the margin. Hester et al., "Deep Q-learning from
    Demonstrations", AAAI 2018, section 4.

    :param q_values: ``(B, n)``
    :param actions: of the expert, int64 ``(B,)``
    :param margin: in the unit of the return
    :return: ``(B,)``
    """
    is_expert = F.one_hot(actions, q_values.shape[1])
    expert_values = q_values.gather(1, actions.unsqueeze(1)).squeeze(1)
    return (q_values + margin * (1 - is_expert)).amax(dim=1) - expert_values
