"""Value iteration, hard or soft, stopped by what remains between a lower and an upper bound.

``T`` is monotone and ``T(V + c) <= T V + gamma c`` for ``c >= 0``, with equality where no episode ends. So from
``d = T V - V`` follow the bounds of MacQueen (1966; Puterman, "Markov Decision Processes", 1994, theorem 6.6.3):

    ``T V + gamma / (1 - gamma) min d  <=  V*  <=  T V + gamma / (1 - gamma) max d``

where 0 joins ``d`` if episodes can end. Values agree up to a constant long before the constant is known, and the
policy does not depend on the constant.
"""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.bellman import Bellman


def discounted_sweeps(
    bellman: Bellman, values: NDArray[np.float64], ends: bool, tolerance: float, max_iterations: int
) -> tuple[NDArray[np.float64], int, bool]:
    """Iterate ``V <- T V`` until the bounds are closer to each other than the tolerance; gamma < 1.

    :param bellman: of the problem
    :param values: to begin with, of shape ``(n_states,)``
    :param ends: whether episodes can end
    :param tolerance: of the values, relative to the largest one
    :param max_iterations: number of sweeps at most
    :return: the values, in the middle of the bounds where no episode ends; the number of sweeps; and whether they were
        enough
    """
    far = bellman.gamma / (1.0 - bellman.gamma)
    for sweep in range(1, max_iterations + 1):
        following = bellman.values(bellman.q_values(values))
        difference = following - values
        low, high = difference.min(), difference.max()
        if ends:
            low, high = min(low, 0.0), max(high, 0.0)
        values = following
        if far * (high - low) <= tolerance * max(1.0, np.abs(values).max() + far * max(high, -low)):
            return values if ends else values + 0.5 * far * (low + high), sweep, True
    return values, max_iterations, False


def undiscounted_sweeps(
    bellman: Bellman, values: NDArray[np.float64], tolerance: float, max_iterations: int
) -> tuple[NDArray[np.float64], int, bool]:
    """Iterate ``V <- T V`` without discount until the estimated error is below the tolerance.

    Changes ``d_k = max |V_k+1 - V_k|`` that shrink by ``rho`` leave ``d_k rho / (1 - rho)`` to come. If they do not
    shrink while the sweeps double, beyond four times as many as there are states, the values diverge.

    :param bellman: of the problem
    :param values: to begin with, of shape ``(n_states,)``
    :param tolerance: of the values, relative to the largest one
    :param max_iterations: number of sweeps at most
    :raises DivergenceError: if values grow without bound
    :return: the values, the number of sweeps, and whether they were enough
    """
    change, check, at_check = np.inf, max(64, 4 * len(values)), np.inf
    for sweep in range(1, max_iterations + 1):
        following = bellman.values(bellman.q_values(values))
        previous, change = change, float(np.abs(following - values).max())
        values = following
        if change == 0.0:
            return values, sweep, True
        rate = change / previous
        if rate < 1.0 and change * max(1.0, rate / (1.0 - rate)) <= tolerance * max(1.0, np.abs(values).max()):
            return values, sweep, True
        if sweep == check:
            if change >= (1.0 - 1e-6) * at_check:
                raise bellman.divergence()
            check, at_check = 2 * check, change
    return values, max_iterations, False
