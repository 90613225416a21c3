"""The expert of ``ilrl/GridMaze-v0``: planned on its exact model."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.grid_maze import GridMazeEnv
from gym_ilrl.experts.planning import greedy_actions, planning_horizon, value_iteration
from gym_ilrl.experts.standard import StandardExpert


class GridMazeExpert(StandardExpert):
    """Takes the way that maximises the discounted reward, by value iteration on the sparse model.

    Discounting by ``1 - 1/T`` with the time limit ``T`` makes early arrival count and reaches far enough.

    :param env: the environment
    :raises TypeError: if it is another environment
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        maze = env.unwrapped
        if not isinstance(maze, GridMazeEnv):
            raise TypeError(f"GridMazeExpert needs an ilrl/GridMaze-v0 and was given {maze!r}")
        horizon = planning_horizon(env.spec)
        self.gamma = 1.0 - 1.0 / max(horizon, 2)
        # the goal leads to itself without reward, so the probability of ending needs not be taken out
        transitions, rewards = maze.transition_matrix, maze.reward
        self.values: NDArray[np.float64] = value_iteration(transitions, rewards, self.gamma)  # (n_states,)
        self._actions = greedy_actions(transitions, rewards, self.values, self.gamma)

    def act(self, observations: NDArray[np.int64]) -> NDArray[Any]:
        """Return the planned actions for a batch of cells, of shape ``(n,)``."""
        return self.numbered(self._actions[observations])
