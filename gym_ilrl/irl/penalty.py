"""What is added to a loss so that weights stay small."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Penalty:
    """``l1 |x|_1 + 1/2 sum_i l2_i (x_i - centre_i)^2``.

    :param l1: weight of the absolute values, at least 0
    :param l2: weights of the squares, at least 0, a number or of shape ``(d,)``
    :param centre: from where the squares are counted, a number or of shape ``(d,)``
    """

    l1: float = 0.0
    l2: NDArray[np.float64] | float = 0.0
    centre: NDArray[np.float64] | float = 0.0

    def squares(self, point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the part of the squares and its gradient.

        :param point: ``x``, of shape ``(d,)``
        """
        away = point - self.centre
        slope = self.l2 * away
        return 0.5 * float(slope @ away), slope

    def absolutes(self, point: NDArray[np.float64]) -> float:
        """Return the part of the absolute values.

        :param point: ``x``, of shape ``(d,)``
        """
        return self.l1 * float(np.abs(point).sum()) if self.l1 > 0.0 else 0.0

    def least_slope(self, point: NDArray[np.float64], gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least subgradient of what is penalised, the part of the absolute values included.

        :param point: ``x``, of shape ``(d,)``
        :param gradient: of everything else there
        """
        if self.l1 == 0.0:
            return gradient
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - self.l1, 0.0)
        return np.where(point == 0.0, at_zero, gradient + self.l1 * np.sign(point))
