"""Reacher: inverse kinematics of the two-link arm, then proportional and derivative control of the joints."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.experts.standard import StandardExpert

_UPPER, _LOWER = 0.1, 0.11  # m: link lengths of reacher.xml
_STIFFNESS, _DAMPING = 0.3, 0.05  # per rad and per rad/s, of the largest torque; best return on a grid of both

Angles = NDArray[np.float64]


class ReacherExpert(StandardExpert):
    """Drives both joints to the angles at which the fingertip is on the target.

    Of the two solutions, elbow left and elbow right, it takes the one that is nearer to the current angles.

    :param env: ``Reacher-v4`` or ``-v5``, whose observations agree in what is read here
    """

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return torques of shape ``(n, 2)``."""
        angles = np.arctan2(observations[:, 2:4], observations[:, 0:2])
        target, velocities = observations[:, 4:6], observations[:, 6:8]
        errors = np.stack([angles_at(target, elbow) - angles for elbow in (1.0, -1.0)])  # (2, n, 2)
        errors[..., 0] = (errors[..., 0] + np.pi) % (2 * np.pi) - np.pi  # the shoulder turns freely, the elbow does not
        nearer = np.abs(errors).sum(axis=2).argmin(axis=0)
        error = errors[nearer, np.arange(len(angles))]
        return self.bounded(_STIFFNESS * error - _DAMPING * velocities)


def angles_at(target: NDArray[np.float64], elbow: float) -> Angles:
    """Return the joint angles that put the fingertip on ``target``, or as near as the arm reaches.

    :param target: positions, of shape ``(n, 2)``, in metres
    :param elbow: 1 for an elbow that bends to the left, -1 to the right
    :return: of shape ``(n, 2)``, in radians
    """
    x, y = target.T
    cosine = (x**2 + y**2 - _UPPER**2 - _LOWER**2) / (2 * _UPPER * _LOWER)
    bend = elbow * np.arccos(np.clip(cosine, -1, 1))
    shoulder = np.arctan2(y, x) - np.arctan2(_LOWER * np.sin(bend), _UPPER + _LOWER * np.cos(bend))
    return np.stack([shoulder, bend], axis=1)
