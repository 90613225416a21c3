"""A learned reward of every state or action, as a function of batches of experience."""

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from torch import nn

from gym_ilrl.arguments import require
from gym_ilrl.irl.features import FeatureFunction


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
        self._sizes = n_states, n_actions

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
        :param actions: as many; needed for rewards on actions
        :param next_observations: as many; needed where an episode terminated, for rewards on states
        :param terminated: whether the episodes ended there, as many; None: no arrivals are added. Without it rewards on
            states are those of ``observations``
        :raises ValueError: if an observation or an action is none, if their numbers differ, or something is missing
        :return: of the shape of ``observations``
        """
        table = self.table.cpu().numpy()
        states = self.states(observations)
        if table.ndim == 2:
            if actions is None:
                raise ValueError("this reward is one of actions: call reward(observations, actions)")
            return np.asarray(table[states, self.actions(actions, states.shape)])
        rewards = np.asarray(table[states])
        if terminated is None or not np.any(terminated):
            return rewards
        if next_observations is None:
            raise ValueError("for what ends the episode, reward() needs the observations it ends with")
        following = self.states(next_observations, "next_observations", states.shape)
        ended = _shaped(np.asarray(terminated, dtype=np.bool_), "terminated", states.shape)
        return np.asarray(rewards + self.gamma * ended * table[following])

    def of_transitions(
        self,
        features: FeatureFunction,
        weights: NDArray[np.float64],
        observations: Any,
        actions: Any = None,
        next_observations: Any = None,
    ) -> NDArray[np.float64]:
        """Return rewards that are linear in features of transitions, which no table has.

        :param features: ``f(states, actions, next_states)`` of index arrays, returns ``(n, d)``
        :param weights: of the features, of shape ``(d,)``
        :param observations: of any shape
        :param actions: as many
        :param next_observations: as many
        :raises ValueError: as when the table is asked
        :return: of the shape of ``observations``
        """
        if actions is None or next_observations is None:
            raise ValueError("this reward is one of transitions: call reward(obs, actions, next_obs)")
        states = self.states(observations)
        following = self.states(next_observations, "next_observations", states.shape)
        rows = (states, self.actions(actions, states.shape), following)
        met = np.asarray(features(*(row.reshape(-1) for row in rows)), dtype=np.float64)
        rewards: NDArray[np.float64] = (met @ weights).reshape(states.shape)
        return rewards

    def states(self, given: Any, name: str = "observations", shape: tuple[int, ...] | None = None) -> NDArray[np.int64]:
        """Return the numbers of states, from 0.

        :param given: observations
        :param name: of the argument
        :param shape: that they shall have; None: their own
        :raises ValueError: if one is no observation, or there are more or fewer of them
        """
        return _indices(given, name, self._starts[0], self._sizes[0], shape)

    def actions(self, given: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return the numbers of actions, from 0.

        :param given: actions of the environment
        :param shape: that they shall have
        :raises ValueError: if one is no action, or there are more or fewer of them
        """
        return _indices(given, "actions", self._starts[1], self._sizes[1], shape)


def _indices(given: Any, name: str, start: int, size: int, shape: tuple[int, ...] | None) -> NDArray[np.int64]:
    values = np.asarray(given)
    expected = f"whole numbers from {start} to {start + size - 1}"
    is_real = np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)
    require(is_real and bool(np.all(values == np.floor(values))), name, given, expected)
    with np.errstate(invalid="ignore"):
        indices = values.astype(np.int64) - start
    require(bool(((values >= start) & (indices < size)).all()), name, given, expected)
    return indices if shape is None else _shaped(indices, name, shape)


def _shaped(values: NDArray[Any], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return values in the shape of the observations: ``(n,)`` and ``(n, 1)`` would else give ``n`` times ``n``."""
    fits = values.size == int(np.prod(shape))
    require(fits, f"the shape of {name}", values.shape, f"{shape}, as that of the observations")
    return values.reshape(shape)
