"""The arrays people have, brought into the one layout of demonstrations."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.data import checks
from gym_ilrl.data.construction import join_episodes
from gym_ilrl.data.episode import Arrays, Episode, check_lengths, map_arrays
from gym_ilrl.data.rearrange import concatenate, offsets_of


class Columns(NamedTuple):
    """What a user has of each step, in flat arrays or in lists with one array an episode."""

    observations: Any
    actions: Any
    rewards: Any | None
    terminations: Any | None
    truncations: Any | None
    infos: Mapping[str, Any] | None


def from_columns(
    columns: Columns, next_observations: Any | None, episode_lengths: Any | None, without_final_observations: bool
) -> dict[str, Any]:
    """Return the fields from any of the three layouts of :meth:`Demonstrations.from_arrays`."""
    if isinstance(columns.observations, list | tuple):
        if next_observations is not None or episode_lengths is not None:
            raise ValueError(
                "observations are a list with one array an episode, which needs neither next_observations nor "
                "episode_lengths; for flat data give arrays (numpy.asarray(observations))"
            )
        if not without_final_observations:
            return join_episodes(_split_lists(columns))
        episode_lengths = [len(actions) for actions in columns.actions]
        columns = _joined_lists(columns)
    elif next_observations is None and not without_final_observations:
        _refuse_stacked(columns)
    offsets = offsets_of(_lengths(columns, episode_lengths))
    if without_final_observations:
        if next_observations is not None:
            raise ValueError("next_observations hold the final observations; leave without_final_observations out")
        return _without_last_steps(columns, offsets)
    columns = Columns(*[None if value is None else _owned(value) for value in columns])
    observations = columns.observations
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


def _check_lists(columns: Columns) -> dict[str, Any]:
    n_episodes = len(columns.observations)
    infos = columns.infos or {}
    lists = {name: value for name, value in columns._asdict().items() if value is not None and name != "infos"}
    for name, value in {**lists, **{f"infos[{key!r}]": value for key, value in infos.items()}}.items():
        if not isinstance(value, list | tuple) or len(value) != n_episodes:
            raise ValueError(
                f"observations are a list of {n_episodes} episodes, so {name} must be one of the same length"
            )
    return lists


def _split_lists(columns: Columns) -> list[Episode]:
    lists, infos = _check_lists(columns), columns.infos or {}
    return [
        Episode(
            **{name: value[i] for name, value in lists.items()},
            infos={key: value[i] for key, value in infos.items()} or None,
        )
        for i in range(len(columns.observations))
    ]


def _refuse_stacked(columns: Columns) -> None:
    """Refuse ``(episodes, T + 1, ...)`` beside ``(episodes, T, ...)``: flat data never has as many rows of both."""
    given: list[tuple[int, ...]] = [() if isinstance(part, Mapping) else np.shape(part) for part in columns[:2]]
    rows, steps = given
    if len(rows) > 2 and len(steps) > 1 and rows[:2] == (steps[0], steps[1] + 1):
        raise ValueError(
            f"observations {rows} and actions {steps} are stacked by episode; give lists with one array an episode: "
            "list(observations), list(actions)"
        )


def _joined_lists(columns: Columns) -> Columns:
    """Return flat arrays of lists that have one array an episode, observations as long as actions."""
    for name, value in _check_lists(columns).items():
        for i, (part, actions) in enumerate(zip(value, columns.actions, strict=True)):
            check_lengths(f"{name}[{i}]", map_arrays(np.asarray, part), len(actions), f"{len(actions)} actions")
    infos = columns.infos
    flat = {
        name: None if value is None else concatenate([map_arrays(np.asarray, part) for part in value])
        for name, value in columns._asdict().items()
        if name != "infos"
    }
    return Columns(
        **flat, infos=None if infos is None else {key: np.concatenate(value) for key, value in infos.items()}
    )


def _without_last_steps(columns: Columns, offsets: NDArray[np.int64]) -> dict[str, Any]:
    """Return the fields without each episode's last step: its observation stays, as the final one."""
    for name in ("observations", "rewards", "infos"):
        value = getattr(columns, name)
        arrays = None if value is None else map_arrays(np.asarray, value)
        check_lengths(name, arrays, int(offsets[-1]), f"without_final_observations {offsets[-1]} actions")
    lengths = np.diff(offsets)
    if (lengths < 2).all():
        raise ValueError("no episode has a second observation, so without_final_observations leaves no step")
    rows = np.repeat(lengths > 1, lengths)
    steps = rows.copy()
    steps[offsets[1:][lengths > 0] - 1] = False
    pick = {"observations": rows, "infos": rows, "actions": steps, "rewards": steps}
    fields: dict[str, Any] = {"terminations": None, "truncations": None}
    for name, chosen in pick.items():
        value = getattr(columns, name)
        fields[name] = None if value is None else _picked(value, chosen)
    return {**fields, "offsets": offsets_of(lengths[lengths > 1] - 1)}


def _picked(arrays: Any, rows: NDArray[np.bool_]) -> Arrays:
    return map_arrays(lambda array: np.asarray(array)[rows], arrays)


def _owned(arrays: Any) -> Any:
    return map_arrays(_own, arrays)


def _own(values: Any) -> NDArray[Any]:
    """Return ``values`` as an array that the caller cannot change; what nobody can write to is not copied."""
    array: NDArray[Any] = np.asarray(values)
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            copy: NDArray[Any] = array.copy()
            return copy
        owner = owner.base
    return array


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
