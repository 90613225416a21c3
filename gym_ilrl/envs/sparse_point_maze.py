"""``ilrl/SparsePointMaze-v0``: a point mass among walls, paid only at the goal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.envs.dynamics import Dynamics
from gym_ilrl.envs.point_maze_layouts import bounds, read_layout
from gym_ilrl.envs.point_maze_viewer import draw
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.vector import DynamicsVectorEnv

# v' = KEPT v + ACCELERATION a, in cells a step: at full thrust the speed tends to 0.06 / (1 - 0.85) = 0.4
KEPT = 0.85
ACCELERATION = 0.06
SPEED_LIMIT = 0.5  # of a state; no step comes to more, nor past a whole cell
START_SPREAD = 0.2  # cells, to each side, along each axis

_STATE = np.dtype([("position", np.float32, 2), ("velocity", np.float32, 2)])


class SparsePointMazeDynamics(Dynamics):
    """The rules of :class:`SparsePointMazeEnv`.

    :param num_envs: number of copies
    :param layout: see :class:`SparsePointMazeEnv`
    :param step_cost: see :class:`SparsePointMazeEnv`
    """

    def __init__(self, num_envs: int = 1, layout: str | Sequence[str] = "U", step_cost: float = 0.0) -> None:
        super().__init__(num_envs)
        require(is_number(step_cost) and step_cost >= 0.0, "step_cost", step_cost, "a finite number, at least 0")
        self.layout = read_layout(layout)
        self.step_cost = float(step_cost)
        height, width = self.layout.free.shape
        high = np.array([width, height, SPEED_LIMIT, SPEED_LIMIT], dtype=np.float32)
        low = np.array([0.0, 0.0, -SPEED_LIMIT, -SPEED_LIMIT], dtype=np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._width = width
        self._goal = self.layout.goal[0] * width + self.layout.goal[1]
        self._bounds = bounds(self.layout.free)
        # x, y and their velocities, one row each: numpy is fast along long last axes. In float32, so that an
        # observation is the whole state and an episode that starts at one replays exactly
        self._motion = np.zeros((4, num_envs), dtype=np.float32)
        self._motion[:2] = self._start()[:, None]

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Put ``rows`` near the start, at rest, or into the observation ``options["state"]``."""
        motion = np.zeros((4, len(rows)), dtype=np.float32)
        if options is not None and "state" in options:
            motion[:] = self._checked_observation(options["state"])[:, None]
        else:
            jitter = np.array([generator.uniform(-START_SPREAD, START_SPREAD, 2) for generator in generators])
            motion[:2] = (self._start() + jitter).T
        self._motion[:, rows] = motion

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Push every row, and move it along x, then along y, up to the wall if there is one."""
        if np.isnan(actions).any():
            raise ValueError(f"expected actions of {self.action_space}, and among those given are some with NaN")
        position, velocity = self._motion[:2], self._motion[2:]
        thrust = np.minimum(np.maximum(actions, -1.0), 1.0).astype(np.float32).T
        velocity *= KEPT
        velocity += ACCELERATION * thrust
        for axis, (low, high) in enumerate(self._bounds):
            cell = self._cells()
            wanted = position[axis] + velocity[axis]
            reached = np.minimum(np.maximum(wanted, low[cell]), high[cell])
            velocity[axis] *= reached == wanted  # a wall takes away the velocity towards it, and that only
            position[axis] = reached
        arrived = self._cells() == self._goal
        return arrived - self.step_cost, arrived

    def observe(self) -> NDArray[np.float32]:
        """Return position and velocity of every row, of shape ``(num_envs, 4)``."""
        return np.array(self._motion.T, order="C")

    def info(self) -> dict[str, NDArray[Any]]:
        """Return whether every row is at the goal."""
        return {"is_success": self._cells() == self._goal}

    def get_state(self) -> NDArray[Any]:
        """Return position and velocity of every row."""
        state = np.empty(self.num_envs, dtype=_STATE)
        state["position"], state["velocity"] = self._motion[:2].T, self._motion[2:].T
        return state

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the given states."""
        motion = np.concatenate([state["position"], state["velocity"]], axis=1)
        for one in motion:
            self._check_motion(one)
        self._motion[:, rows] = motion.T

    def render(self, row: int, mode: str) -> Any:
        """Draw the maze and the point."""
        if mode != "rgb_array":
            return super().render(row, mode)
        x, y, x_velocity, y_velocity = self._motion[:, row].tolist()
        return draw(self.layout, (x, y), (x_velocity, y_velocity))

    def _start(self) -> NDArray[np.float64]:
        row, column = self.layout.start
        return np.array([column + 0.5, row + 0.5])

    def _cells(self) -> NDArray[np.intp]:
        """Return the index ``row * width + column`` of the cell that every row is in."""
        column, row = self._motion[:2].astype(np.intp)
        return np.asarray(row * self._width + column)

    def _checked_observation(self, observation: Any) -> NDArray[np.float32]:
        given = np.asarray(observation)
        if given.dtype.kind not in "fiu" or given.shape != (4,):
            raise ValueError(
                "options['state'] must be an observation (x, y, vx, vy) to start at, of shape (4,), and was given "
                f"{given.dtype} of shape {given.shape}"
            )
        motion = given.astype(np.float32)
        self._check_motion(motion)
        if (int(motion[1]), int(motion[0])) == self.layout.goal:
            raise ValueError(
                f"an episode cannot start at the goal, where it ends, and options['state'] is {observation}"
            )
        return motion

    def _check_motion(self, motion: NDArray[np.float32]) -> None:
        """Refuse a point that is in a wall, or too fast for the walls to stop it."""
        if not np.abs(motion[2:]).max() <= SPEED_LIMIT:
            raise ValueError(f"a state has velocities from -{SPEED_LIMIT} to {SPEED_LIMIT}, not {motion[2:].tolist()}")
        x, y = motion[:2].tolist()
        height, width = self.layout.free.shape
        if not (0.0 <= x < width and 0.0 <= y < height and self.layout.free[int(y), int(x)]):
            raise ValueError(
                f"the state is inside a wall: x = {x:g}, y = {y:g} in a maze of {height} rows and {width} columns; "
                "it may be of another layout"
            )


class SparsePointMazeEnv(SingleEnv):
    """A point mass is to find the goal of a maze, which is the only place where there is a reward.

    In the manner of the PointMaze of D4RL (Fu et al., arXiv:2004.07219, section 5), without a physics engine. Random
    actions do not get round the first corners, so that exploration by noise never sees a reward; a few demonstrations
    show the way, and resets into their states shorten it (Salimans and Chen, arXiv:1812.03381).

    **Dynamics.** With position ``p`` and velocity ``v`` in cells and action ``a``, every step::

        v' = 0.85 * v + 0.06 * a
        p' = p + v'

    first along x, then along y. A wall stops the point at its face and takes the velocity towards it; along the wall it
    slides on. Full thrust comes to a speed of 0.4.

    **Observation.** ``Box(float32)`` of shape ``(4,)``: x to the right and y down, in cells from the upper left corner
    of the grid, then both velocities, in cells a step. It is the whole state: ``reset(options={"state": observation})``
    starts an episode there, and the same actions lead on exactly as they did. A state in a wall, at the goal or faster
    than 0.5 is refused.

    **Action.** ``Box(-1, 1, (2,), float32)``: thrust along x and y; values outside are clipped.

    **Start.** At rest within 0.2 of the middle of the start, along each axis.

    **Reward.** 1 for arriving in the cell of the goal, else 0; each step costs ``step_cost``.

    **Termination.** On arriving. ``gym.make`` truncates after 250 steps; larger mazes want more:
    ``gym.make("ilrl/SparsePointMaze-v0", layout=rows, max_episode_steps=1000)``.

    **Info.** ``is_success``: whether the goal is reached; Stable-Baselines3 logs its mean as ``rollout/success_rate``.

    :param layout: ``"U"``, ``"S"`` or ``"L"`` (6, 16 and 30 cells from start to goal), or a grid of your own: a list of
        strings, one a row, with ``#`` for a wall, a space for a free cell, one ``S`` and one ``G``; outside is wall
    :param step_cost: subtracted from the reward of every step, at least 0: makes a slow demonstrator a suboptimal one
    :param render_mode: ``None`` or ``"rgb_array"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range, or the goal cannot be reached

    **Expert.** :class:`gym_ilrl.experts.sparse_point_maze.SparsePointMazeExpert` follows a shortest way and
    arrives in every episode, in 24, 58 and 105 steps on average. Random actions arrive in 1 of 8 episodes on ``"U"``
    and in none on ``"S"`` and ``"L"``.

    **Version history.** v0: first version.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}
    dynamics_class = SparsePointMazeDynamics
    dynamics: SparsePointMazeDynamics

    def __init__(
        self, layout: str | Sequence[str] = "U", step_cost: float = 0.0, render_mode: str | None = None
    ) -> None:
        super().__init__(SparsePointMazeDynamics(1, layout, step_cost), render_mode)


class SparsePointMazeVectorEnv(DynamicsVectorEnv):
    """Any number of mazes of one layout; see :class:`SparsePointMazeEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = SparsePointMazeEnv
