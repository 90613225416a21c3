"""Tuples of small integers as one MultiDiscrete observation."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray


class TupleToMultiDiscrete(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Turns observations in a Tuple of Discrete spaces into MultiDiscrete ones, which Stable-Baselines3 can learn from.

    Each number is counted from the start of its Discrete space. ``Blackjack-v1`` is the standard example.

    :param env: its observation space must be a Tuple of Discrete spaces
    :raises ValueError: if it is another space
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        parts = env.observation_space.spaces if isinstance(env.observation_space, spaces.Tuple) else ()
        discrete = [part for part in parts if isinstance(part, spaces.Discrete)]
        if not discrete or len(discrete) < len(parts):
            raise ValueError(
                "TupleToMultiDiscrete takes an environment that observes a Tuple of Discrete spaces, and this one "
                f"observes {env.observation_space}"
            )
        self.observation_space = spaces.MultiDiscrete([part.n for part in discrete])
        self._start = np.array([part.start for part in discrete], dtype=np.int64)

    def observation(self, observation: Any) -> NDArray[np.int64]:
        """Return a tuple of integers as an array of shape ``(n_parts,)``."""
        return np.asarray(observation, dtype=np.int64) - self._start
