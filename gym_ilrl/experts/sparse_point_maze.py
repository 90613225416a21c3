"""The expert of ``ilrl/SparsePointMaze-v0``: planned on its grid."""

from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.envs.sparse_point_maze import SparsePointMazeEnv
from gym_ilrl.experts.standard import StandardExpert

POSITION_GAIN = 4.0  # 1/cells
VELOCITY_GAIN = 5.0  # steps/cells

SelfSparsePointMazeExpert = TypeVar("SelfSparsePointMazeExpert", bound="SparsePointMazeExpert")


class SparsePointMazeExpert(StandardExpert):
    """Steers to the middle of the next cell on a shortest way, planned by breadth-first search.

    Proportional-derivative control: the thrust is ``4 (target - position) - 5 velocity``, clipped.

    :param env: the environment
    :param thrust: share of the full thrust that is used, in ``(0, 1]``; a weaker demonstrator is slower, and worse
        where steps cost something
    :raises TypeError: if it is another environment
    :raises ValueError: if ``thrust`` is out of range
    """

    def __init__(self, env: gym.Env[Any, Any], thrust: float = 1.0) -> None:
        super().__init__(env)
        maze = env.unwrapped
        if not isinstance(maze, SparsePointMazeEnv):
            raise TypeError(f"SparsePointMazeExpert needs an ilrl/SparsePointMaze-v0 and was given {maze!r}")
        require(is_number(thrust) and 0.0 < thrust <= 1.0, "thrust", thrust, "a share of the full thrust, in (0, 1]")
        self.thrust = float(thrust)
        self._targets = _middle_of_next_cell(maze.dynamics.layout.distances)

    def bind(self: SelfSparsePointMazeExpert, env: Any) -> SelfSparsePointMazeExpert:
        """Return the expert planned anew for the maze of ``env``, with the same thrust."""
        bound = super().bind(env)
        bound.thrust = self.thrust
        return bound

    def act(self, observations: NDArray[np.float32]) -> NDArray[Any]:
        """Return the thrust for a batch of positions and velocities, of shape ``(n, 2)``."""
        motion = observations.astype(np.float64)
        position, velocity = motion[:, :2], motion[:, 2:]
        height, width = self._targets.shape[:2]
        column, row = np.clip(position, 0.0, [width - 1, height - 1]).astype(np.intp).T
        wanted = POSITION_GAIN * (self._targets[row, column] - position) - VELOCITY_GAIN * velocity
        return self.bounded(self.thrust * np.clip(wanted, -1.0, 1.0))


def _middle_of_next_cell(distances: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return x and y of the middle of the neighbour nearest to the goal, for each cell.

    The goal, and cells without a neighbour that is nearer, have their own.

    :return: of shape ``(rows, columns, 2)``
    """
    unreachable = np.iinfo(np.int64).max
    padded = np.pad(np.where(distances < 0, unreachable, distances), 1, constant_values=unreachable)
    moves = np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)])  # row, column
    height, width = distances.shape
    around = [padded[1 + row : 1 + row + height, 1 + column : 1 + column + width] for row, column in moves.tolist()]
    cells = np.moveaxis(np.indices(distances.shape), 0, -1)
    return np.asarray((cells + moves[np.argmin(around, axis=0)])[..., ::-1] + 0.5)
