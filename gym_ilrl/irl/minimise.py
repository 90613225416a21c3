"""L-BFGS on scaled parameters, evaluation by evaluation, with an absolute-value penalty where one is wanted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from gym_ilrl.planning import DivergenceError

Function = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
_CORRECTIONS = 30  # pairs that L-BFGS remembers: a third fewer evaluations than with its default of 10
_LEAST_SCALE = 1e-3  # of a feature's expectation, relative to the largest one


class Stop(Exception):
    """Raised by a function to end its minimisation; what was best so far is the result."""


@dataclass
class Minimum:
    """The best point that was met.

    :param point: where, of shape ``(d,)``
    :param loss: of the function there, penalties included
    :param is_stopped: whether the function raised :class:`Stop`; else no progress is possible
    """

    point: NDArray[np.float64]
    loss: float = np.inf
    is_stopped: bool = False


def scales(expectation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return units of the weights, ``1 / sqrt(|f|)``, in which features met often and seldom are on a par.

    :param expectation: feature expectation of the expert, of shape ``(d,)``
    """
    size = np.abs(expectation)
    largest = size.max()
    if largest == 0.0:
        return np.ones_like(size)
    units: NDArray[np.float64] = 1.0 / np.sqrt(np.maximum(size, _LEAST_SCALE * largest))
    return units


def minimise(
    function: Function, start: NDArray[np.float64], scale: NDArray[np.float64], l1_coef: float = 0.0
) -> Minimum:
    """Minimise ``f(x) + l1_coef |x|_1`` by L-BFGS-B (Byrd, Lu, Nocedal & Zhu, 1995), until ``function`` raises
    :class:`Stop` or no progress is possible.

    Where the soft values are infinite, after a step that was too long, the function counts as very high.

    The absolute values are made smooth by ``x = p - q`` with ``p, q >= 0``, whose sum is the penalty.

    :param function: returns value and gradient at a point
    :param start: of shape ``(d,)``
    :param scale: units of the variables, positive, of shape ``(d,)``
    :param l1_coef: at least 0
    """
    best = Minimum(start.copy())
    split = l1_coef > 0.0
    d = len(start)
    best_variables = np.empty(0)

    def scaled(variables: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal best_variables
        point = scale * (variables[:d] - variables[d:] if split else variables)
        try:
            value, gradient = function(point)
        except DivergenceError:
            if not np.isfinite(best.loss):
                raise
            return _slope_back(variables - best_variables, best.loss)
        slope = scale * gradient
        if split:
            value += l1_coef * float(scale @ (variables[:d] + variables[d:]))
            slope = np.concatenate([slope, -slope]) + l1_coef * np.concatenate([scale, scale])
        if value < best.loss:
            best.point, best.loss, best_variables = point, value, variables.copy()
        return value, slope

    first = start / scale
    if split:
        first = np.concatenate([np.maximum(first, 0.0), np.maximum(-first, 0.0)])
    options = {"maxcor": _CORRECTIONS, "maxiter": 10**9, "maxfun": 10**9, "ftol": 0.0, "gtol": 0.0}
    try:
        bounds = [(0.0, None)] * len(first) if split else None
        optimize.minimize(scaled, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    except Stop:
        best.is_stopped = True
    return best


def _slope_back(step: NDArray[np.float64], loss: float) -> tuple[float, NDArray[np.float64]]:
    """Return a high value that slopes back to the best point: the line search takes a shorter step."""
    height = 10.0 * (1.0 + abs(loss))
    return loss + height, 2.0 * height * step / max(float(step @ step), np.finfo(np.float64).tiny)
