"""The action distribution of an actor-critic policy on a batch, from its actor branch alone."""

import functools
from typing import Any, cast

import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy

from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.batch import ImitationBatch


@functools.singledispatch
def action_distribution(policy: Any, batch: ImitationBatch) -> Distribution:
    """Return the distribution of the policy's actions given the observations of ``batch``, without the value function.

    Its entropy and its divergence from another policy's are SB3's ``entropy()`` and ``kl_divergence``.

    :param policy: an actor-critic policy, recurrent and maskable ones included, compiled or not
    :param batch: its actions are not read
    :raises TypeError: if the policy has no such distribution
    :raises ValueError: if the batch lacks the masks of a maskable policy, or is not ``n_sequences`` equal sequences
    """
    inner = unwrap(policy)
    if inner is not policy:
        return action_distribution(inner, batch)
    raise TypeError(
        f"{type(policy).__name__} has no action distribution that is known; expected an actor-critic policy, "
        "or register a function for your own with @action_distribution.register"
    )


@action_distribution.register
def _(policy: ActorCriticPolicy, batch: ImitationBatch) -> Distribution:
    return policy.get_distribution(batch.observations)


@action_distribution.register
def _(policy: MaskableActorCriticPolicy, batch: ImitationBatch) -> Distribution:
    distribution = policy.get_distribution(batch.observations)
    distribution.apply_masking(required_masks(policy, batch))
    return distribution


@action_distribution.register
def _(policy: RecurrentActorCriticPolicy, batch: ImitationBatch) -> Distribution:
    n_layers, _, hidden_size = policy.lstm_hidden_state_shape
    zeros = th.zeros(n_layers, batch.n_sequences, hidden_size, device=policy.device)
    observations = cast(th.Tensor, batch.observations)  # sb3-contrib's annotation forgets Dict observations
    distribution, _ = policy.get_distribution(observations, (zeros, zeros), resets_within_sequences(batch))
    return distribution


def required_masks(policy: MaskableActorCriticPolicy, batch: ImitationBatch) -> th.Tensor:
    """Return the action masks of a batch for a policy that cannot do without."""
    if batch.action_masks is None:
        raise ValueError(
            f"{type(policy).__name__} needs action masks and the batch has none; give demonstrations with "
            "infos['action_masks'], or clone into a policy without masks"
        )
    return batch.action_masks


def resets_within_sequences(batch: ImitationBatch) -> th.Tensor:
    """Return the episode starts at which a state that is not zero is reset, float32 ``(B,)``.

    A sequence begins with zeros anyway, and padding is not read: where nothing else remains, SB3 runs the LSTM over
    the whole sequences in one call instead of step by step.
    """
    n_samples = len(batch.actions)
    if n_samples % batch.n_sequences != 0:
        raise ValueError(
            f"expected {batch.n_sequences} sequences of equal length and was given {n_samples} samples; pad the "
            "sequences and mark the padding in 'valid'"
        )
    if batch.episode_starts is None:
        return th.zeros(n_samples, device=batch.actions.device)
    starts = batch.episode_starts.to(th.float32)
    if batch.valid is not None:
        starts = starts * batch.valid
    starts = starts.reshape(batch.n_sequences, -1).clone()
    starts[:, 0] = 0.0
    return starts.reshape(-1)
