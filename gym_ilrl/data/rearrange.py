"""Episodes cut, picked, joined: functions from the fields of demonstrations to new fields."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.data.episode import map_arrays, read_only

if TYPE_CHECKING:
    from gym_ilrl.data.demonstrations import Demonstrations

PER_STEP = ("actions", "rewards", "terminations", "truncations")
PER_OBSERVATION = ("observations", "infos")
ARRAYS = (*PER_STEP, *PER_OBSERVATION, "offsets")


def episode_columns(demos: "Demonstrations", index: int) -> dict[str, Any]:
    """Return views of the fields of one episode."""
    return _cut(demos, index, index + 1)


def select(demos: "Demonstrations", index: Any) -> dict[str, Any]:
    """Return the fields of the episodes that a slice or a sequence of integers selects; views where they adjoin."""
    if not isinstance(index, slice):
        index = np.asarray(index)
        mask = index.dtype == np.bool_ and index.shape == (len(demos),)
        if not mask and index.dtype.kind not in "iu" and index.size:  # numpy would cut 0.7 to 0 and False to 0
            raise ValueError(
                f"episodes are selected by a slice, by integers, or by {len(demos)} booleans, not by {index.dtype} of "
                f"shape {index.shape}"
            )
        index = index if mask else index.astype(np.int64)
    chosen = np.arange(len(demos))[index]
    if chosen.ndim != 1 or len(chosen) == 0:
        raise ValueError(f"{index} selects no episodes of {len(demos)}; demonstrations hold at least one")
    if np.all(np.diff(chosen) == 1):
        start, stop = int(chosen[0]), int(chosen[-1]) + 1
        return {
            **_cut(demos, start, stop),
            "offsets": read_only(demos.offsets[start : stop + 1] - demos.offsets[start]),
        }
    pieces = [_cut(demos, int(i), int(i) + 1) for i in chosen]
    fields = {name: concatenate([piece[name] for piece in pieces]) for name in (*PER_STEP, *PER_OBSERVATION)}
    return {**fields, "offsets": offsets_of(demos.episode_lengths[chosen])}


def join_two(first: "Demonstrations", second: "Demonstrations") -> dict[str, Any]:
    """Return the fields of ``first`` followed by those of ``second``, as far as both have them."""
    fields = {name: concatenate([getattr(first, name), getattr(second, name)]) for name in PER_STEP}
    shared = first.infos.keys() & second.infos.keys() if first.infos and second.infos else set()
    infos = [{key: demos.infos[key] for key in sorted(shared)} if demos.infos else None for demos in (first, second)]
    return {
        **fields,
        "observations": concatenate([first.observations, second.observations]),
        "infos": concatenate(infos) if shared else None,
        "offsets": read_only(np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]])),
        "spec": first.spec if first.spec == second.spec else None,
        "metadata": {key: value for key, value in first.metadata.items() if second.metadata.get(key) == value},
    }


def returns_to_go(rewards: NDArray[np.float64], offsets: NDArray[np.int64], gamma: float) -> NDArray[np.float64]:
    """Return the discounted sum of the rewards from each step to the end of its episode."""
    from scipy.signal import lfilter  # half a second to import

    result = np.empty_like(rewards)
    for start, stop in itertools.pairwise(offsets):  # G_t = r_t + gamma G_{t+1}: a filter backwards
        result[start:stop] = lfilter([1.0], [1.0, -gamma], rewards[start:stop][::-1])[::-1]
    return result


def _cut(demos: "Demonstrations", start: int, stop: int) -> dict[str, Any]:
    """Return views of the rows of the adjoining episodes ``start:stop``."""
    steps = slice(demos.offsets[start], demos.offsets[stop])
    rows = slice(demos.offsets[start] + start, demos.offsets[stop] + stop)
    fields: dict[str, Any] = {name: _rows(getattr(demos, name), steps) for name in PER_STEP}
    return {**fields, **{name: _rows(getattr(demos, name), rows) for name in PER_OBSERVATION}}


def _rows(arrays: Any, rows: slice) -> Any:
    return None if arrays is None else map_arrays(lambda array: array[rows], arrays)


def concatenate(parts: Sequence[Any]) -> Any:
    """Join arrays, or dicts of arrays; ``None`` where one of them is missing."""
    if any(part is None for part in parts):
        return None
    if isinstance(parts[0], Mapping):
        return {key: concatenate([part[key] for part in parts]) for key in parts[0]}
    return read_only(np.concatenate(parts))


def offsets_of(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where episodes of these lengths begin, and where the last one ends."""
    return read_only(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
