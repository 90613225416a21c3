"""What a policy's critic thinks: the value of a state, and the value of an action in it."""

import functools
from collections.abc import Sequence
from typing import Any, cast

import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn

from gym_ilrl.losses.actor import actor_parameters, unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.distribution import resets_within_sequences


@functools.singledispatch
def state_values(policy: Any, batch: ImitationBatch) -> th.Tensor:
    """Return ``V(s)`` of each observation of ``batch``, of shape ``(B,)``.

    :param policy: an actor-critic policy, recurrent and maskable ones included, compiled or not
    :param batch: its actions are not read
    :raises TypeError: if the policy has no value function
    """
    inner = unwrap(policy)
    if inner is not policy:
        return state_values(inner, batch)
    raise TypeError(f"{type(policy).__name__} has no value function of states; expected an actor-critic policy")


@state_values.register(ActorCriticPolicy)
@state_values.register(MaskableActorCriticPolicy)
def _(policy: ActorCriticPolicy | MaskableActorCriticPolicy, batch: ImitationBatch) -> th.Tensor:
    return policy.predict_values(batch.observations).flatten()


@state_values.register
def _(policy: RecurrentActorCriticPolicy, batch: ImitationBatch) -> th.Tensor:
    n_layers, _, hidden_size = policy.lstm_hidden_state_shape
    zeros = th.zeros(n_layers, batch.n_sequences, hidden_size, device=policy.device)
    observations = cast(th.Tensor, batch.observations)  # sb3-contrib's annotation forgets Dict observations
    values: th.Tensor = policy.predict_values(observations, (zeros, zeros), resets_within_sequences(batch))
    return values.flatten()


def has_action_values(policy: nn.Module) -> bool:
    """Tell whether the policy has a critic of actions beside its actor, as those of SAC and TD3 have."""
    return isinstance(getattr(unwrap(policy), "critic", None), nn.Module) and hasattr(unwrap(policy), "actor")


def action_values(policy: BasePolicy, observations: PyTorchObs, actions: th.Tensor) -> th.Tensor:
    """Return ``Q(s, a)``, the least of the critics' or the mean of TQC's quantiles, of shape ``(B,)``.

    :param policy: of SAC, TD3, DDPG, TQC or CrossQ
    :param observations: what the policy's ``forward`` takes
    :param actions: ``(B, action_dim)`` in the policy's scale, ``[-1, 1]``
    """
    values: th.Tensor | Sequence[th.Tensor] = cast(Any, unwrap(policy)).critic(observations, actions)
    if isinstance(values, th.Tensor):
        return values.flatten(start_dim=1).mean(dim=1)
    return th.cat(list(values), dim=1).amin(dim=1)


def critic_parameters(policy: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of an actor-critic policy that only estimate values: all that do not act."""
    acting = {id(parameter) for parameter in actor_parameters(policy)}
    return [p for p in unwrap(policy).parameters() if p.requires_grad and id(p) not in acting]
