"""Linear equations of a policy without a factor: sweeps that always converge, and Krylov steps that may hurry them.

A sweep for ``x = b + M x`` with ``M = gamma P_pi`` adds the residual ``r`` to ``x`` and leaves ``M r``: in the largest
component, or in the sum of all for ``M^T``, the residual shrinks by ``gamma`` at least. A Krylov method usually needs
far fewer products, and sometimes returns what is no solution, without a word. So its answer is taken only where it has
made the residual smaller, which is computed anew, and sweeps go on from there.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import linalg

_SWEEPS = 50  # between two attempts to be faster
_ATTEMPTS = 20_000  # enough for sweeps alone up to a discount factor of 0.99995
_INNER, _OUTER = 20, 5  # products in a cycle, and cycles, of an attempt; some 30 vectors are kept
_WORTH_IT = 0.5  # an attempt must leave this share of the residual at most, or it is not repeated for a while


def iterate(
    matrix: Any, right: NDArray[np.float64], transposed: bool, precision: float, reduction: float = 0.0
) -> NDArray[np.float64]:
    """Solve ``x = b + M x``, for right-hand sides of any sign.

    :param matrix: ``M``, sparse and at least 0; its rows sum to at most 1, or its columns if it is ``transposed``
    :param right: ``b``, of shape ``(n,)``
    :param transposed: whether columns are what sums to at most 1
    :param precision: of the residual, relative to the largest component of ``x`` or ``b``
    :param reduction: the residual may also be this share of the largest component of ``b``
    :raises ArithmeticError: if a million sweeps are not enough
    :return: ``x``, of shape ``(n,)``
    """
    order = 1 if transposed else np.inf
    system = linalg.LinearOperator(matrix.shape, lambda x: x - matrix @ x, dtype=np.float64)
    solution, residual = np.zeros_like(right), np.asarray(right)
    next_attempt, pause = 0, 1
    for attempt in range(_ATTEMPTS):
        for _ in range(_SWEEPS):
            solution += residual
            residual = matrix @ residual
        residual = right - solution + matrix @ solution  # as it is, without what rounding has added up to
        largest = np.abs(right).max()
        if np.abs(residual).max() <= max(reduction * largest, precision * max(np.abs(solution).max(), largest)):
            return solution
        if attempt < next_attempt:
            continue
        better = solution + _hurried(system, residual)
        left = right - better + matrix @ better
        shrinks = np.linalg.norm(left, order) <= _WORTH_IT * np.linalg.norm(residual, order)
        if shrinks:
            solution, residual, pause = better, left, 1
        else:
            pause *= 2
        next_attempt = attempt + pause
    raise ArithmeticError(
        f"the equations of the policy are not solved after {_ATTEMPTS * _SWEEPS} sweeps; without discount, the policy "
        "may take too long to end"
    )


def _hurried(system: Any, residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a Krylov method takes for the solution: GCROT(m, k) of Hicken and Zingg, 2010."""
    step: NDArray[np.float64] = linalg.gcrotmk(system, residual, atol=0.0, m=_INNER, k=_INNER // 2, maxiter=_OUTER)[0]
    return step
