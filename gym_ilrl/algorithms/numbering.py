"""Discrete actions that do not begin at zero: SB3's policies always count from zero."""

from typing import Any

from gymnasium import spaces
from numpy.typing import NDArray


def counts_from_zero(space: spaces.Space[Any]) -> bool:
    """Tell whether the actions of ``space`` are numbered as SB3 numbers them."""
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        return not (space.start != 0).any() if isinstance(space, spaces.MultiDiscrete) else bool(space.start == 0)
    return True


def as_in_environment(space: spaces.Space[Any], actions: NDArray[Any]) -> NDArray[Any]:
    """Turn a policy's actions into those of the environment.

    :param actions: one or a batch, counted from zero
    """
    if counts_from_zero(space):
        return actions
    shifted: NDArray[Any] = actions + space.start  # type: ignore[attr-defined]
    return shifted
