"""Apprenticeship learning by the maximum margin (Abbeel & Ng, 2004, section 3)."""

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from gym_ilrl.irl.feature_matching import MixtureSearch


class MaxMargin(MixtureSearch):
    """Weights by which the expert is farthest ahead of all policies so far.

        ``max t  subject to  w (mu_E - mu_i) >= t for all i,  |w| <= 1``

    By duality ``w`` points to the expert from the closest mixture of the policies, and ``t`` is the distance
    (section 3.1): the quadratic program is a nearest point of a convex hull. See :class:`MixtureSearch`.
    """

    def _mix(self, differences: NDArray[np.float64], mixture: NDArray[np.float64]) -> NDArray[np.float64]:
        return nearest_mixture(differences, differences.shape[1] if self._costs else 0)


def nearest_mixture(points: NDArray[np.float64], n_costs: int = 0) -> NDArray[np.float64]:
    """Return the convex combination of points that is nearest to the origin, by non-negative least squares.

    Over ``x >= 0``, ``|P^T x|^2 + (sum x - 1)^2`` is smallest on the ray of the nearest combination: with ``x = c y``
    and ``sum y = 1`` the best ``c`` leaves ``r^2 / (1 + r^2)``, which grows with ``r = |P^T y|``.

    :param points: of shape ``(n, d)``
    :param n_costs: of so many first coordinates only negative values count as a distance; the positive ones are taken
        away by slack variables
    :return: weights, of shape ``(n,)``
    """
    points = points / (np.linalg.norm(points, axis=1).max() or 1.0)
    if n_costs == 0 and points.shape[1] > len(points):  # distances in the span of the points are all that matters
        points = np.asarray(np.linalg.qr(points.T, mode="r")).T
    d = points.shape[1]
    system = np.vstack([np.hstack([points.T, -np.eye(d, n_costs)]), np.repeat([1.0, 0.0], [len(points), n_costs])])
    solution, _ = optimize.nnls(system, np.eye(d + 1)[d], maxiter=100 * system.shape[1])
    weights: NDArray[np.float64] = solution[: len(points)] / solution[: len(points)].sum()
    return weights
