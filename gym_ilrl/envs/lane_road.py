"""The geometry of a winding lane in the plane."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_INTEGRATION_STEP = 0.01  # m


@dataclass(frozen=True)
class Road:
    """A lane whose heading is a sum of sines of the arc length ``s``: ``theta(s) = sum_j a_j sin(w_j s + p_j)``.

    It starts at the origin, and ``s`` may be negative. With the lateral errors of an episode of
    ``ilrl/LaneKeeping-v0`` it gives the driven path: ``road.points(0.1 * np.arange(len(errors)), errors)``.

    :param swing: the amplitudes ``a`` in rad, of shape ``(k,)``
    :param frequency: the frequencies ``w`` in rad/m, of shape ``(k,)``
    :param phase: the phases ``p`` in rad, of shape ``(k,)``
    :param half_width: from the centre line to the border, in m
    """

    swing: NDArray[np.float64]
    frequency: NDArray[np.float64]
    phase: NDArray[np.float64]
    half_width: float

    def heading(self, arc_length: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the direction of the lane in rad at each arc length in m; same shape."""
        return np.sin(arc_length[..., None] * self.frequency + self.phase) @ self.swing

    def points(
        self, arc_length: NDArray[np.float64], lateral: NDArray[np.float64] | float = 0.0
    ) -> NDArray[np.float64]:
        """Return points in the plane.

        :param arc_length: position along the centre line in m, of shape ``(n,)``
        :param lateral: how far to the left of the centre line in m, of shape ``(n,)`` or one number
        :return: x and y in m, of shape ``(n, 2)``
        """
        low, high = min(0.0, float(arc_length.min())), max(0.0, float(arc_length.max()))
        edges = np.linspace(low, high, 2 + int((high - low) / _INTEGRATION_STEP))
        middle = self.heading((edges[1:] + edges[:-1]) / 2.0)
        width = np.diff(edges)
        x, y = (np.concatenate([[0.0], np.cumsum(width * part)]) for part in (np.cos(middle), np.sin(middle)))
        x, y = (part - np.interp(0.0, edges, part) for part in (x, y))
        theta = self.heading(arc_length)
        return np.stack(
            [
                np.interp(arc_length, edges, x) - lateral * np.sin(theta),
                np.interp(arc_length, edges, y) + lateral * np.cos(theta),
            ],
            axis=-1,
        )
