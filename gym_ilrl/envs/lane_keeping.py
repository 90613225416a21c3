"""``ilrl/LaneKeeping-v0``: keep a car on a winding lane, seeing it through a forward camera."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_ilrl.envs.dynamics import Dynamics
from gym_ilrl.envs.lane_drawing import draw
from gym_ilrl.envs.lane_road import Road
from gym_ilrl.envs.random_numbers import draw_key, uniform
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.vector import DynamicsVectorEnv

STEP = 0.1  # s, and m: the lane passes at 1 m/s
MAX_YAW_RATE = 1.5  # rad/s, at full steering
MAX_HEADING_ERROR = 1.4  # rad
LOOK_AHEAD = np.array([1.0, 2.0, 4.0])  # m, one scan line each
CAMERA_OFFSETS = np.array([0.4, 0.0, -0.4])  # m to the left of the car's centre: left, centre, right camera
N_PIXELS = 16  # a scan line
FIELD_OF_VIEW = 1.0  # tangent of half the horizontal angle
LANE_WIDTH_IN_VIEW = 0.2  # half of it, in the same unit

# Gains of the driver whom the expert and the label correction of the side cameras follow:
#   yaw rate = curvature - HEADING_GAIN * heading_error - LATERAL_GAIN * lateral_error
HEADING_GAIN = 1.6  # 1/s
LATERAL_GAIN = 1.0  # 1/(m s)

START_SPREAD = 0.02  # m, and rad

# Heading of the lane: a long swing and a short one. At most 1.4 rad together: the lane never turns back.
SWING = np.array([[0.4, 0.2], [0.8, 0.6]])  # rad, lowest and highest
FREQUENCY = np.array([[0.3, 0.8], [0.6, 1.2]])  # rad/m, lowest and highest

N_IMAGES = len(CAMERA_OFFSETS) * len(LOOK_AHEAD) * N_PIXELS
N_NOISE_IMAGES = 1024  # longer than an episode: no noise image comes twice in one

STATE = np.dtype(
    [
        ("lateral_error", np.float64),
        ("heading_error", np.float64),
        ("swing", np.float64, 2),
        ("frequency", np.float64, 2),
        ("phase", np.float64, 2),
        ("key", np.uint64),
        ("clock", np.int64),
    ]
)


@lru_cache(maxsize=1)
def _noise_images() -> NDArray[np.float32]:
    noise = np.random.default_rng(0).standard_normal((N_NOISE_IMAGES, N_IMAGES), dtype=np.float32)
    return noise.reshape(N_NOISE_IMAGES, len(CAMERA_OFFSETS), len(LOOK_AHEAD), N_PIXELS)


def _between(bounds: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return bounds[0] + (bounds[1] - bounds[0]) * share


class LaneKeepingDynamics(Dynamics):
    """The rules of :class:`LaneKeepingEnv`, whose arguments they take.

    :param num_envs: number of copies, at least 1
    :param wind: see :class:`LaneKeepingEnv`
    :param noise: see :class:`LaneKeepingEnv`
    :param lane_half_width: see :class:`LaneKeepingEnv`
    """

    def __init__(self, num_envs: int = 1, wind: float = 0.0, noise: float = 0.1, lane_half_width: float = 0.7) -> None:
        super().__init__(num_envs)
        for name, value in (("wind", wind), ("noise", noise)):
            if not 0.0 <= value < np.inf:
                raise ValueError(f"{name} must be a finite number, at least 0, and was {value}")
        if not 0.0 < lane_half_width <= 2.0:
            raise ValueError(f"lane_half_width must be above 0 and at most 2 metres, and was {lane_half_width}")
        self.wind, self.noise, self.lane_half_width = wind, noise, lane_half_width
        n_values = len(LOOK_AHEAD) * N_PIXELS
        self.observation_space = spaces.Box(-np.inf, np.inf, (n_values,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._state = np.zeros(num_envs, dtype=STATE)
        self._state["frequency"] = 1.0  # a lane to look at before the first reset
        self._seen: NDArray[np.float32] | None = None

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        draws = np.array([generator.random(8) for generator in generators])
        state = np.zeros(len(rows), dtype=STATE)
        state["key"] = [draw_key(generator) for generator in generators]
        state["swing"] = _between(SWING, draws[:, 0:2])
        state["frequency"] = _between(FREQUENCY, draws[:, 2:4])
        state["phase"] = 2.0 * np.pi * draws[:, 4:6]
        state["lateral_error"] = START_SPREAD * (2.0 * draws[:, 6] - 1.0)
        state["heading_error"] = START_SPREAD * (2.0 * draws[:, 7] - 1.0)
        self.set_state(rows, state)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        state = self._state
        steering = np.clip(actions.astype(np.float64).reshape(self.num_envs), -1.0, 1.0)
        drift = np.sin(state["heading_error"])
        if self.wind > 0.0:
            drift += self.wind * (2.0 * uniform(state["key"], state["clock"]) - 1.0)
        state["heading_error"] += STEP * (MAX_YAW_RATE * steering - self._curvature())
        state["lateral_error"] += STEP * drift
        state["clock"] += 1
        self._seen = None
        on_lane = (np.abs(state["lateral_error"]) <= self.lane_half_width) & (
            np.abs(state["heading_error"]) <= MAX_HEADING_ERROR
        )
        return np.ones(self.num_envs), ~on_lane

    def observe(self) -> NDArray[np.float32]:
        return self._cameras()[:, 1].copy()

    def info(self) -> dict[str, NDArray[Any]]:
        corrections = -LATERAL_GAIN / MAX_YAW_RATE * CAMERA_OFFSETS
        return {
            "cameras": self._cameras().copy(),
            "steering_corrections": np.tile(corrections, (self.num_envs, 1)),
            "lateral_error": self._state["lateral_error"].copy(),
            "heading_error": self._state["heading_error"].copy(),
            "curvature": self._curvature(),
        }

    def privileged_state(self) -> NDArray[np.float64]:
        return np.stack([self._state["lateral_error"], self._state["heading_error"], self._curvature()], axis=1)

    def get_state(self) -> NDArray[Any]:
        return self._state.copy()

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        self._state[np.asarray(rows)] = state
        self._seen = None

    def render(self, row: int, mode: str) -> Any:
        state = self._state[row]
        return draw(
            self.road(row),
            arc_length=STEP * float(state["clock"]),
            lateral_error=float(state["lateral_error"]),
            heading_error=float(state["heading_error"]),
            cameras=self._cameras()[row].reshape(len(CAMERA_OFFSETS), len(LOOK_AHEAD), N_PIXELS),
        )

    def road(self, row: int) -> Road:
        """Return the lane of one row."""
        state = self._state[row]
        return Road(state["swing"].copy(), state["frequency"].copy(), state["phase"].copy(), self.lane_half_width)

    def _angle(self) -> NDArray[np.float64]:
        position = STEP * self._state["clock"]
        return self._state["frequency"] * position[:, None] + self._state["phase"]

    def _curvature(self) -> NDArray[np.float64]:
        bends = self._state["swing"] * self._state["frequency"] * np.cos(self._angle())
        return np.asarray(bends[:, 0] + bends[:, 1])

    def _cameras(self) -> NDArray[np.float32]:
        """Return what the three cameras see, of shape ``(num_envs, 3, 48)``."""
        if self._seen is None:
            lane = self._lane_in_view().astype(np.float32)
            pixels = np.linspace(-FIELD_OF_VIEW, FIELD_OF_VIEW, N_PIXELS, dtype=np.float32)
            distance = (pixels - lane[..., None]) / np.float32(LANE_WIDTH_IN_VIEW)
            bump = np.maximum(np.float32(1.0) - distance * distance, np.float32(0.0))
            images = bump * bump
            if self.noise > 0.0:
                which = (self._state["key"] + self._state["clock"].astype(np.uint64)) % np.uint64(N_NOISE_IMAGES)
                images += np.float32(self.noise) * _noise_images()[which]
            self._seen = images.reshape(self.num_envs, len(CAMERA_OFFSETS), -1)
        return self._seen

    def _lane_in_view(self) -> NDArray[np.float64]:
        """Return the tangent of the angle at which each scan line of each camera meets the lane's centre.

        Positive to the right; of shape ``(num_envs, cameras, scan lines)``. The lane ahead is a small-angle projection:
        with heading ``theta(s)``, its centre at ``d`` ahead lies ``integral_0^d theta(s+u) - theta(s) du`` to the left.
        """
        state, angle = self._state, self._angle()
        swing, frequency = state["swing"][..., None], state["frequency"][..., None]
        ahead = np.cos(angle)[..., None] - np.cos(angle[..., None] + frequency * LOOK_AHEAD)
        bends = swing / frequency * ahead - swing * np.sin(angle)[..., None] * LOOK_AHEAD
        to_the_left = bends[:, 0] + bends[:, 1] - state["heading_error"][:, None] * LOOK_AHEAD
        camera = state["lateral_error"][:, None] + CAMERA_OFFSETS
        return (camera[..., None] - to_the_left[:, None, :]) / LOOK_AHEAD


class LaneKeepingEnv(SingleEnv):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
    dynamics_class = LaneKeepingDynamics

    def __init__(
        self, wind: float = 0.0, noise: float = 0.1, lane_half_width: float = 0.7, render_mode: str | None = None
    ) -> None:
        super().__init__(LaneKeepingDynamics(1, wind, noise, lane_half_width), render_mode)


class LaneKeepingVectorEnv(DynamicsVectorEnv):
    """Any number of copies of :class:`LaneKeepingEnv`, advanced together."""

    env_class = LaneKeepingEnv
