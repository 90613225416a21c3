"""The expert of environments that publish their transition matrix: planned on it."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.tabular import TabularEnv
from gym_ilrl.experts.planning import greedy_actions, planning_horizon, value_iteration
from gym_ilrl.experts.standard import StandardExpert


class TabularExpert(StandardExpert):
    """Maximises the discounted reward, by value iteration on the sparse model.

    Discounting by ``1 - 1/T`` with the time limit ``T`` gives the planner an effective horizon of ``T`` steps.

    :param env: an :class:`gym_ilrl.envs.tabular.TabularEnv`, or one of its subclasses: ``ilrl/ObjectWorld-v0``,
        ``ilrl/BinaryWorld-v0``, ``ilrl/RiskyPath-v0``
    :raises TypeError: if it is another environment
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        model = env.unwrapped
        if not isinstance(model, TabularEnv):
            raise TypeError(f"TabularExpert needs an environment that publishes its model and was given {model!r}")
        horizon = planning_horizon(env.spec)
        self.gamma = 1.0 - 1.0 / max(horizon, 2)
        transitions, rewards = model.transition_matrix.copy(), model.reward.copy()
        leaving = np.repeat(np.tile(model.terminal, len(rewards)), np.diff(transitions.indptr))
        transitions.data[leaving | model.terminal[transitions.indices]] = 0.0  # nothing comes after the end
        rewards[:, model.terminal] = 0.0
        if model.available is not None:
            rewards[~model.available] = -np.inf
        self.values: NDArray[np.float64] = value_iteration(transitions, rewards, self.gamma)  # (n_states,)
        self._actions = greedy_actions(transitions, rewards, self.values, self.gamma)

    def act(self, observations: NDArray[np.int64]) -> NDArray[Any]:
        """Return the planned actions for a batch of states, of shape ``(n,)``."""
        return self.numbered(self._actions[observations])
