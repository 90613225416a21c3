"""Which episodes count, so that short ones are not favoured."""

import numpy as np
from numpy.typing import NDArray


class Quota:
    """Tells for each environment whether the episode it is in counts.

    :param n_episodes: how many episodes in all, shared out evenly; this or ``n_timesteps``
    :param n_timesteps: episodes count that start before this many steps were made
    :raises ValueError: unless exactly one of them is given, and positive
    """

    def __init__(self, n_episodes: int | None, n_timesteps: int | None) -> None:
        if (n_episodes is None) == (n_timesteps is None):
            raise ValueError(
                f"give either n_episodes or n_timesteps, not n_episodes={n_episodes}, n_timesteps={n_timesteps}"
            )
        name, number = ("n_timesteps", n_timesteps) if n_episodes is None else ("n_episodes", n_episodes)
        if not isinstance(number, int | np.integer) or number < 1:
            raise ValueError(f"{name}={number!r} collects nothing; give a whole number of at least 1")
        self.n_episodes, self.n_timesteps = n_episodes, n_timesteps

    def useful_envs(self, n_envs: int) -> int:
        """Return how many of ``n_envs`` environments would have an episode to contribute.

        :raises ValueError: if ``n_envs`` is no positive whole number
        """
        if not isinstance(n_envs, int | np.integer) or n_envs < 1:
            raise ValueError(f"n_envs={n_envs!r} collects nothing; give a whole number of at least 1")
        return n_envs if self.n_episodes is None else min(n_envs, self.n_episodes)

    def begin(self, n_envs: int) -> None:
        """Start counting, every environment at the beginning of an episode."""
        self._steps = 0
        share, rest = divmod(self.n_episodes or 0, n_envs)
        self._episodes_left = share + (np.arange(n_envs) < rest)
        self.counts: NDArray[np.bool_] = np.ones(n_envs, bool) if self.n_episodes is None else self._episodes_left > 0

    def step(self, dones: NDArray[np.bool_]) -> None:
        """Take note of one step of all environments."""
        self._steps += len(dones)
        if not dones.any():
            return
        if self.n_timesteps is None:
            self._episodes_left -= dones
            self.counts = self._episodes_left > 0
        elif self._steps >= self.n_timesteps:
            self.counts = self.counts & ~dones
