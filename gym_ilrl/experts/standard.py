"""What the experts of the environments that come with Gymnasium have in common."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import NormalizeObservation
from numpy.typing import NDArray

from gym_ilrl.experts.base import Expert

# NormalizeObservation is no ObservationWrapper in Gymnasium 0.29 and leaves the space as it was
CHANGING_WRAPPERS = (gym.ObservationWrapper, gym.ActionWrapper, NormalizeObservation)


class StandardExpert(Expert):
    """An expert that reads the observations of an environment as Gymnasium gives them.

    :param env: the environment, possibly in wrappers that leave observations and actions as they are
    :raises ValueError: if a wrapper changes what is observed or what an action means
    """

    understood_wrappers: ClassVar[tuple[type[gym.Wrapper[Any, Any, Any, Any]], ...]] = ()

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env.observation_space, env.action_space)
        while isinstance(env, gym.Wrapper):
            if not isinstance(env, self.understood_wrappers) and _changes(env):
                raise ValueError(
                    f"{type(self).__name__} reads and acts in the environment as Gymnasium makes it, and the wrapper "
                    f"{type(env).__name__} changes its observations or actions; ask for the expert of the environment "
                    "below this wrapper"
                )
            env = env.env

    def bounded(self, actions: Any) -> NDArray[Any]:
        """Return ``actions``, of shape ``(n, dim)``, clipped to the Box of actions and in its dtype."""
        space = self.action_space
        assert isinstance(space, gym.spaces.Box)
        clipped: NDArray[Any] = np.clip(actions, space.low, space.high).astype(space.dtype)
        return clipped

    def numbered(self, actions: Any) -> NDArray[Any]:
        """Return ``actions``, of shape ``(n,)``, as elements of the Discrete space."""
        return np.asarray(actions).astype(self.action_space.dtype)


def _changes(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> bool:
    inside = wrapper.env
    same_spaces = (wrapper.observation_space, wrapper.action_space) == (inside.observation_space, inside.action_space)
    return isinstance(wrapper, CHANGING_WRAPPERS) or not same_spaces
