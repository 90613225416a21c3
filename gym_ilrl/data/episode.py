"""One recorded episode, and what a set of episodes becomes when only its transitions matter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.data.checks import ending_flags

Arrays = NDArray[Any] | dict[str, NDArray[Any]]
"""An array, or for a Dict space one array a key; always stacked along the first axis."""


class Transitions(NamedTuple):
    """``n`` steps with no memory of the episodes they come from; every field has ``n`` rows.

    The field names are those of SB3's replay buffers and of Minari.
    """

    observations: Arrays
    actions: NDArray[Any]
    next_observations: Arrays
    rewards: NDArray[Any] | None
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    infos: dict[str, NDArray[Any]] | None
    """Extras that belong to ``observations``."""


@dataclass(frozen=True, eq=False)
class Episode:
    """``T`` steps from a reset to an end; the arrays are read-only.

    :param observations: of shape ``(T + 1, ...)``, the last one included; for a Dict space a dict of such arrays
    :param actions: of shape ``(T, ...)``, ``T >= 1``, in the environment's own scale
    :param rewards: of shape ``(T,)``, or ``None`` where they are unknown
    :param terminations: of shape ``(T,)``: the environment's own end; ``None`` means that there was none
    :param truncations: of shape ``(T,)``: an end from outside, like a time limit; ``None`` means that an episode that
        does not terminate was truncated at its last step
    :param infos: extras of shape ``(T + 1, ...)`` each: ``infos[key][t]`` belongs to ``observations[t]``
    :raises ValueError: if lengths disagree, the episode is empty, or it does not end exactly at its last step
    """

    observations: Arrays
    actions: NDArray[Any]
    rewards: NDArray[Any] | None = None
    terminations: NDArray[np.bool_] = field(default=None)  # type: ignore[arg-type]  # an array after __post_init__
    truncations: NDArray[np.bool_] = field(default=None)  # type: ignore[arg-type]
    infos: dict[str, NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        actions = read_only(self.actions)
        n_steps = len(actions) if actions.ndim else 0
        if n_steps == 0:
            raise ValueError("an episode has no actions; leave out episodes without a step")
        observations = map_arrays(read_only, self.observations)
        rewards = None if self.rewards is None else read_only(self.rewards)
        infos = None if self.infos is None else {key: read_only(value) for key, value in self.infos.items()}
        check_lengths("observations", observations, n_steps + 1, f"{n_steps} actions")
        check_lengths("rewards", rewards, n_steps, f"{n_steps} actions")
        check_lengths("infos", infos, n_steps + 1, f"{n_steps} actions")
        flags = ending_flags(self.terminations, self.truncations, np.array([0, n_steps]))
        terminations, truncations = map(read_only, flags)
        values = (observations, actions, rewards, terminations, truncations, infos)
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.actions)

    def __eq__(self, other: object) -> bool:
        """Tell whether every array of ``other`` has the same dtype, shape and values."""
        if not isinstance(other, Episode):
            return NotImplemented
        return all(equal_arrays(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)

    __hash__ = None  # type: ignore[assignment]  # equal by value, and arrays have no hash


def map_arrays(function: Callable[[Any], NDArray[Any]], arrays: Any) -> Arrays:
    """Apply ``function`` to an array, or to each array of a dict."""
    if isinstance(arrays, Mapping):
        return {key: function(value) for key, value in arrays.items()}
    return function(arrays)


def stack_rows(rows: Sequence[Any]) -> Arrays:
    """Return one array of all rows, or, where the rows are dicts, a dict of such arrays."""
    if isinstance(rows[0], Mapping):
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return np.stack(rows)


def read_only(values: Any) -> NDArray[Any]:
    """Return ``values`` as an array that cannot be written to; an array is viewed, not copied."""
    array: NDArray[Any] = np.asarray(values).view()
    array.flags.writeable = False
    return array


def equal_arrays(left: Any, right: Any) -> bool:
    """Tell whether two arrays, dicts of arrays or ``None`` are the same in dtype, shape and every value."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(equal_arrays(left[key], right[key]) for key in left)
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        if left.dtype != right.dtype:
            return False
        return np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    return left is None and right is None


def check_lengths(name: str, arrays: Any, expected: int, reason: str) -> None:
    """Refuse arrays whose first axis is not ``expected`` long.

    :param reason: what asks for that length, for the message
    """
    named = (
        {f"{name}[{key!r}]": value for key, value in arrays.items()} if isinstance(arrays, Mapping) else {name: arrays}
    )
    for label, array in named.items():
        if array is None:
            continue
        rows = len(array) if array.ndim else 0
        if rows != expected:
            holds_last = "obs" in name or "info" in name
            hint = "; each episode holds one observation more than actions" if holds_last and rows < expected else ""
            if name == "observations" and rows < expected:
                hint += "; where the final ones were not recorded, from_arrays takes without_final_observations=True"
            raise ValueError(f"{label} has {rows} rows but {reason} need {expected}{hint}")
