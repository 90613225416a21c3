"""Spaces as JSON and back, exactly; no pickle."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


def to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Return what :func:`from_json` rebuilds the space from, made of what JSON can hold.

    :raises ValueError: for another space than Box, Discrete, MultiDiscrete, MultiBinary or a Dict of them
    """
    kind = type(space).__name__
    if isinstance(space, spaces.Dict):
        return {"type": kind, "spaces": [[key, to_json(part)] for key, part in space.spaces.items()]}
    if isinstance(space, spaces.Box):
        bounds = {"low": _encode(space.low), "high": _encode(space.high)}
        return {"type": kind, "shape": list(space.shape), "dtype": _dtype(space), **bounds}
    if isinstance(space, spaces.Discrete):
        return {"type": kind, "n": int(space.n), "start": int(space.start), "dtype": _dtype(space)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"type": kind, "nvec": space.nvec.tolist(), "start": space.start.tolist(), "dtype": _dtype(space)}
    if isinstance(space, spaces.MultiBinary):
        return {"type": kind, "shape": list(space.shape), "scalar": isinstance(space.n, int)}
    raise ValueError(f"the space {space} cannot be written: not a Box, Discrete, MultiDiscrete, MultiBinary or Dict")


def from_json(description: dict[str, Any]) -> spaces.Space[Any]:
    """Return the space that :func:`to_json` described.

    :raises ValueError: if the description is none
    """
    try:
        return _BUILDERS[description["type"]](description)
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError) as error:
        raise ValueError(f"no description of a space: {error!r}") from error


def _box(given: dict[str, Any]) -> spaces.Space[Any]:
    dtype, shape = np.dtype(given["dtype"]), tuple(given["shape"])
    return spaces.Box(_decode(given["low"], shape, dtype), _decode(given["high"], shape, dtype), dtype=dtype.type)


def _discrete(given: dict[str, Any]) -> spaces.Space[Any]:
    space = spaces.Discrete(given["n"], start=given["start"])
    return space if given["dtype"] == _dtype(space) else _discrete_of_dtype(given)


def _discrete_of_dtype(given: dict[str, Any]) -> spaces.Space[Any]:
    return spaces.Discrete(given["n"], start=given["start"], dtype=np.dtype(given["dtype"]).type)  # Gymnasium >= 1.1


def _multi_discrete(given: dict[str, Any]) -> spaces.Space[Any]:
    dtype = np.dtype(given["dtype"])
    nvec, start = np.array(given["nvec"], dtype=dtype), np.array(given["start"], dtype=dtype)
    return spaces.MultiDiscrete(nvec, dtype=dtype.type, start=start)


def _multi_binary(given: dict[str, Any]) -> spaces.Space[Any]:
    return spaces.MultiBinary(given["shape"][0] if given["scalar"] else given["shape"])


def _dict(given: dict[str, Any]) -> spaces.Space[Any]:
    return spaces.Dict([(key, from_json(part)) for key, part in given["spaces"]])  # pairs keep their order


_BUILDERS: dict[str, Callable[[dict[str, Any]], spaces.Space[Any]]] = {
    "Dict": _dict,
    "Box": _box,
    "Discrete": _discrete,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": _multi_binary,
}


def _dtype(space: spaces.Space[Any]) -> str:
    return str(np.dtype(space.dtype).name)


def _encode(bound: NDArray[Any]) -> Any:
    """Return one number if all are equal, else a flat list; infinities as strings, which JSON has not."""
    numbers = [value if math.isfinite(value) else str(value) for value in bound.ravel().tolist()]
    return numbers[0] if len(set(map(repr, numbers))) == 1 else numbers


def _decode(bound: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    values = np.array(bound, dtype=dtype) if not isinstance(bound, str) else np.array(float(bound), dtype=dtype)
    return np.full(shape, values, dtype=dtype) if values.ndim == 0 else values.reshape(shape)
