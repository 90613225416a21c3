"""Acrobot: pumping energy into the upper link."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.experts.standard import StandardExpert

_UPPER_VELOCITY = 4


class AcrobotExpert(StandardExpert):
    """Turns the elbow against the rotation of the upper link, at full torque.

    A torque at the elbow acts on the upper link with the opposite sign: this one always pushes the upper link the way
    it swings, as a child on a swing does (M. W. Spong, "The swing up control problem for the Acrobot", 1995, drives the
    elbow by the motion of the upper link in the same way).

    :param env: ``Acrobot-v1``
    """

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return 0 (torque -1) or 2 (torque +1) for observations of shape ``(n, 6)``."""
        return self.numbered(np.where(observations[:, _UPPER_VELOCITY] > 0, 0, 2))
