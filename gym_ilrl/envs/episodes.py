"""The running episodes of a vectorised environment: who draws from which generator, and when time is up."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from numpy.typing import NDArray

from gym_ilrl.envs.dynamics import Dynamics


class Episodes:
    """Adds to :class:`~gym_ilrl.envs.dynamics.Dynamics` one random generator a row and the time limit.

    Equals what ``gymnasium.Env.reset(seed=...)`` and ``gymnasium.wrappers.TimeLimit`` do for a single environment.

    :param dynamics: the rules
    :param max_episode_steps: an episode is truncated after this many steps; ``None`` or -1: never
    """

    def __init__(self, dynamics: Dynamics, max_episode_steps: int | None = None) -> None:
        if max_episode_steps is not None and max_episode_steps != -1 and max_episode_steps < 1:
            raise ValueError(
                f"max_episode_steps must be at least 1, or None for no limit, and was given {max_episode_steps}"
            )
        unlimited = max_episode_steps is None or max_episode_steps == -1
        self.dynamics = dynamics
        self.max_episode_steps = None if unlimited else max_episode_steps
        self.elapsed_steps = np.zeros(dynamics.num_envs, dtype=np.int64)
        self._generators: list[np.random.Generator | None] = [None] * dynamics.num_envs
        self._all_started = False

    def generator(self, row: int, seed: int | None = None) -> np.random.Generator:
        """Return the generator of one row: a new one if ``seed`` is given or if it has none yet."""
        generator = self._generators[row]
        if generator is None or seed is not None:
            generator, _ = seeding.np_random(seed)
            self._generators[row] = generator
        return generator

    def reset(
        self, rows: Sequence[int], seeds: Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> None:
        """Start a new episode in each of ``rows``, row ``rows[j]`` seeded with ``seeds[j]`` unless that is ``None``."""
        if len(rows) == 0:
            return
        row_seeds = [None] * len(rows) if seeds is None else seeds
        generators = [self.generator(row, seed) for row, seed in zip(rows, row_seeds, strict=True)]
        self.dynamics.reset(rows, generators, options)
        self.elapsed_steps[np.asarray(rows)] = 0
        self._all_started = self._all_started or None not in self._generators

    def step(self, actions: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Advance every row by one step.

        :param actions: of shape ``(num_envs, *action_space.shape)``
        :return: rewards, terminations and truncations, each of shape ``(num_envs,)``
        :raises ValueError: if there is not one action for each environment, or one is none of the action space
        :raises ResetNeeded: before the first reset
        """
        if not self._all_started:
            raise ResetNeeded("step() was called before the first reset() of every environment; call reset() first")
        rewards, terminations = self.dynamics.step(checked_actions(actions, self.dynamics))
        self.elapsed_steps += 1
        if self.max_episode_steps is None:
            return rewards, terminations, np.zeros_like(terminations)
        return rewards, terminations, self.elapsed_steps >= self.max_episode_steps


def checked_actions(actions: Any, dynamics: Dynamics) -> NDArray[Any]:
    """Return the actions of all rows as an array, having refused those that numpy would take for others.

    Numbers outside a Box are left to the rules, as in Gymnasium's own environments.

    :param actions: of shape ``(num_envs, *action_space.shape)``
    :raises ValueError: on another shape or kind, and on a number outside a Discrete space
    """
    array, space = np.asarray(actions), dynamics.action_space
    kinds = "iu" if isinstance(space, spaces.Discrete) else "fiu"
    if array.dtype.kind not in kinds or array.shape != (dynamics.num_envs, *(space.shape or ())):
        raise ValueError(
            f"expected one action of {space} for each of the {dynamics.num_envs} environments, stacked along the "
            f"first axis, and was given {array.dtype} of shape {array.shape}"
        )
    # read as unsigned, negative numbers are large too: one pass over the actions instead of two
    if isinstance(space, spaces.Discrete) and array.astype(np.uint64).max() >= space.n:
        raise ValueError(f"expected actions of {space}, and among those given are others: {array.tolist()}")
    return array


def observation_of_row(observations: Any, row: int) -> Any:
    """Return the observation of one row out of the stacked ones, as a fresh array (a number for Discrete spaces)."""
    if isinstance(observations, dict):
        return {key: value[row].copy() for key, value in observations.items()}
    return observations[row].copy()


def info_of_row(infos: dict[str, NDArray[Any]], row: int) -> dict[str, Any]:
    """Return the info of one row: Python numbers for scalars, fresh arrays for the rest."""
    return {key: value[row].item() if value.ndim == 1 else value[row].copy() for key, value in infos.items()}
