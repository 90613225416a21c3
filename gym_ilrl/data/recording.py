"""Steps of many environments written as they come, and sorted into episodes once, at the end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST_CAPACITY = 512


class Column:
    """One value an environment and step, in one array that doubles when it is full.

    :param name: for messages
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._values: NDArray[Any] | None = None
        self._n_steps = 0

    def append(self, values: NDArray[Any]) -> None:
        """Write one step: one row an environment.

        :raises ValueError: if the shape is another than before
        """
        if self._values is None:
            self._values = np.empty((_FIRST_CAPACITY, *values.shape), dtype=values.dtype)
        elif values.shape != self._values.shape[1:]:  # numpy would broadcast what it can
            raise _other_shape(self._name, self._values.shape[2:], values.shape[1:])
        elif self._n_steps == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._values = _able_to_hold(self._values, values.dtype)
        self._values[self._n_steps] = values
        self._n_steps += 1

    def at(self, steps: NDArray[np.int64], envs: NDArray[np.int64]) -> NDArray[Any]:
        """Return a copy of the values of the environments ``envs`` at ``steps``."""
        assert self._values is not None  # for the type checker: nothing is asked before the first step
        result: NDArray[Any] = self._values[steps, envs]
        return result


class Recording:
    """What happened, step by step, and where the episodes that count have ended.

    :param n_envs: number of environments
    """

    def __init__(self, n_envs: int) -> None:
        self.n_steps = 0
        self._columns: dict[str, Column] = {}
        self._begins = np.zeros(n_envs, dtype=np.int64)
        self._episodes: list[tuple[int, int, int, int]] = []  # (how many before it in its environment, env, first, end)
        self._counts = np.zeros(n_envs, dtype=np.int64)
        self._finals: list[dict[str, Any]] = []

    def step(self, values: dict[str, NDArray[Any]]) -> None:
        """Write one step of all environments: observations and infos before it, the action, the reward."""
        for name, value in values.items():
            if name not in self._columns:
                self._columns[name] = Column(name)
            self._columns[name].append(value)
        self.n_steps += 1

    def end_episode(self, env: int, final: dict[str, Any] | None) -> None:
        """Note that the last step ended an episode of environment ``env``.

        :param final: the last observation and infos and how it ended, or ``None`` if this episode does not count
        """
        if final is not None:
            self._episodes.append((int(self._counts[env]), env, int(self._begins[env]), self.n_steps))
            self._finals.append(final)
        self._counts[env] += 1
        self._begins[env] = self.n_steps

    def sorted_episodes(self) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], list[dict[str, Any]]]:
        """Return offsets, each column's values in the order of the episodes, and the episodes' ends.

        The first episodes of all environments come first, then the second ones: any prefix is as unbiased as the whole.
        """
        order = sorted(range(len(self._episodes)), key=self._episodes.__getitem__)
        _, envs, first, end = np.array([self._episodes[i] for i in order], dtype=np.int64).T
        lengths = end - first
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        steps = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], lengths)
        which = np.repeat(envs, lengths)
        columns = {name: column.at(steps, which) for name, column in self._columns.items()}
        return offsets, columns, [self._finals[i] for i in order]


def with_final_rows(name: str, values: NDArray[Any], finals: list[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Insert one row after each episode's last.

    :param name: for messages
    :param values: one row a step
    :param finals: one row an episode
    :raises ValueError: if the rows at the ends have another shape
    """
    for final in map(np.asarray, finals):
        if final.shape != values.shape[1:]:
            raise _other_shape(name, values.shape[1:], final.shape)
        values = _able_to_hold(values, final.dtype)
    episodes = np.arange(len(finals))
    result = np.empty((len(values) + len(finals), *values.shape[1:]), dtype=values.dtype)
    result[np.arange(len(values)) + np.repeat(episodes, np.diff(offsets))] = values
    result[offsets[1:] + episodes] = np.stack(finals)
    return result


def _able_to_hold(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return ``values`` in a wider dtype if theirs would cut ``dtype`` off: an info may be 0 first and then 0.5."""
    if values.dtype == dtype or np.can_cast(dtype, values.dtype, "same_kind"):
        return values
    return values.astype(np.result_type(values, dtype))


def _other_shape(name: str, before: tuple[int, ...], now: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"{name} had shape {before} and now has {now}; what is recorded must keep its shape, so repair the environment "
        "or leave it out"
    )
