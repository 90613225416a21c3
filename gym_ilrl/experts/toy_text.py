"""FrozenLake, Taxi and CliffWalking: planning on the model that the environment exposes."""

from typing import Any

import gymnasium as gym
from numpy.typing import NDArray

from gym_ilrl.experts.planning import greedy_policy, planning_horizon
from gym_ilrl.experts.standard import StandardExpert


class PlannedExpert(StandardExpert):
    """Acts optimally in the environment's own model, ``env.unwrapped.P``.

    The model does not know of the time limit ``T``. Discounting by ``1 - 1/T`` gives the planner an effective horizon
    of ``T`` steps: on FrozenLake8x8, the safe route that an undiscounted planner takes is too slow to arrive in 200.

    :param env: an environment with Discrete observations and a toy-text model ``P``, as it was configured (map,
        slipperiness, rewards)
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        model: Any = env.unwrapped
        horizon = planning_horizon(env.spec)
        self._actions = greedy_policy(model.P, gamma=1 - 1 / horizon)

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return the planned actions for states of shape ``(n,)``."""
        return self.numbered(self._actions[observations])
