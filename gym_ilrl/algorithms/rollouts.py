"""A rollout in order, cut into trajectories."""

from typing import NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from gym_ilrl.algorithms.trajectories import Trajectories, cut_rollout


class Rollout(NamedTuple):
    """A rollout's ``n`` steps, environment after environment.

    :param trajectories: which step belongs to which
    :param observations: ``(n, ...)``, or a dict of such
    :param actions: what ``evaluate_actions`` takes
    :param returns: discounted, to go, bootstrapped by what the critic said, ``(n,)``
    :param values: what the critic said, ``(n,)``
    """

    trajectories: Trajectories
    observations: th.Tensor | dict[str, th.Tensor]
    actions: th.Tensor
    returns: th.Tensor
    values: th.Tensor

    def at_start(self, values: th.Tensor) -> th.Tensor:
        """Return for each step what ``values`` are at the first step of its trajectory, ``(n,)``."""
        return values[self.trajectories.offsets[:-1]][self.trajectories.ids]


def ordered_rollout(buffer: RolloutBuffer, clock: th.Tensor) -> Rollout:
    """Read a full buffer in the order of time.

    :param buffer: its arrays are flattened by this, as by every ``get()``
    :param clock: int64 ``(n_envs,)``: steps of each environment's episode before the rollout
    """
    starts = th.as_tensor(buffer.episode_starts.reshape(buffer.buffer_size, buffer.n_envs), device=clock.device).bool()
    next(iter(buffer.get()))  # flattens; what it yields is in random order
    data = buffer._get_samples(np.arange(buffer.buffer_size * buffer.n_envs))
    actions = data.actions.long().flatten() if isinstance(buffer.action_space, spaces.Discrete) else data.actions
    return Rollout(cut_rollout(starts, clock), data.observations, actions, data.returns, data.old_values)
