"""CartPole: linear feedback."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.experts.standard import StandardExpert

# of cart position, cart velocity, pole angle and angular velocity: a proportional and derivative law on the angle whose
# set point leans against the cart's position and velocity, so that the cart returns to the middle
_GAINS = np.array([0.1, 0.3, 1.0, 0.6])


class CartPoleExpert(StandardExpert):
    """Pushes right when a weighted sum of the four state variables is positive, left otherwise.

    :param env: ``CartPole-v0`` or ``CartPole-v1``
    """

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return 0 (left) or 1 (right) for observations of shape ``(n, 4)``."""
        return self.numbered(observations @ _GAINS > 0)
