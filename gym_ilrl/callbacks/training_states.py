"""The states that an algorithm trains on at present, as its policy sees them."""

from typing import Any, cast

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.kinds import is_recurrent

WINDOW = 32  # steps over which a recurrent policy is run, from a state of zeros


def rollout_states(model: OnPolicyAlgorithm) -> ImitationBatch:
    """Return all states of the rollout that has just ended, normalised as the algorithm saw them.

    Recurrent policies get windows of consecutive steps, which are valid until an episode ends.

    :param model: at the end of its rollout
    """
    buffer: Any = model.rollout_buffer
    n_steps, n_envs = buffer.rewards.shape
    if is_recurrent(model.policy):
        length = min(WINDOW, n_steps)
        first = np.arange(0, n_steps - length + 1, length)
        steps = np.tile(first, n_envs)[:, None] + np.arange(length)
        envs = np.repeat(np.arange(n_envs), len(first))[:, None]
        index: Any = (steps.ravel(), np.broadcast_to(envs, steps.shape).ravel())
        ended = buffer.episode_starts[index].reshape(steps.shape)[:, 1:].cumsum(axis=1) > 0
        valid = np.concatenate([np.ones((len(steps), 1), dtype=bool), ~ended], axis=1)
        n_sequences, valid_steps = len(steps), th.as_tensor(valid.ravel(), device=model.device)
    else:
        index, n_sequences, valid_steps = tuple(np.indices((n_steps, n_envs)).reshape(2, -1)), 1, None
    masks = getattr(buffer, "action_masks", None)
    return ImitationBatch(
        observations=_tensors(buffer.observations, index, model),
        actions=_tensors(buffer.actions, index, model),
        action_masks=None if masks is None else _tensors(masks, index, model).bool(),
        valid=valid_steps,
        n_sequences=n_sequences,
    )


def replayed_states(model: OffPolicyAlgorithm, n: int, generator: np.random.Generator) -> ImitationBatch:
    """Draw states of the replay buffer, normalised as the buffer does it.

    :param model: with something in its replay buffer
    :param n: how many
    :param generator: that draws them
    """
    buffer: Any = model.replay_buffer
    index = (generator.integers(buffer.size(), size=n), generator.integers(buffer.n_envs, size=n))
    stored = buffer.observations
    drawn = {key: value[index] for key, value in stored.items()} if isinstance(stored, dict) else stored[index]
    return ImitationBatch(
        observations=_tensors(buffer._normalize_obs(drawn, model.get_vec_normalize_env()), slice(None), model),
        actions=_tensors(buffer.actions, index, model),
    )


def take(states: ImitationBatch, rows: th.Tensor, n_sequences: int) -> ImitationBatch:
    """Return some of the states.

    :param states: what to choose from
    :param rows: their indices
    :param n_sequences: that these rows are
    """
    observations: Any = states.observations
    is_dict = isinstance(observations, dict)

    def chosen(values: th.Tensor) -> th.Tensor:
        return values.index_select(0, rows)

    return states._replace(
        observations=({key: chosen(value) for key, value in observations.items()} if is_dict else chosen(observations)),
        actions=chosen(states.actions),
        action_masks=None if states.action_masks is None else chosen(states.action_masks),
        valid=None if states.valid is None else chosen(states.valid),
        n_sequences=n_sequences,
    )


def _tensors(stored: Any, index: Any, model: BaseAlgorithm) -> Any:
    if isinstance(stored, dict):
        return {key: _tensors(value, index, model) for key, value in stored.items()}
    return th.as_tensor(cast(np.ndarray, stored)[index], device=model.device)
