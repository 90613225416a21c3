"""What the experts of the environments that come with Gymnasium have in common."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import NormalizeObservation
from numpy.typing import NDArray

from gym_ilrl.experts.base import Expert

SelfStandardExpert = TypeVar("SelfStandardExpert", bound="StandardExpert")

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
        self._environment = type(env.unwrapped)
        while isinstance(env, gym.Wrapper):
            if not isinstance(env, self.understood_wrappers) and _changes(env):
                raise ValueError(
                    f"{type(self).__name__} reads and acts in the environment as Gymnasium makes it, and the wrapper "
                    f"{type(env).__name__} changes its observations or actions; ask for the expert of the environment "
                    "below this wrapper"
                )
            env = env.env

    def bind(self: SelfStandardExpert, env: Any) -> SelfStandardExpert:
        """Return the expert made anew for ``env``: planned for its map, its rule book, its parameters.

        Wrappers that SB3 puts around a ``VecEnv`` are not looked at: give the expert the observations below them.

        :param env: a ``gym.Env`` or an SB3 ``VecEnv``
        :raises ValueError: if it is another environment, or a wrapper changes its observations or actions
        """
        with single_environment(env) as single:
            if not isinstance(single.unwrapped, self._environment):
                raise ValueError(
                    f"this {type(self).__name__} is the expert of {self._environment.__name__} and was given "
                    f"{type(single.unwrapped).__name__} to act in; ask for the expert of the environment it acts in"
                )
            made = type(self)(single)
        if not isinstance(env, gym.Env):
            check_unchanged(made, env.unwrapped)
        return made

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


@contextlib.contextmanager
def single_environment(env: Any) -> Iterator[gym.Env[Any, Any]]:
    """Give one environment of those in ``env``, or, where they are out of reach, one made like them.

    :param env: a ``gym.Env`` or an SB3 ``VecEnv``
    :raises LookupError: if they are out of reach and have no spec to make one from
    """
    if isinstance(env, gym.Env):
        yield env
        return
    in_this_process = getattr(env.unwrapped, "envs", None)
    if in_this_process:
        yield in_this_process[0]
        return
    spec = env.get_attr("spec")[0]
    if spec is None:
        raise LookupError(no_spec(env))
    kwargs = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
    made = gym.make(replace(spec, kwargs=kwargs, additional_wrappers=()))
    try:
        yield made
    finally:
        made.close()


def check_unchanged(expert: Expert, venv: Any) -> None:
    """Refuse an SB3 ``VecEnv`` that changes what ``expert`` observes or how it acts.

    :raises ValueError: if it does
    """
    same_spaces = (venv.observation_space, venv.action_space) == (expert.observation_space, expert.action_space)
    in_this_process = getattr(venv.unwrapped, "envs", None)  # then the expert has looked at the wrappers itself
    wrapped = not in_this_process and any(any(venv.env_is_wrapped(wrapper)) for wrapper in CHANGING_WRAPPERS)
    if wrapped or not same_spaces:
        raise ValueError(
            f"{type(expert).__name__} observes {expert.observation_space} and acts in {expert.action_space}, and "
            f"wrappers in this {type(venv).__name__} change them; ask for the expert by the environment's id, and "
            "let it act in an environment without them"
        )


def no_spec(env: Any) -> str:
    """Say what helps with an environment that does not tell which one it is."""
    return (
        f"this {type(env).__name__} has no spec that tells which environment it is; make it with gymnasium.make(), ask "
        "for its expert by id, or pass your own policy, any function or object with predict(), where an expert is "
        "expected"
    )
