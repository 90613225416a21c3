"""Record demonstrations from whatever drives an environment: a person, a script, a model."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import logger
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs

from gym_ilrl.data.checks import check_space
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.episode import Episode, stack_rows


class RecordDemonstrations(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Keep every completed episode, and write them all to a file when the environment is closed.

    Episodes that a ``reset`` or ``close`` interrupts are left out: how they would have ended is unknown. An episode
    that demonstrations cannot hold (NaN, an action outside its space) is refused in the step that completes it; those
    before are kept.

    Example:
        >>> import gymnasium as gym
        >>> from gym_ilrl.wrappers import RecordDemonstrations
        >>> env = RecordDemonstrations(gym.make("CartPole-v1"))
        >>> _, _ = env.reset(seed=0)
        >>> while not any(env.step(env.action_space.sample())[2:4]):
        ...     pass
        >>> len(env.demonstrations())
        1

    :param env: with spaces that :class:`~gym_ilrl.Demonstrations` can hold; wrap it last, to record what is acted on
    :param path: where to write on ``close``, as in :meth:`~gym_ilrl.Demonstrations.save`; nothing may be there yet
    :raises ValueError: if the spaces are not supported or ``path`` is taken
    """

    def __init__(self, env: gym.Env[ObsType, ActType], path: str | Path | None = None) -> None:
        RecordConstructorArgs.__init__(self, path=None if path is None else str(path))
        gym.Wrapper.__init__(self, env)
        check_space(env.observation_space, "observation")
        check_space(env.action_space, "action")
        self._path = None if path is None else Path(path)
        if self._path is not None and self._path.exists():
            raise ValueError(f"{path} exists already; choose another path, so that no recording is overwritten")
        self._episodes: list[Episode] = []
        self._observations: list[Any] = []
        self._steps: list[tuple[Any, float, bool, bool]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment and begin an episode."""
        self._observations, self._steps = [], []
        observation, info = self.env.reset(seed=seed, options=options)
        self._observations = [deepcopy(observation)]
        return observation, info

    def step(self, action: ActType) -> tuple[ObsType, Any, bool, bool, dict[str, Any]]:
        """Step the environment, and keep the episode if this completes it."""
        taken = deepcopy(action)
        observations, self._observations = self._observations, []  # if the step fails, the episode has a hole
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._observations = observations
        if self._observations:  # else: stepped on after the end
            self._observations.append(deepcopy(observation))
            self._steps.append((taken, float(reward), bool(terminated), bool(truncated)))
            if terminated or truncated:
                self._complete()
        return observation, reward, terminated, truncated, info

    def demonstrations(self) -> Demonstrations:
        """Return the episodes completed so far.

        :raises ValueError: if there are none
        """
        if not self._episodes:
            raise ValueError("no episode has been completed yet, so there are no demonstrations")
        return self._container(self._episodes)

    def close(self) -> None:
        """Write the demonstrations, if a path was given, and close the environment.

        :raises ValueError: if by now there is something at the path; what is recorded stays in :meth:`demonstrations`
        """
        try:
            self._write()
        finally:
            self.env.close()

    def _write(self) -> None:
        if self._path is None:
            return
        if not self._episodes:
            logger.warn(f"no episode was completed, so {self._path} is not written")
        elif self._path.exists():
            raise ValueError(f"{self._path} was written by another meanwhile; save demonstrations() to another path")
        else:
            self.demonstrations().save(self._path)
        self._path = None

    def _complete(self) -> None:
        observations, steps = self._observations, self._steps
        self._observations, self._steps = [], []
        actions, rewards, terminations, truncations = map(np.stack, zip(*steps, strict=True))
        episode = Episode(stack_rows(observations), actions, rewards, terminations, truncations)
        self._episodes.append(self._container([episode])[0])

    def _container(self, episodes: list[Episode]) -> Demonstrations:
        return Demonstrations.from_episodes(episodes, self.env)
