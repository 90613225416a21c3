"""The arrays people have, brought into the one layout of demonstrations."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.data import checks
from gym_ilrl.data.construction import join_episodes
from gym_ilrl.data.episode import Arrays, Episode, map_arrays
from gym_ilrl.data.rearrange import offsets_of


class Columns(NamedTuple):
    """What a user has of each step, in flat arrays or in lists with one array an episode."""

    observations: Any
    actions: Any
    rewards: Any | None
    terminations: Any | None
    truncations: Any | None
    infos: Mapping[str, Any] | None


def from_columns(columns: Columns, next_observations: Any | None, episode_lengths: Any | None) -> dict[str, Any]:
    """Return the fields from any of the three layouts of :meth:`Demonstrations.from_arrays`."""
    if isinstance(columns.observations, list | tuple):
        if next_observations is not None or episode_lengths is not None:
            raise ValueError(
                "observations are a list with one array an episode, which needs neither next_observations nor "
                "episode_lengths; for flat data give arrays (numpy.asarray(observations))"
            )
        return join_episodes(_split_lists(columns))
    offsets = offsets_of(_lengths(columns, episode_lengths))
    observations = map_arrays(np.asarray, columns.observations)
    if next_observations is not None:
        if columns.infos is not None:
            raise ValueError("infos need a row for each episode's last observation; give observations in that layout")
        observations = _with_last_observations(observations, next_observations, offsets)
    truncations = columns.truncations
    if truncations is not None:
        truncations = checks.as_flags(truncations, offsets[-1], "truncations").copy()
        terminated = columns.terminations is not None and np.asarray(columns.terminations)[-1]
        truncations[-1] |= not terminated  # the recording stopped in the last episode
    fields = {**columns._asdict(), "observations": observations, "truncations": truncations}
    return {**fields, "offsets": offsets}


def _split_lists(columns: Columns) -> list[Episode]:
    n_episodes = len(columns.observations)
    infos = columns.infos or {}
    lists = {name: value for name, value in columns._asdict().items() if value is not None and name != "infos"}
    for name, value in {**lists, **{f"infos[{key!r}]": value for key, value in infos.items()}}.items():
        if not isinstance(value, list | tuple) or len(value) != n_episodes:
            raise ValueError(
                f"observations are a list of {n_episodes} episodes, so {name} must be one of the same length"
            )
    return [
        Episode(
            **{name: value[i] for name, value in lists.items()},
            infos={key: value[i] for key, value in infos.items()} or None,
        )
        for i in range(n_episodes)
    ]


def _lengths(columns: Columns, episode_lengths: Any | None) -> NDArray[np.int64]:
    """Return the steps of each episode of flat data."""
    n_steps = len(columns.actions)
    if n_steps == 0:
        raise ValueError("there are zero episodes: actions is empty")
    if episode_lengths is not None:
        lengths = np.asarray(episode_lengths)
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or lengths.sum() != n_steps or (lengths < 0).any():
            raise ValueError(
                f"episode_lengths must be integers that add up to the {n_steps} actions; they are {lengths}"
            )
        return lengths.astype(np.int64)
    if columns.terminations is None and columns.truncations is None:
        raise ValueError(
            f"where do the episodes end in these {n_steps} steps? give episode_lengths, or terminations and truncations"
        )
    ended = np.zeros(n_steps, dtype=bool)
    for name in ("terminations", "truncations"):
        if getattr(columns, name) is not None:
            ended |= checks.as_flags(getattr(columns, name), n_steps, name)
    ended[-1] = True
    return np.diff(np.flatnonzero(ended), prepend=-1)


def _with_last_observations(observations: Any, next_observations: Any, offsets: NDArray[np.int64]) -> Arrays:
    """Append to each episode's observations the last of its ``next_observations``."""
    if isinstance(observations, dict):
        if not isinstance(next_observations, Mapping) or next_observations.keys() != observations.keys():
            raise ValueError("next_observations must be a dict with the keys of observations")
        return {key: _with_last(value, next_observations[key], offsets) for key, value in observations.items()}
    return _with_last(observations, next_observations, offsets)


def _with_last(current: NDArray[Any], following: Any, offsets: NDArray[np.int64]) -> NDArray[Any]:
    following = np.asarray(following)
    if current.shape != following.shape or len(current) != offsets[-1]:
        raise ValueError(
            f"observations {current.shape} and next_observations {following.shape} must both have "
            f"{offsets[-1]} rows, one an action"
        )
    inside = np.setdiff1d(np.arange(offsets[-1] - 1), offsets[1:] - 1)
    differs = (current[inside + 1] != following[inside]).reshape(len(inside), -1).any(axis=1)
    if differs.any():
        raise ValueError(
            f"next_observations[{inside[differs][0]}] is not observations[{inside[differs][0] + 1}] but no episode "
            "ends there; give the missing truncations or episode_lengths"
        )
    return np.insert(current, offsets[1:], following[offsets[1:] - 1], axis=0)
