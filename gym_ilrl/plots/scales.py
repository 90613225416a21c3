"""Which number is drawn in which colour."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import require

KINDS = ("reward", "value", "occupancy")
_NEGATIVE = ("#bb2b24", "#d05949", "#e18170", "#eea79a", "#f7cec6")
_POSITIVE = ("#cfd7ea", "#a8b9dc", "#819ccc", "#5680bc", "#1865ac")
# red to grey to blue in equal steps of lightness, L* 42 to 97 to 42 in CIELAB, which the colour-blind can tell apart
DIVERGING = (*_NEGATIVE, "#f6f6f6", *_POSITIVE)
# from the same grey to purple, L* 97 to 28
SEQUENTIAL = ("#f6f6f6", "#ddd1e9", "#c1afd6", "#a58dc2", "#896dad", "#6d4e99", "#503084")
_MOST = 0.98  # of the numbers
_OUTLIER, _REACH = 6.0, 3.0  # numbers further away than 6 times most of them leave the colours, which reach to 3 times


def colour_limits(kind: str, *arrays: NDArray[np.float64]) -> tuple[float, float]:
    """Return the numbers at both ends of a colour scale that several arrays share.

    All of them, unless a few would leave the others in one colour: where the furthest one is more than six times as far
    away as 98% of the numbers, the colours reach three times as far as those, and what is beyond has the last colour.

    :param kind: ``"reward"``: as far below zero as above; ``"occupancy"``: from zero; ``"value"``: whatever they are
    :param arrays: what is drawn, of any shapes
    """
    numbers = np.concatenate([array.ravel() for array in arrays])
    if kind == "value":
        below, above = np.quantile(numbers, (1.0 - _MOST, _MOST)).tolist()
        low = above - _reach(above - float(numbers.min()), above - below)
        high = below + _reach(float(numbers.max()) - below, above - below)
        return (low, high) if low < high else (low - 0.5, high + 0.5)
    sizes = np.abs(numbers[numbers != 0.0])
    reach = _reach(float(sizes.max()), float(np.quantile(sizes, _MOST))) if len(sizes) else 1.0
    return (-reach, reach) if kind == "reward" else (0.0, reach)


def _reach(furthest: float, most: float) -> float:
    return furthest if most == 0.0 or furthest <= _OUTLIER * most else _REACH * most


def colours(kind: str, limits: tuple[float, float]) -> dict[str, Any]:
    """Return the arguments ``cmap`` and ``norm`` of matplotlib for numbers of some kind.

    :param kind: ``"reward"``: diverging around zero; ``"value"``: sequential; ``"occupancy"``: sequential, on the scale
        of the square root, on which what is seldom visited can still be told from what never is
    :param limits: the numbers at both ends
    """
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap, Normalize, PowerNorm

    require(kind in KINDS, "kind", kind, f"one of {', '.join(KINDS)}")
    low, high = limits
    if kind == "value":
        return {"cmap": colormaps["viridis"], "norm": Normalize(low, high)}
    if kind == "occupancy":
        return {"cmap": LinearSegmentedColormap.from_list(kind, SEQUENTIAL), "norm": PowerNorm(0.5, low, high)}
    return {"cmap": LinearSegmentedColormap.from_list(kind, DIVERGING), "norm": Normalize(low, high)}


def beyond(limits: tuple[float, float], arrays: Sequence[NDArray[np.float64]]) -> str:
    """Return at which ends of the colour bar numbers lie beyond, as matplotlib's ``extend``."""
    below = any(array.min() < limits[0] for array in arrays)
    above = any(array.max() > limits[1] for array in arrays)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
