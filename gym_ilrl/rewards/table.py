"""A learned reward of every state or action, as a function of batches of experience."""

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from gym_ilrl.arguments import require


class RewardTable(nn.Module):
    """The reward of every state, or of every action in every state, kept with the model it was learned by.

    The reward of a state is earned by acting in it; where the next state ends the episode, that state's reward is
    earned as well, discounted (see :class:`~gym_ilrl.irl.features.EarnedRewards`).

    :param observation_space: of the states
    :param action_space: of the actions
    :param on: ``"states"``: the table has the shape ``(n_states,)``; ``"actions"``: ``(n_states, n_actions)``
    :param gamma: discount factor, in ``[0, 1]``
    """

    table: th.Tensor

    def __init__(
        self, observation_space: spaces.Discrete, action_space: spaces.Discrete, on: str, gamma: float
    ) -> None:
        super().__init__()
        n_states, n_actions = int(observation_space.n), int(action_space.n)
        shape = (n_states,) if on == "states" else (n_states, n_actions)
        self.register_buffer("table", th.zeros(shape, dtype=th.float64))
        self.gamma = float(gamma)
        self._starts = int(observation_space.start), int(action_space.start)

    def set(self, table: NDArray[np.float64]) -> None:
        """Replace the rewards.

        :param table: of the shape of :attr:`table`
        """
        self.table.copy_(th.as_tensor(table))

    def forward(
        self, observations: Any, actions: Any = None, next_observations: Any = None, terminated: Any = None
    ) -> NDArray[np.float64]:
        """Return rewards.

        :param observations: of any shape
        :param actions: of the same shape; needed for rewards on actions
        :param next_observations: of the same shape; needed where ``terminated`` is given, for rewards on states
        :param terminated: whether the episodes ended there, of the same shape; None: no arrivals are added. Without it
            rewards on states are those of ``observations``
        :raises ValueError: if an observation or an action is none, or actions are missing
        :return: of the same shape
        """
        table = self.table.cpu().numpy()
        states = self._indices(observations, 0, "observations")
        if table.ndim == 2:
            if actions is None:
                raise ValueError("this reward is one of actions: call reward(observations, actions)")
            return np.asarray(table[states, self._indices(actions, 1, "actions")])
        rewards = np.asarray(table[states])
        if terminated is None or not np.any(terminated):
            return rewards
        if next_observations is None:
            raise ValueError("for what ends the episode, reward() needs the observations it ends with")
        following = self._indices(next_observations, 0, "next_observations")
        return np.asarray(rewards + self.gamma * np.asarray(terminated, dtype=np.bool_) * table[following])

    def _indices(self, given: Any, axis: int, name: str) -> NDArray[np.int64]:
        values, length = np.asarray(given), self.table.shape[axis]
        whole = np.issubdtype(values.dtype, np.integer) or bool(np.all(values == np.floor(values)))
        indices = values.astype(np.int64) - self._starts[axis]
        inside = whole and bool(((indices >= 0) & (indices < length)).all())
        start = self._starts[axis]
        require(inside, name, given, f"whole numbers from {start} to {start + length - 1}")
        return indices
