"""The expert of ``ilrl/Tightrope-v0``: look the observation up in the rule book."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_ilrl.envs.tightrope import TightropeEnv
from gym_ilrl.experts.base import Expert


class TightropeExpert(Expert):
    """Gives the code of the (cell, lane) whose embedding is nearest to the observation.

    :param embeddings: the pages of the rule book, of shape ``(length + 1, n_lanes, size)``
    :param codes: their correct actions, of shape ``(length + 1, n_lanes)``
    :param observation_space: of one environment
    :param action_space: of one environment
    """

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        codes: NDArray[np.int64],
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
    ) -> None:
        super().__init__(observation_space, action_space)
        self._embeddings = embeddings.reshape(-1, embeddings.shape[-1]).astype(np.float64)
        self._codes = codes.ravel()

    def act(self, observations: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the codes for a batch of observations, of shape ``(n,)``."""
        # argmin_e |o - e|^2 = argmax_e o.e - |e|^2 / 2
        closeness = observations @ self._embeddings.T - 0.5 * np.square(self._embeddings).sum(axis=1)
        codes: NDArray[np.int64] = self._codes[np.argmax(closeness, axis=1)]
        return codes


def tightrope_expert(env: gym.Env[Any, Any]) -> TightropeExpert:
    """Return the expert of a ``ilrl/Tightrope-v0``, wrapped or not.

    :param env: the environment, whose rule book the expert learns by heart
    :raises TypeError: if it is another environment
    """
    tightrope = env.unwrapped
    if not isinstance(tightrope, TightropeEnv):
        raise TypeError(f"expected an ilrl/Tightrope-v0 and was given {tightrope!r}")
    rules = tightrope.dynamics
    return TightropeExpert(rules.embeddings, rules.codes, rules.observation_space, rules.action_space)
