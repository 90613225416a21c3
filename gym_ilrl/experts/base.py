"""What an expert is: anything with SB3's ``predict``; here the base classes of the scripted ones."""

from abc import ABC, abstractmethod
from copy import copy
from typing import Any, Protocol, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

SelfPrivilegedExpert = TypeVar("SelfPrivilegedExpert", bound="PrivilegedExpert")


class PolicyPredictor(Protocol):
    """Anything with SB3's ``predict``: SB3's protocol of this name, without importing SB3."""

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the actions for observations, and the next hidden state (see SB3's ``BasePolicy.predict``)."""


class Expert(ABC):
    """A policy with SB3's ``predict`` that computes its actions in numpy, for whole batches.

    Satisfies SB3's ``PolicyPredictor`` protocol, so it goes into ``evaluate_policy``, :func:`gym_ilrl.collect` and
    :class:`gym_ilrl.DAgger` like a trained model.

    :param observation_space: of one environment
    :param action_space: of one environment
    """

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    @abstractmethod
    def act(self, observations: Any) -> NDArray[Any]:
        """Return the actions for a batch of observations (a dict or tuple of batches for Dict and Tuple spaces)."""

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the expert's actions, with the signature of SB3's ``BasePolicy.predict``.

        :param observation: one observation, or a batch of them stacked along the first axis
        :param state: returned as it is: scripted experts have no memory
        :param episode_start: unused
        :param deterministic: unused: scripted experts do not draw
        :return: one action, or a batch of them, and ``state``
        """
        batched = is_batch(observation, self.observation_space)
        actions = self.act(observation if batched else add_batch_axis(observation))
        return (actions if batched else actions[0]), state


class PrivilegedExpert(Expert):
    """An expert that reads the true state of the environment, which the learner does not observe.

    It has to be bound to the environment it acts in: :func:`gym_ilrl.expert` binds it to the environment it is given,
    :func:`gym_ilrl.collect` and :class:`gym_ilrl.DAgger` bind it to their own by :meth:`bind`.
    """

    _env: Any = None

    @abstractmethod
    def act_on_state(self, privileged_states: NDArray[np.float64]) -> NDArray[Any]:
        """Return the actions for a batch of privileged states of shape ``(n, k)``."""

    def bind(self: SelfPrivilegedExpert, env: Any) -> SelfPrivilegedExpert:
        """Return a copy that reads the state of ``env``.

        :param env: a ``gym.Env`` (wrapped or not) or an SB3 ``VecEnv`` whose sub-environments have a
            ``privileged_state`` method
        """
        bound = copy(self)
        bound._env = env
        return bound

    def act(self, observations: Any) -> NDArray[Any]:
        """Return the actions in the current states of the bound environment."""
        if self._env is None:
            raise ValueError(
                f"{type(self).__name__} reads the true state of its environment and is bound to none; "
                "call expert.bind(env), or gym_ilrl.expert(env) with the environment instead of its id"
            )
        states = _privileged_states(self._env)
        if len(states) != _batch_size(observations):
            raise ValueError(
                f"{type(self).__name__} is bound to {len(states)} environment(s) but was asked for "
                f"{_batch_size(observations)} action(s); bind it to the environment that gave the observations"
            )
        return self.act_on_state(states)


def is_batch(observation: Any, space: spaces.Space[Any]) -> bool:
    """Tell whether ``observation`` is a batch of elements of ``space`` rather than one.

    :raises ValueError: if its shape is neither, or it is outside a Discrete space
    """
    if isinstance(space, spaces.Dict):
        key = next(iter(space.spaces))
        return is_batch(observation[key], space.spaces[key])
    if isinstance(space, spaces.Tuple):
        return is_batch(observation[0], space.spaces[0])
    if isinstance(space, spaces.Discrete):
        _check_numbers(np.asarray(observation), space)
    shape = np.shape(observation)
    if shape == space.shape:
        return False
    if shape[1:] == space.shape:
        return True
    raise ValueError(f"expected an observation of shape {space.shape}, or a batch of them, and was given shape {shape}")


def _check_numbers(numbers: NDArray[Any], space: spaces.Discrete) -> None:
    """Refuse what numpy would not take for an index, or, like -1, for another one."""
    if numbers.dtype.kind not in "iu" or (
        numbers.size > 0 and (numbers.min() < space.start or numbers.max() >= space.start + space.n)
    ):
        raise ValueError(f"expected observations of {space}, and was given {numbers.dtype}: {numbers.tolist()}")


def add_batch_axis(observation: Any) -> Any:
    """Turn one observation into a batch of one."""
    if isinstance(observation, dict):
        return {key: np.asarray(value)[None] for key, value in observation.items()}
    if isinstance(observation, tuple):
        return tuple(np.asarray(value)[None] for value in observation)
    return np.asarray(observation)[None]


def _batch_size(observations: Any) -> int:
    if isinstance(observations, dict):
        return len(next(iter(observations.values())))
    return len(observations[0] if isinstance(observations, tuple) else observations)


def _privileged_states(env: Any) -> NDArray[np.float64]:
    if isinstance(env, gym.Env):
        unwrapped: Any = env.unwrapped
        return np.asarray(unwrapped.privileged_state())[None]
    if hasattr(env, "privileged_states"):  # natively vectorised, inside its wrappers
        return np.asarray(env.privileged_states())
    return np.stack(env.env_method("privileged_state"))
