"""What the cameras of ``ilrl/LaneKeeping-v0`` see of the lane."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CAMERA_OFFSETS = np.array([0.15, 0.0, -0.15])  # m to the left of the car's centre: left, centre, right camera
CENTRE = 1
LOOK_AHEAD = np.array([1.0, 2.0, 4.0])  # m, one scan line each
N_PIXELS = 16  # of a scan line
HALF_VIEW = 1.0  # tangent of half the horizontal field of view: 45 degrees to each side
HALF_SPOT = 0.2  # half the width of the bright spot, in the same unit

_PIXELS = np.linspace(-HALF_VIEW, HALF_VIEW, N_PIXELS, dtype=np.float32)
_N_NOISE_IMAGES = 1024  # longer than an episode: no noise image comes twice in one


def images(
    lateral_error: NDArray[np.float64], heading_error: NDArray[np.float64], bends: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the noiseless images of all cameras.

    The lane's centre at ``d`` ahead is seen, to the right, under the tangent ``(e + c + psi d - bend(d)) / d`` from a
    camera ``c`` to the left of the car's centre (small angles).

    :param lateral_error: ``e`` in m, to the left, of shape ``(n,)``
    :param heading_error: ``psi`` in rad, to the left, of shape ``(n,)``
    :param bends: how far to the left of straight ahead of the lane it lies at each of :data:`LOOK_AHEAD`, in m, of
        shape ``(scan lines, n)``
    :return: brightness ``max(1 - z^2, 0)^2``, ``z`` being the distance to the lane's centre in half spots, from 0 to 1,
        of shape ``(n, cameras, scan lines, pixels)``
    """
    ahead = heading_error * LOOK_AHEAD[:, None] - bends
    lane = (lateral_error + CAMERA_OFFSETS[:, None, None] + ahead) / LOOK_AHEAD[:, None]  # (cameras, scan lines, n)
    spot: NDArray[np.float32] = _PIXELS - np.ascontiguousarray(lane.transpose(2, 0, 1), np.float32)[..., None]
    spot *= np.float32(1.0 / HALF_SPOT)
    spot *= spot
    np.subtract(np.float32(1.0), spot, out=spot)
    np.maximum(spot, np.float32(0.0), out=spot)
    spot *= spot
    return spot


def noise_images(deviation: float, which: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return images of Gaussian noise, cut off at -1 and 1, picked from a fixed set by any numbers of shape ``(n,)``.

    :param deviation: standard deviation
    :param which: of shape ``(n,)``; successive numbers give independent images
    :return: of shape ``(n, cameras, scan lines, pixels)``
    """
    chosen: NDArray[np.float32] = _all_noise_images(deviation)[which % np.uint64(_N_NOISE_IMAGES)]
    return chosen


@lru_cache(maxsize=4)
def _all_noise_images(deviation: float) -> NDArray[np.float32]:
    shape = (_N_NOISE_IMAGES, len(CAMERA_OFFSETS), len(LOOK_AHEAD), N_PIXELS)
    noise: NDArray[np.float32] = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return np.asarray(np.clip(np.float32(deviation) * noise, -1.0, 1.0))
