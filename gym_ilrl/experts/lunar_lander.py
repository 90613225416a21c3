"""LunarLander, discrete and continuous: two proportional and derivative loops."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.experts.standard import StandardExpert

_MAX_TILT = 0.4  # rad: more of it loses too much lift
_OFF, _LEFT, _MAIN, _RIGHT = 0, 1, 2, 3
_DEAD_BAND = 0.05  # of the discrete engines


class LunarLanderExpert(StandardExpert):
    """Tilts towards the pad and descends along a cone above it.

    The control law is that of ``heuristic`` in ``gymnasium/envs/box2d/lunar_lander.py`` (O. Klimov), computed for whole
    batches: the tilt follows the horizontal offset and speed, the height follows the distance to the pad, and once a
    leg touches the ground only the fall is slowed down.

    :param env: ``LunarLander-v2`` or ``-v3``, ``continuous`` or not
    """

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return the engines, of shape ``(n,)`` or ``(n, 2)``, for observations of shape ``(n, 8)``."""
        turn, lift = _wanted(observations)
        if isinstance(self.action_space, gym.spaces.Box):
            return self.bounded(np.stack([20 * lift - 1, -20 * turn], axis=1))
        sideways = np.where(turn < -_DEAD_BAND, _RIGHT, np.where(turn > _DEAD_BAND, _LEFT, _OFF))
        return self.numbered(np.where((lift > np.abs(turn)) & (lift > _DEAD_BAND), _MAIN, sideways))


def _wanted(observations: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the wanted turn and lift, each of shape ``(n,)``."""
    x, y, x_speed, y_speed, angle, turning, left_leg, right_leg = observations.astype(np.float64).T
    tilt = np.clip(0.5 * x + x_speed, -_MAX_TILT, _MAX_TILT)
    height = 0.55 * np.abs(x)
    landed = (left_leg > 0) | (right_leg > 0)
    turn = np.where(landed, 0.0, 0.5 * (tilt - angle) - turning)
    lift = np.where(landed, 0.0, 0.5 * (height - y)) - 0.5 * y_speed
    return turn, lift
