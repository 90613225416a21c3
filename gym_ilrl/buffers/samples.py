"""Batches of a replay buffer, whichever of SB3's named tuples they are."""

from collections.abc import Callable
from typing import Any

import torch as th


def concatenate(first: Any, second: Any) -> Any:
    """Return the rows of both.

    :param first: ``ReplayBufferSamples`` or ``DictReplayBufferSamples``
    :param second: of the same kind
    """
    return type(first)(*(_join(left, right) for left, right in zip(first, second, strict=True)))


def select(samples: Any, indices: th.Tensor) -> Any:
    """Return the rows at ``indices``, of shape ``(n,)``."""
    return type(samples)(*(_map(lambda tensor: tensor[indices], field) for field in samples))


def _join(left: Any, right: Any) -> Any:
    if isinstance(left, dict):
        return {key: th.cat((left[key], right[key])) for key in left}
    return None if left is None else th.cat((left, right))  # SB3's discounts are None but for n-step returns


def _map(function: Callable[[th.Tensor], th.Tensor], field: Any) -> Any:
    if isinstance(field, dict):
        return {key: function(tensor) for key, tensor in field.items()}
    return None if field is None else function(field)
