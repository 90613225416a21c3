"""Pendulum: energy shaping far from the top, proportional and derivative control near it."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.experts.standard import StandardExpert

_PUMP = 1.0  # torque per unit of missing energy
_STIFFNESS, _DAMPING = 12.0, 3.0
_CATCH = 0.5  # rad from the top


class PendulumExpert(StandardExpert):
    """Swings up by energy, then holds the pendulum at the top.

    With ``theta`` measured from the top, ``m = l = 1`` and ``I = 1/3``, the energy
    ``E = theta_dot^2 / 2 + 3 g / 2 (cos(theta) - 1)`` (per unit of inertia) is 0 at rest at the top and changes by
    ``3 u theta_dot``: a torque against ``E`` in the direction of motion drives it to 0 (K. J. Åström and K. Furuta,
    "Swinging up a pendulum by energy control", Automatica, 2000).

    :param env: ``Pendulum-v1``
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._gravity = float(getattr(env.unwrapped, "g", 10.0))

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return torques of shape ``(n, 1)`` for observations ``(cos, sin, velocity)`` of shape ``(n, 3)``."""
        cosine, sine, velocity = observations.T
        angle = np.arctan2(sine, cosine)
        energy = velocity**2 / 2 + 1.5 * self._gravity * (cosine - 1)
        swing_up = -_PUMP * energy * np.where(velocity >= 0, 1, -1)
        hold = -_STIFFNESS * angle - _DAMPING * velocity
        return self.bounded(np.where(np.abs(angle) < _CATCH, hold, swing_up)[:, None])
