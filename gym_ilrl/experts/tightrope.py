"""The expert of ``ilrl/Tightrope-v0``: look the observation up in the rule book."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.tightrope import TightropeEnv
from gym_ilrl.experts.standard import StandardExpert


class TightropeExpert(StandardExpert):
    """Gives the code of the (cell, lane) whose embedding is nearest to the observation.

    :param env: the environment, whose rule book the expert learns by heart
    :raises TypeError: if it is another environment
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        tightrope = env.unwrapped
        if not isinstance(tightrope, TightropeEnv):
            raise TypeError(f"TightropeExpert needs an ilrl/Tightrope-v0 and was given {tightrope!r}")
        embeddings = tightrope.dynamics.embeddings
        self._embeddings = embeddings.reshape(-1, embeddings.shape[-1]).astype(np.float64)
        self._codes = tightrope.dynamics.codes.ravel()

    def act(self, observations: NDArray[np.float32]) -> NDArray[Any]:
        """Return the codes for a batch of observations, of shape ``(n,)``."""
        # argmin_e |o - e|^2 = argmax_e o.e - |e|^2 / 2
        closeness = observations @ self._embeddings.T - 0.5 * np.square(self._embeddings).sum(axis=1)
        return self.numbered(self._codes[np.argmax(closeness, axis=1)])
