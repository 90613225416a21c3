"""The expert of ``ilrl/LaneKeeping-v0``."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.lane_keeping import HEADING_GAIN, LATERAL_GAIN, MAX_YAW_RATE, LaneKeepingEnv
from gym_ilrl.experts.base import PrivilegedExpert


class LaneKeepingExpert(PrivilegedExpert):
    """Follows the lane's curvature and steers against the true heading and lateral errors.

    The errors then obey ``d/dt e = psi``, ``d/dt psi = -1.6 psi - e`` near the centre: they die out with damping 0.8.

    :param env: the environment
    :raises TypeError: if it is another environment
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        if not isinstance(env.unwrapped, LaneKeepingEnv):
            raise TypeError(f"LaneKeepingExpert needs an ilrl/LaneKeeping-v0 and was given {env.unwrapped!r}")
        super().__init__(env.observation_space, env.action_space)

    def act_on_state(self, privileged_states: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the steering for lateral error (m), heading error (rad) and curvature (1/m), of shape ``(n, 3)``."""
        lateral_error, heading_error, curvature = privileged_states.T
        yaw_rate = curvature - HEADING_GAIN * heading_error - LATERAL_GAIN * lateral_error
        steering: NDArray[np.float32] = np.clip(yaw_rate / MAX_YAW_RATE, -1.0, 1.0).astype(np.float32)
        return steering[:, None]
