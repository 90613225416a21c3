"""How arguments are refused: one sentence that names the argument, what was given and what was expected."""

import math
from numbers import Integral, Real


def is_number(value: object) -> bool:
    """Tell whether ``value`` is a finite number."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def is_whole(value: object, at_least: int) -> bool:
    """Tell whether ``value`` is a whole number of at least ``at_least``."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= at_least


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Refuse the argument ``name`` unless ``condition`` holds.

    :param condition: what must hold
    :param name: of the argument
    :param value: what was given
    :param expected: completes "must be ..."
    :raises ValueError: if it does not hold
    """
    if not condition:
        raise ValueError(f"{name} must be {expected}, not {value!r}")


def require_positive_int(name: str, value: object) -> None:
    """Refuse anything but a whole number of at least 1.

    :raises ValueError: naming the argument and what was given
    """
    require(is_whole(value, 1), name, value, "a whole number of at least 1")


def require_seed(name: str, value: object) -> None:
    """Refuse anything but a whole number of at least 0, or None.

    :raises ValueError: naming the argument and what was given
    """
    require(value is None or is_whole(value, 0), name, value, "a whole number of at least 0, or None")


def require_options(name: str, value: object) -> None:
    """Refuse anything but a dictionary, or None.

    :raises ValueError: naming the argument and what was given
    """
    require(value is None or isinstance(value, dict), name, value, "a dictionary of arguments, or None")
