"""What demonstrations must satisfy; everything else is refused with one sentence."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

_CHUNK = 1 << 20  # elements looked at together: sets larger than memory are checked without loading them whole
_BOUND_TOLERANCE = 1e-6  # relative: unscaling a squashed action from [-1, 1] may leave the Box by a rounding error


def check_space(space: spaces.Space[Any], name: str) -> None:
    """Refuse a space that demonstrations cannot hold.

    :param name: ``"observation"`` or ``"action"``
    :raises ValueError: if it is no Box, Discrete, MultiDiscrete, MultiBinary, or one-level Dict of them (observations)
    """
    if isinstance(space, spaces.Dict) and name == "observation":
        for key, part in space.spaces.items():
            if isinstance(part, spaces.Dict):
                raise ValueError(
                    f"the observation space has a Dict inside its Dict, at {key!r}, which neither SB3 nor "
                    f"Demonstrations support; flatten it to one level of keys with an observation wrapper"
                )
            check_space(part, f"observation[{key!r}]")
        return
    if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        fix = "a Dict space with one key a part" if name == "observation" else "a Box or MultiDiscrete space"
        raise ValueError(
            f"the {name} space {in_words(space)} is not supported; wrap the environment so that it is {fix} "
            "(supported: Box, Discrete, MultiDiscrete, MultiBinary, and a Dict of them as observation)"
        )


def in_words(space: spaces.Space[Any]) -> str:
    """Return a space in one line."""
    return " ".join(str(space).split())


def fit(values: Any, space: spaces.Space[Any], name: str, begins: NDArray[np.int64] | None = None) -> Any:
    """Return a batch as read-only array(s) of its space's dtype, having checked every value.

    Box *observations* are not held to the bounds of their Box: Gymnasium's own environments leave them (LunarLander).

    :param values: of shape ``(n, *space.shape)``, or a dict of them for a Dict space
    :param name: ``"observations"`` or ``"actions"``
    :param begins: the first row of each episode, to name the episode in messages
    :raises ValueError: on a shape, dtype or value that is not the space's, and on NaN or infinite values
    """
    if isinstance(space, spaces.Dict):
        if not isinstance(values, dict) or values.keys() != space.spaces.keys():
            given = f"the keys {sorted(values)}" if isinstance(values, dict) else f"a {type(values).__name__}"
            raise ValueError(f"{name} must be a dict of arrays with the keys {sorted(space.spaces)}, and is {given}")
        return {key: fit(values[key], part, f"{name}[{key!r}]", begins) for key, part in space.spaces.items()}
    array = np.asarray(values)
    if array.ndim == 0 or array.shape[1:] != space.shape:
        wanted = f"({', '.join(['n', *map(str, space.shape or ())])}{'' if space.shape else ','})"
        hint = _shape_hint(array, space)
        raise ValueError(f"{name} have shape {array.shape}, but {in_words(space)} asks for {wanted}{hint}")
    array = _cast(array, np.dtype(space.dtype), space, name)
    _check_values(array, space, name, begins)
    array = array.view()
    array.flags.writeable = False
    return array


def check_finite(array: NDArray[Any], name: str, begins: NDArray[np.int64] | None = None) -> None:
    """Refuse NaN and infinite values."""
    if array.dtype.kind == "f":
        row = _first_row(array, lambda part: ~np.isfinite(part))
        if row is not None:
            fix = "" if begins is None else "; remove or repair that episode"
            raise ValueError(f"{name} hold NaN or an infinite value (first in {_place(row, begins)}){fix}")


def _place(row: int, begins: NDArray[np.int64] | None) -> str:
    if begins is None:
        return f"row {row}"
    episode = int(np.searchsorted(begins, row, side="right")) - 1
    return f"row {row}: step {row - begins[episode]} of episode {episode}"


def _shape_hint(array: NDArray[Any], space: spaces.Space[Any]) -> str:
    """Return what to do about a shape that is often given."""
    shape = space.shape or ()
    if isinstance(space, spaces.Discrete) and array.shape[1:] == (1,):
        return "; drop the second axis with .squeeze(1)"
    if isinstance(space, spaces.Discrete) and array.shape[1:] == (space.n,):
        return "; for one-hot rows give .argmax(axis=1)"
    if array.ndim == len(shape) + 2 and array.shape[2:] == shape:
        return "; for arrays stacked by episode give lists: list(observations), list(actions)"
    return ""


def ending_flags(
    terminations: Any | None, truncations: Any | None, offsets: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return terminations and truncations, having checked that each episode ends at its last step and nowhere else.

    :param terminations: of shape ``(n,)``, or ``None`` for no termination
    :param truncations: of shape ``(n,)``, or ``None``: episodes that do not terminate are truncated at their last step
    :param offsets: where the episodes begin, and ``n``
    """
    last = np.zeros(offsets[-1], dtype=bool)
    last[offsets[1:] - 1] = True
    terminated = np.zeros_like(last) if terminations is None else as_flags(terminations, len(last), "terminations")
    truncated = last & ~terminated if truncations is None else as_flags(truncations, len(last), "truncations")
    ended = terminated | truncated
    for step in np.flatnonzero(ended & ~last)[:1]:
        raise ValueError(
            f"an episode goes on after it ended (its end is in row {step}); split the data into episodes where "
            "terminations or truncations are true"
        )
    for step in np.flatnonzero(last & ~ended)[:1]:
        raise ValueError(
            f"an episode's last step (row {step}) neither terminates nor truncates; set truncations there, or pass "
            "truncations=None if the recording simply stopped"
        )
    return terminated, truncated


def as_flags(values: Any, n_steps: int, name: str) -> NDArray[np.bool_]:
    """Return ``values`` as booleans; numbers are accepted when all are 0 or 1."""
    array = np.asarray(values)
    if array.shape != (n_steps,):
        raise ValueError(f"{name} have shape {array.shape}, but {n_steps} actions need ({n_steps},)")
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf" or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must be booleans, or only 0 and 1, and are {array.dtype} with other values")
    return array.astype(np.bool_)


def _cast(array: NDArray[Any], dtype: np.dtype[Any], space: spaces.Space[Any], name: str) -> NDArray[Any]:
    """Convert to the space's dtype where that keeps the meaning: floats to floats, integers that fit."""
    if array.dtype == dtype:
        return array
    if array.dtype.kind in "iu" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        allowed = array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max)
    elif isinstance(space, spaces.MultiBinary) and array.dtype.kind == "f":
        allowed = bool(np.isin(array, (0.0, 1.0)).all())  # SB3's policies sample these as floats
    else:
        allowed = array.dtype.kind in "biuf" and np.can_cast(array.dtype, dtype, "same_kind")
    if not allowed:
        raise ValueError(
            f"{name} are {array.dtype}, which cannot become the {dtype} of {in_words(space)} without loss; "
            f"{'whole numbers are converted by .astype(int)' if dtype.kind in 'iu' else 'convert them'}"
        )
    with np.errstate(over="ignore"):  # an overflow is an infinite value, refused afterwards
        return array.astype(dtype)


def _check_values(array: NDArray[Any], space: spaces.Space[Any], name: str, begins: NDArray[np.int64] | None) -> None:
    check_finite(array, name, begins)
    low, high = _limits(space, name)
    if low is None:
        return
    row = _first_row(array, lambda part: (part < low) | (part > high))
    if row is not None:
        place = _place(row, begins)
        raise ValueError(f"{name} hold {array[row].tolist()} ({place}), which is outside {in_words(space)}")


def _limits(space: spaces.Space[Any], name: str) -> tuple[Any, Any]:
    """Return the smallest and largest allowed value, or ``None`` twice where there is nothing to check."""
    if isinstance(space, spaces.Discrete):
        return space.start, space.start + space.n - 1
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    if isinstance(space, spaces.MultiBinary):
        return 0, 1
    if not isinstance(space, spaces.Box) or not name.startswith("actions"):
        return None, None
    if space.dtype is None or np.dtype(space.dtype).kind != "f":
        return space.low, space.high
    slack = _BOUND_TOLERANCE * np.maximum(1, np.maximum(np.abs(space.low), np.abs(space.high)))
    return space.low - slack, space.high + slack


def _first_row(array: NDArray[Any], is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> int | None:
    for start, part in _chunks(array):
        bad = is_bad(part)
        if bad.any():
            return start + int(np.flatnonzero(bad.reshape(len(part), -1).any(axis=1))[0])
    return None


def _chunks(array: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    rows = max(1, _CHUNK // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]
