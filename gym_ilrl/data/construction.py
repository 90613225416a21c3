"""How demonstrations are put together, and what is looked at before they are."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.data import checks
from gym_ilrl.data.episode import Episode, check_lengths, read_only
from gym_ilrl.data.rearrange import PER_OBSERVATION, PER_STEP, concatenate, offsets_of

if TYPE_CHECKING:
    from gym_ilrl.data.demonstrations import Demonstrations


def checked(demos: "Demonstrations") -> dict[str, Any]:
    """Return the fields of ``demos`` as read-only arrays of their spaces' dtypes, having looked at every value."""
    checks.check_space(demos.observation_space, "observation")
    checks.check_space(demos.action_space, "action")
    offsets = _checked_offsets(demos.offsets)
    n_steps, n_rows = int(offsets[-1]), int(offsets[-1]) + len(offsets) - 1
    actions = checks.fit(demos.actions, demos.action_space, "actions", offsets)
    begins = offsets + np.arange(len(offsets))  # each episode has one observation more than actions
    observations = checks.fit(demos.observations, demos.observation_space, "observations", begins)
    check_lengths("actions", actions, n_steps, f"episodes of {n_steps} steps in all")
    check_lengths("observations", observations, n_rows, f"{n_steps} actions in {len(offsets) - 1} episodes")
    infos = _checked_infos(demos.infos)
    check_lengths("infos", infos, n_rows, f"{n_steps} actions in {len(offsets) - 1} episodes")
    terminations, truncations = checks.ending_flags(demos.terminations, demos.truncations, offsets)
    return {
        "observations": observations,
        "actions": actions,
        "rewards": _checked_rewards(demos.rewards, n_steps),
        "terminations": read_only(terminations),
        "truncations": read_only(truncations),
        "infos": infos,
        "offsets": offsets,
        "metadata": _checked_metadata(demos),
    }


def join_episodes(episodes: Iterable[Episode | Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of all episodes one after the other."""
    items = [episode if isinstance(episode, Episode) else _episode(episode) for episode in episodes]
    if not items:
        raise ValueError("there are zero episodes; give at least one")
    for name in ("rewards", "infos"):
        given = [getattr(item, name) for item in items]
        keys = {None if value is None else tuple(sorted(value)) if name == "infos" else () for value in given}
        if len(keys) > 1:
            raise ValueError(f"some episodes have {name} that others lack; give the same {name} for all, or none")
    fields = {name: concatenate([getattr(item, name) for item in items]) for name in (*PER_STEP, *PER_OBSERVATION)}
    return {**fields, "offsets": offsets_of([len(item) for item in items])}


def _checked_offsets(values: Any) -> NDArray[np.int64]:
    offsets = np.asarray(values)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise ValueError("there are zero episodes (offsets need at least two integers, from 0 to the number of steps)")
    lengths = np.diff(offsets.astype(np.int64))
    if offsets[0] != 0 or (lengths < 1).any():
        raise ValueError("an episode is empty or the offsets do not increase from 0; leave out episodes without a step")
    return read_only(offsets.astype(np.int64))


def _checked_infos(values: Mapping[str, Any] | None) -> dict[str, NDArray[Any]] | None:
    if not values:
        return None
    infos = {str(key): read_only(value) for key, value in values.items()}
    for key, array in infos.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"infos[{key!r}] are {array.dtype}; only numbers and booleans can be kept, leave it out")
    return infos


def _checked_rewards(values: Any | None, n_steps: int) -> NDArray[Any] | None:
    if values is None:
        return None
    rewards = np.asarray(values)
    if rewards.shape != (n_steps,) or rewards.dtype.kind not in "biuf":
        raise ValueError(
            f"rewards are {rewards.dtype} of shape {rewards.shape}, but {n_steps} actions need ({n_steps},)"
        )
    checks.check_finite(rewards, "rewards")
    return read_only(rewards if rewards.dtype.kind == "f" else rewards.astype(np.float64))


def _checked_metadata(demos: "Demonstrations") -> dict[str, Any]:
    """Return the metadata as JSON would give them back, having tried to write them and the spec."""
    try:
        if demos.spec is not None:
            demos.spec.to_json()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the spec {demos.spec.id if demos.spec else ''} cannot be written as JSON: {error}"
        ) from error
    try:
        metadata: dict[str, Any] = json.loads(json.dumps(demos.metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"metadata must be what JSON can hold (str, numbers, bool, None, list, dict): {error}"
        ) from error
    if not isinstance(metadata, dict):
        raise ValueError(f"metadata must be a dict and is a {type(demos.metadata).__name__}")
    return metadata


def _episode(fields: Mapping[str, Any]) -> Episode:
    known = Episode.__dataclass_fields__
    if not isinstance(fields, Mapping) or not {"observations", "actions"} <= fields.keys() <= known.keys():
        given = sorted(fields) if isinstance(fields, Mapping) else type(fields).__name__
        raise ValueError(
            f"an episode is an Episode or a dict with keys of {list(known)} (the first two required), not {given}"
        )
    return Episode(**fields)
