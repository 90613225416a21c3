"""``ilrl/LaneKeeping-v0``: keep a car on a winding lane, seeing it through a forward camera."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_ilrl.envs.dynamics import Dynamics, is_within
from gym_ilrl.envs.lane_camera import CAMERA_OFFSETS, CENTRE, LOOK_AHEAD, N_PIXELS, images, noise_images
from gym_ilrl.envs.lane_drawing import draw
from gym_ilrl.envs.lane_road import Road
from gym_ilrl.envs.random_numbers import draw_key, uniform
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.vector import DynamicsVectorEnv

STEP = 0.1  # s, and m: the lane passes at 1 m/s
MAX_YAW_RATE = 1.5  # rad/s, at full steering
MAX_HEADING_ERROR = 1.4  # rad
START_SPREAD = 0.02  # m, and rad, to each side

# Gains of the driver whom the expert and the label correction of the side cameras follow:
#   yaw rate = curvature - HEADING_GAIN * heading_error - LATERAL_GAIN * lateral_error
HEADING_GAIN = 1.6  # 1/s
LATERAL_GAIN = 1.0  # 1/(m s)
STEERING_CORRECTIONS = -LATERAL_GAIN / MAX_YAW_RATE * CAMERA_OFFSETS

# Heading of the lane: a long swing and a short one. At most 1.4 rad together: the lane never turns back.
SWING = np.array([[0.4, 0.2], [0.8, 0.6]])  # rad, lowest and highest
FREQUENCY = np.array([[0.3, 0.8], [0.6, 1.2]])  # rad/m, lowest and highest

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


class LaneKeepingDynamics(Dynamics):
    """The rules of :class:`LaneKeepingEnv`, whose arguments they take.

    :param num_envs: number of copies, at least 1
    :param wind: see :class:`LaneKeepingEnv`
    :param noise: see :class:`LaneKeepingEnv`
    :param lane_half_width: see :class:`LaneKeepingEnv`
    """

    def __init__(self, num_envs: int = 1, wind: float = 0.3, noise: float = 0.1, lane_half_width: float = 0.3) -> None:
        super().__init__(num_envs)
        for name, value in (("wind", wind), ("noise", noise)):
            if not is_within(value, 0.0, np.finfo(np.float64).max):
                raise ValueError(f"{name} must be a finite number, at least 0, and was {value!r}")
        if not is_within(lane_half_width, 0.0, 2.0) or lane_half_width == 0.0:
            raise ValueError(f"lane_half_width must be above 0 and at most 2 metres, and was {lane_half_width!r}")
        self.wind, self.noise, self.lane_half_width = wind, noise, lane_half_width
        self.observation_space = spaces.Box(-1.0, 2.0, (len(LOOK_AHEAD) * N_PIXELS,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self._state = np.zeros(num_envs, dtype=STATE)
        self._state["frequency"] = 1.0  # a lane to look at before the first reset
        self._outdated = True  # whether the state has changed since the next two were worked out
        self._curvature = np.zeros(num_envs)
        self._seen = np.zeros((num_envs, len(CAMERA_OFFSETS), len(LOOK_AHEAD) * N_PIXELS), dtype=np.float32)

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Draw a new lane for each of ``rows`` and put the car on its start, about in the middle."""
        draws = np.array([generator.random(8) for generator in generators])
        state = np.zeros(len(rows), dtype=STATE)
        state["key"] = [draw_key(generator) for generator in generators]
        state["swing"] = SWING[0] + (SWING[1] - SWING[0]) * draws[:, 0:2]
        state["frequency"] = FREQUENCY[0] + (FREQUENCY[1] - FREQUENCY[0]) * draws[:, 2:4]
        state["phase"] = 2.0 * np.pi * draws[:, 4:6]
        state["lateral_error"] = START_SPREAD * (2.0 * draws[:, 6] - 1.0)
        state["heading_error"] = START_SPREAD * (2.0 * draws[:, 7] - 1.0)
        self.set_state(rows, state)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Advance every row by 0.1 s."""
        self._up_to_date()
        state = self._state
        steering = np.clip(actions.astype(np.float64).reshape(self.num_envs), -1.0, 1.0)
        drift = np.sin(state["heading_error"])
        if self.wind > 0.0:
            drift += self.wind * (2.0 * uniform(state["key"], state["clock"]) - 1.0)
        state["heading_error"] += STEP * (MAX_YAW_RATE * steering - self._curvature)
        state["lateral_error"] += STEP * drift
        state["clock"] += 1
        self._outdated = True
        on_lane = (np.abs(state["lateral_error"]) <= self.lane_half_width) & (
            np.abs(state["heading_error"]) <= MAX_HEADING_ERROR
        )
        return np.ones(self.num_envs), ~on_lane

    def observe(self) -> NDArray[np.float32]:
        """Return what the centre camera of every row sees, of shape ``(num_envs, 48)``."""
        self._up_to_date()
        return np.array(self._seen[:, CENTRE])

    def info(self) -> dict[str, NDArray[Any]]:
        """Return the true errors and the curvature, and the images of all cameras with their label corrections."""
        self._up_to_date()
        return {
            "cameras": self._seen.copy(),
            "steering_corrections": np.full((self.num_envs, len(CAMERA_OFFSETS)), STEERING_CORRECTIONS),
            "lateral_error": self._state["lateral_error"].copy(),
            "heading_error": self._state["heading_error"].copy(),
            "curvature": self._curvature.copy(),
        }

    def privileged_state(self) -> NDArray[np.float64]:
        """Return lateral error (m), heading error (rad) and curvature (1/m), of shape ``(num_envs, 3)``."""
        self._up_to_date()
        return np.stack([self._state["lateral_error"], self._state["heading_error"], self._curvature], axis=1)

    def get_state(self) -> NDArray[Any]:
        """Return a copy of the records of all rows."""
        return np.array(self._state)

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the given states, lanes included."""
        chosen = np.asarray(rows)
        self._state[chosen] = state
        if not self._outdated:
            self._look(chosen)

    def render(self, row: int, mode: str) -> NDArray[np.uint8]:
        """Draw one row from above."""
        self._up_to_date()
        state = self._state[row]
        return draw(
            self.road(row),
            arc_length=STEP * float(state["clock"]),
            lateral_error=float(state["lateral_error"]),
            heading_error=float(state["heading_error"]),
            cameras=self._seen[row].reshape(len(CAMERA_OFFSETS), len(LOOK_AHEAD), N_PIXELS),
        )

    def road(self, row: int) -> Road:
        """Return the lane of one row."""
        state = self._state[row]
        return Road(state["swing"].copy(), state["frequency"].copy(), state["phase"].copy(), self.lane_half_width)

    def _up_to_date(self) -> None:
        if self._outdated:
            self._look(slice(None))
            self._outdated = False

    def _look(self, rows: Any) -> None:
        """Work out what depends on the state of ``rows`` (any index): the curvature and the images of the cameras."""
        state = self._state[rows]
        self._curvature[rows], bends = _lane_ahead(state)
        seen = images(state["lateral_error"], state["heading_error"], bends)
        if self.noise > 0.0:
            seen += noise_images(self.noise, state["key"] + state["clock"].astype(np.uint64))
        self._seen[rows] = seen.reshape(len(state), *self._seen.shape[1:])


def _lane_ahead(state: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the curvature here, and how far to the left the lane bends until each look-ahead distance ``d``.

    With the lane's heading ``theta(s) = sum_j a_j sin(w_j s + p_j)`` these are ``theta'(s)`` and the integral of
    ``theta(s + u) - theta(s)`` over ``u`` from 0 to ``d`` (small angles).

    :return: in 1/m, of shape ``(n,)``; in m, of shape ``(scan lines, n)``
    """
    swing, frequency, phase = (np.ascontiguousarray(state[name].T) for name in ("swing", "frequency", "phase"))
    angle = frequency * (STEP * state["clock"]) + phase  # (waves, n): numpy is fast along long last axes
    cosine = np.cos(angle)
    ahead = np.cos(angle[:, None] + LOOK_AHEAD[:, None] * frequency[:, None])  # (waves, scan lines, n)
    bends = (swing / frequency)[:, None] * (cosine[:, None] - ahead)
    curvature, heading = swing * frequency * cosine, swing * np.sin(angle)
    return curvature[0] + curvature[1], bends[0] + bends[1] - LOOK_AHEAD[:, None] * (heading[0] + heading[1])


class LaneKeepingEnv(SingleEnv):
    """A car keeps a winding lane at constant speed; the learner sees the lane through a forward camera.

    The task of ALVINN (Pomerleau, "ALVINN: An Autonomous Land Vehicle in a Neural Network", NIPS 1988) and of the
    DAgger paper's driving experiment (Ross, Gordon and Bagnell, AISTATS 2011) at its smallest. A driver who never errs
    shows the middle of the lane only, so a clone that drifts to the side sees images on which it was not trained, and
    drifts further: covariate shift.

    **Dynamics.** The kinematic error model of lane keeping (Rajamani, "Vehicle Dynamics and Control", chapter 2). With
    lateral error ``e`` and heading error ``psi`` (both positive to the left), curvature ``k(s)`` of the lane, steering
    ``a`` and gust ``g``, every 0.1 s::

        psi' = psi + 0.1 * (1.5 * a - k(s))
        e'   = e + 0.1 * (sin(psi) + g)
        s'   = s + 0.1

    The heading of the lane is the sum of two sines of ``s`` whose amplitudes, frequencies and phases are drawn at
    reset; ``|k|`` is at most 1.2 per metre. ``e`` and ``psi`` start within 0.02 of zero.

    **Observation.** ``Box(-1, 2, (48,), float32)``: three scan lines of 16 pixels each, at 1, 2 and 4 m ahead, from
    left to right over 90 degrees. A bright spot (height 1) marks the lane's centre if it is in view; to every pixel
    Gaussian noise, cut off at -1 and 1, is added.

    **Action.** ``Box(-1, 1, (1,), float32)``: steering, 1 being full left; values outside are clipped.

    **Reward.** 1 a step.

    **Termination.** When the car's centre leaves the lane (``|e| > lane_half_width``) or the car turns away from it
    (``|psi| > 1.4`` rad). Truncation after 600 steps, by the ``TimeLimit`` of ``gym.make``.

    **Info.** ``lateral_error`` (m), ``heading_error`` (rad), ``curvature`` (1/m), and for side-camera augmentation
    (Bojarski et al., "End to End Learning for Self-Driving Cars", arXiv:1604.07316, section 2) ``cameras`` of shape
    ``(3, 48)``: the images of a left, the centre and a right camera, mounted at 0.15, 0 and -0.15 m to the left; and
    ``steering_corrections`` of shape ``(3,)``: what to add to the expert's steering, then clipped to ``[-1, 1]``, to
    label each of these images (a camera ``c`` to the left sees what the centre camera would see at ``e + c``, where the
    expert steers ``-c / 1.5`` more).

    :param wind: highest speed of the gusts from the side in m/s; each step draws one, uniform in ``[-wind, wind]``
    :param noise: standard deviation of the noise of a pixel, at least 0
    :param lane_half_width: from the lane's centre to its border in m, in ``(0, 2]``
    :param render_mode: ``None`` or ``"rgb_array"``: the road from above, and below it the images of the three cameras,
        the learner's framed

    **Expert.** :class:`gym_ilrl.experts.lane_keeping.LaneKeepingExpert` steers by the true errors and the curvature
    (:meth:`privileged_state`); mean return 600 over 100 episodes. Uniform random steering: about 17.

    **Version history.** v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    dynamics_class = LaneKeepingDynamics
    dynamics: LaneKeepingDynamics

    def __init__(
        self, wind: float = 0.3, noise: float = 0.1, lane_half_width: float = 0.3, render_mode: str | None = None
    ) -> None:
        super().__init__(LaneKeepingDynamics(1, wind, noise, lane_half_width), render_mode)

    def road(self) -> Road:
        """Return the lane of this episode, e.g. to draw on it the path that a list of lateral errors describes."""
        return self.dynamics.road(self.row)


class LaneKeepingVectorEnv(DynamicsVectorEnv):
    """Any number of copies of :class:`LaneKeepingEnv`, advanced together."""

    env_class = LaneKeepingEnv
