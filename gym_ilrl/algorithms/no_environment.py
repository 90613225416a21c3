"""An environment that is only its spaces, for people who have data and nothing to run."""

from typing import Any, NoReturn

import gymnasium as gym
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv


class NoEnvironment(gym.Env[Any, Any]):
    """Stands where SB3 wants an environment; it can be reset, which samples a space, and never stepped.

    :param observation_space: of the demonstrations
    :param action_space: of the demonstrations
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return any observation of the space."""
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> NoReturn:
        """Refuse."""
        raise ValueError("the algorithm was built from demonstrations alone; give it an environment: set_env(env)")


def is_no_environment(env: VecEnv) -> bool:
    """Tell whether nothing can be executed in ``env``."""
    return isinstance(env.unwrapped, DummyVecEnv) and isinstance(env.unwrapped.envs[0].unwrapped, NoEnvironment)
