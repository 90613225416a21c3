"""The simulator's state in the infos, where demonstrations keep it."""

from typing import Any

import gymnasium as gym
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs

from gym_ilrl.wrappers.simulator_state import simulator


class RecordState(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Adds the state of the simulator to each info, as ``info["state"]``: a flat array, float64 or uint8.

    Demonstrations recorded through it can be started from: ``collect(policy, RecordState(env), n_episodes=5,
    infos=["state"])``, then :class:`~gym_ilrl.wrappers.DemoReset`.

    :param env: an ``ilrl/``, MuJoCo, classic control or tabular toy text environment, wrapped or not, or one of your
        own with ``get_state()``, ``set_state(state)`` and ``observe()``
    :raises ValueError: if its state cannot be set
    """

    def __init__(self, env: gym.Env[ObsType, ActType]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._simulator = simulator(env)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment, and read its state."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "state": self._simulator.get_state()}

    def step(self, action: ActType) -> tuple[ObsType, Any, bool, bool, dict[str, Any]]:
        """Step the environment, and read its state."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "state": self._simulator.get_state()}
