"""Trajectories of different lengths, one after the other in flat tensors."""

from typing import NamedTuple

import torch as th


class Trajectories(NamedTuple):
    """Where each of ``N`` trajectories begins among ``n`` steps, and how much of its episode lies before.

    :param offsets: int64 ``(N + 1,)``: trajectory ``i`` has the steps ``offsets[i]:offsets[i + 1]``
    :param clock: int64 ``(N,)``: steps of the episode before the trajectory's first, zero where it begins the episode
    """

    offsets: th.Tensor
    clock: th.Tensor

    @property
    def lengths(self) -> th.Tensor:
        """Number of steps of each, ``(N,)``."""
        return self.offsets.diff()

    @property
    def ids(self) -> th.Tensor:
        """To which trajectory each step belongs, ``(n,)``."""
        return th.repeat_interleave(self.lengths)

    @property
    def positions(self) -> th.Tensor:
        """Number of steps of the trajectory before each step, ``(n,)``."""
        ids = self.ids
        return th.arange(len(ids), device=ids.device) - self.offsets[ids]

    @property
    def times(self) -> th.Tensor:
        """Number of steps of the *episode* before each step, ``(n,)``."""
        return self.positions + self.clock[self.ids]

    def sums(self, values: th.Tensor) -> th.Tensor:
        """Add ``values``, ``(n, ...)``, over each trajectory: ``(N, ...)``."""
        return values.new_zeros(len(self.clock), *values.shape[1:]).index_add_(0, self.ids, values)

    def padded(self, values: th.Tensor) -> th.Tensor:
        """Lay ``values``, ``(n,)``, out as ``(N, longest)``, with zeros after the ends."""
        rows = values.new_zeros(len(self.clock), int(self.lengths.max()))
        rows[self.ids, self.positions] = values
        return rows


def cut_rollout(episode_starts: th.Tensor, clock: th.Tensor) -> Trajectories:
    """Cut a rollout where its episodes begin, and where it begins itself.

    :param episode_starts: bool ``(n_steps, n_envs)``, true on an episode's first step
    :param clock: int64 ``(n_envs,)``: steps of each environment's episode before the rollout
    :return: the trajectories among the steps in SB3's flat order, environment after environment
    """
    n_steps, _ = episode_starts.shape
    begins = episode_starts.clone()
    begins[0] = True
    first = th.nonzero(begins.T.reshape(-1)).flatten()
    continued = ~episode_starts.T.reshape(-1)[first]
    offsets = th.cat((first, first.new_tensor([begins.numel()])))
    return Trajectories(offsets, th.where(continued, clock[first // n_steps], 0))


def clock_after(rollout: Trajectories, n_envs: int) -> th.Tensor:
    """Return the steps of each environment's episode up to the rollout's end, ``(n_envs,)``."""
    return rollout.times.reshape(n_envs, -1)[:, -1] + 1
