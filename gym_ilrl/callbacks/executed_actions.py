"""Other actions than the algorithm's, executed in its environment."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from gym_ilrl.callbacks.hooks import Hook


class OverridesActions(VecEnvWrapper):
    """Executes what ``hook(actions)`` returns instead of ``actions``; as soon as that is None, nothing is overridden.

    :param venv: what the algorithm would step
    :param hook: called with the algorithm's actions, in the scale of the environment
    """

    def __init__(self, venv: VecEnv, hook: Hook) -> None:
        super().__init__(venv)
        self._hook = hook

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        return self.venv.reset()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Begin a step with the actions of the hook."""
        executed = self._hook(actions)
        self.venv.step_async(actions if executed is None else executed)

    def step_wait(self) -> VecEnvStepReturn:
        """End the step."""
        return self.venv.step_wait()


def overwrite_stored(
    model: OffPolicyAlgorithm, buffer_actions: NDArray[Any], executed: NDArray[Any], rows: NDArray[np.bool_]
) -> None:
    """Overwrite, in place, the actions that the step's transitions are about to be stored with.

    :param model: whose replay buffer holds ``Box`` actions scaled to [-1, 1]
    :param buffer_actions: the variable of this name in its ``collect_rollouts``
    :param executed: what was executed, ``(n_envs, *action_shape)`` in the scale of the environment
    :param rows: bool ``(n_envs,)``: where that was not the algorithm's own
    """
    is_box = isinstance(model.action_space, spaces.Box)
    buffer_actions[rows] = model.policy.scale_action(executed[rows]) if is_box else executed[rows]
