"""Transitions of a replay buffer as the tabular updates read them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize


class Transitions(NamedTuple):
    """``n`` transitions, states and actions counted from 0; arrays of shape ``(n,)``."""

    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    rewards: NDArray[np.float64]
    next_states: NDArray[np.int64]
    terminated: NDArray[np.bool_]  # time limits do not count: what follows them is worth something


class TransitionReader:
    """Reads transitions from a replay buffer.

    :param buffer: with Discrete observations and actions
    :param vec_normalize: scales the rewards, or None
    """

    def __init__(self, buffer: ReplayBuffer, vec_normalize: VecNormalize | None) -> None:
        assert isinstance(buffer.observation_space, spaces.Discrete)
        assert isinstance(buffer.action_space, spaces.Discrete)
        self._buffer, self._vec_normalize = buffer, vec_normalize
        self._first_state, self._first_action = int(buffer.observation_space.start), int(buffer.action_space.start)

    def newest(self, n_steps: int) -> Iterator[Transitions]:
        """Yield those of each of the last ``n_steps`` steps of the environments, the oldest first.

        :param n_steps: more than the buffer holds: all of it
        """
        buffer = self._buffer
        for step in range(min(n_steps, buffer.size()), 0, -1):
            row = buffer.pos - step  # negative where the buffer has begun anew
            rewards = buffer.rewards[row]
            yield self._transitions(
                buffer.observations[row],
                buffer.actions[row],
                rewards if self._vec_normalize is None else self._vec_normalize.normalize_reward(rewards),
                buffer.next_observations[row],
                buffer.dones[row] * (1 - buffer.timeouts[row]),
            )

    def sampled(self, batch_size: int) -> Transitions:
        """Return what the buffer draws."""
        batch = self._buffer.sample(batch_size, env=self._vec_normalize)
        return self._transitions(
            *(part.cpu().numpy() for part in (batch.observations, batch.actions, batch.rewards)),
            *(part.cpu().numpy() for part in (batch.next_observations, batch.dones)),
        )

    def _transitions(self, states: Any, actions: Any, rewards: Any, next_states: Any, dones: Any) -> Transitions:
        return Transitions(
            states.reshape(-1).astype(np.int64) - self._first_state,
            actions.reshape(-1).astype(np.int64) - self._first_action,
            rewards.reshape(-1).astype(np.float64),
            next_states.reshape(-1).astype(np.int64) - self._first_state,
            dones.reshape(-1) > 0,
        )
