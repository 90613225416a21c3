"""An environment that pays another reward than its own: a learned one, or one written by hand."""

import inspect
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import ArrayLike, NDArray

ARGUMENTS = ("observations", "actions", "next_observations", "terminated")

RewardFunction = Callable[..., ArrayLike]
"""From the first one to four of :data:`ARGUMENTS`, arrays with one row a transition, to one reward a row."""


class LearnedReward(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Pays ``reward(observations, actions, next_observations, terminated)`` in place of the environment's reward.

    The function gets a batch of one: arrays of the spaces' types with a leading axis of 1, a dictionary of them where
    the observation space is one; ``terminated`` is a bool array and does not count time limits. It returns an array,
    a list or a tensor of shape ``(1,)``. The reward function of :mod:`imitation` takes the same four, in this order:
    ``predict`` of its reward networks fits.

    A function that takes fewer gets the first ones: ``reward(observations)`` earns by what was observed *before* the
    action. An argument with a default value gets its default, unless its name is one of the four.

    The environment's own reward is in ``info["original_reward"]``. With Stable-Baselines3, put the wrapper outside of
    ``Monitor`` (``make_vec_env(..., wrapper_class=LearnedReward, wrapper_kwargs=...)`` does, and so does
    ``LearnedReward(Monitor(env), reward)``): what is logged and what ``evaluate_policy`` measures is then the
    environment's return, not the learned one.

    :param env: any environment
    :param reward: the function, see above
    :raises ValueError: if ``reward`` is no such function; in :meth:`step`, if it does not return one finite number
    """

    def __init__(self, env: gym.Env[ObsType, ActType], reward: RewardFunction) -> None:
        reward = reward.function if isinstance(reward, _Undivided) else reward
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, reward=_Undivided(reward))
        gym.Wrapper.__init__(self, env)
        self._reward = reward
        self._n_positional, self._names = _taken_arguments(reward)
        self._observations: Any = None  # of the present time, a batch of one
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._observations, self._n_steps = _batch_of_one(self.observation_space, observation), 0
        return observation, info

    def step(self, action: ActType) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
        """Step the environment, and pay the reward of the function."""
        actions = _batch_of_one(self.action_space, action)  # copied: the environment may change what it was given
        observation, original, terminated, truncated, info = self.env.step(action)
        if self._observations is None:
            raise gym.error.ResetNeeded("call reset() before step(): the reward is a function of what was observed")
        next_observations = _batch_of_one(self.observation_space, observation)
        transition = (self._observations, actions, next_observations, np.array([terminated], dtype=bool))
        reward = self._evaluate(transition)
        self._observations, self._n_steps = next_observations, self._n_steps + 1
        return observation, reward, terminated, truncated, {**info, "original_reward": float(original)}

    def _evaluate(self, transition: tuple[Any, ...]) -> float:
        named = {name: transition[ARGUMENTS.index(name)] for name in self._names}
        given: Any = self._reward(*transition[: self._n_positional], **named)
        rewards = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        is_number = rewards.shape in ((1,), (1, 1)) and rewards.dtype.kind in "biuf"
        if not is_number or not np.isfinite(rewards).all():
            expected = "one finite number in an array of shape (1,), a row for each transition of its batch of one"
            what = rewards.item() if is_number else f"{rewards.dtype} of shape {rewards.shape}"
            observations, actions = transition[:2]
            raise ValueError(
                f"the reward function must return {expected}, and returned {what} in step {self._n_steps} of the "
                f"episode, for observations={observations!r}, actions={actions!r}"
            )
        return float(rewards.item())


class _Undivided:
    """Holds the function in the environment's spec, of which every wrapper further out makes a deep copy.

    :param function: may be the method of a whole algorithm
    """

    def __init__(self, function: RewardFunction) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> ArrayLike:
        return self.function(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Undivided":
        return self


def _taken_arguments(reward: Any) -> tuple[int, tuple[str, ...]]:
    """Return how many of :data:`ARGUMENTS` go to ``reward`` by position, and the names of those that go by name.

    :raises ValueError: if ``reward`` is not callable, or takes other arguments
    """
    expected = f"a function of ({', '.join(ARGUMENTS)}), or of the first of these"
    if not callable(reward):
        raise ValueError(f"reward must be {expected}, not {reward!r}; of a table: lambda states: table[states]")
    try:
        parameters = inspect.signature(reward).parameters.values()
    except (TypeError, ValueError):  # compiled functions that tell nothing
        raise ValueError(
            f"which arguments {reward!r} takes cannot be told; give {expected}, such as a lambda"
        ) from None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return len(ARGUMENTS), ()
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    n_positional = len(required)
    if n_positional > len(ARGUMENTS) or any(p.kind is p.KEYWORD_ONLY for p in required):
        raise ValueError(f"reward must be {expected}, and {reward!r} needs {', '.join(p.name for p in required)}")
    takes_any_name = any(p.kind is p.VAR_KEYWORD for p in parameters)
    optional = {p.name for p in parameters if p.default is not p.empty and p.kind is not p.POSITIONAL_ONLY}
    named = tuple(name for name in ARGUMENTS[n_positional:] if takes_any_name or name in optional)
    if n_positional == 0 and not named:
        raise ValueError(f"reward must be {expected}, and {reward!r} takes none of them")
    return n_positional, named


def _batch_of_one(space: spaces.Space[Any], value: Any) -> Any:
    """Return a copy of ``value`` with a leading axis of 1: an array, or a dictionary or tuple of arrays."""
    if isinstance(space, spaces.Dict):
        return {key: _batch_of_one(inner, value[key]) for key, inner in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_batch_of_one(inner, part) for inner, part in zip(space, value, strict=True))
    array: NDArray[Any] = np.array(value, dtype=space.dtype)[None]
    return array
