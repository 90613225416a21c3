"""The face of :class:`~gym_ilrl.envs.dynamics.Dynamics` as a single ``gymnasium.Env``."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.dynamics import Dynamics
from gym_ilrl.envs.episodes import checked_actions, info_of_row, observation_of_row

SelfSingleEnv = TypeVar("SelfSingleEnv", bound="SingleEnv")


class SingleEnv(gym.Env[Any, Any]):
    """One copy of an environment's rules.

    A subclass names its rules (:attr:`dynamics_class`), declares its ``metadata``, and in ``__init__`` passes
    ``dynamics_class(1, <its arguments>)`` on. It keeps nothing on itself: whatever else it offers it reads from
    :attr:`dynamics` at :attr:`row`, because it may be a *view* of one row of a vectorised environment
    (:meth:`view`), which answers every question about that row but cannot be stepped by itself.

    :param dynamics: the rules
    :param render_mode: ``None`` or one of ``metadata["render_modes"]``
    :param row: the row of ``dynamics`` this is a view of; ``None``: ``dynamics`` has one row, which it owns
    """

    dynamics_class: ClassVar[type[Dynamics]]

    def __init__(self, dynamics: Dynamics, render_mode: str | None = None, row: int | None = None) -> None:
        check_render_mode(render_mode, self.metadata["render_modes"])
        self.dynamics = dynamics
        self.row = 0 if row is None else row
        self.render_mode = render_mode
        self.observation_space = dynamics.observation_space
        self.action_space = dynamics.action_space
        self._is_view = row is not None

    @classmethod
    def view(cls: type[SelfSingleEnv], dynamics: Dynamics, row: int, render_mode: str | None = None) -> SelfSingleEnv:
        """Return a view of one row of ``dynamics``.

        :param dynamics: the rules of a vectorised environment, shared
        :param row: which of its copies, from 0
        :param render_mode: ``None`` or one of ``metadata["render_modes"]``
        """
        env = cls.__new__(cls)
        SingleEnv.__init__(env, dynamics, render_mode, row)
        return env

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start a new episode; see ``gymnasium.Env.reset``."""
        self._refuse_if_view("reset")
        super().reset(seed=seed)
        self.dynamics.reset([0], [self.np_random], options)
        return self.observe(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step; see ``gymnasium.Env.step``."""
        self._refuse_if_view("step")
        rewards, terminations = self.dynamics.step(checked_actions(np.asarray(action)[None], self.dynamics))
        return self.observe(), float(rewards[0]), bool(terminations[0]), False, self._info()

    def observe(self) -> Any:
        """Return the current observation, e.g. after :meth:`set_state`."""
        return observation_of_row(self.dynamics.observe(), self.row)

    def privileged_state(self) -> NDArray[np.float64]:
        """Return what the learner does not observe but the expert may, of shape ``(k,)``.

        :raises AttributeError: if the expert of this environment needs the observation only
        """
        return np.array(self.dynamics.privileged_state()[self.row])

    def get_state(self) -> NDArray[Any]:
        """Return everything that :meth:`set_state` needs to replay, a structured array of shape ``()``."""
        return np.array(self.dynamics.get_state()[self.row])

    def set_state(self, state: NDArray[Any]) -> None:
        """Continue from a state that :meth:`get_state` returned.

        The steps counted by a ``TimeLimit`` are not part of it.

        :raises ValueError: if it is the state of an environment of another kind or size
        """
        given, expected = np.asarray(state), self.dynamics.get_state().dtype
        if given.dtype != expected or given.size != 1:  # numpy would assign the fields of another kind by position
            raise ValueError(
                f"expected what get_state() of one {type(self).__name__} returns, with the fields {expected.names}, "
                f"and was given {given.dtype} of shape {given.shape}"
            )
        self.dynamics.set_state([self.row], given.reshape(1))

    def render(self) -> Any:
        """Draw the current state in the ``render_mode`` given at construction."""
        if self.render_mode is None:
            gym.logger.warn(f"render() needs a render_mode, e.g. gym.make(..., render_mode={self._first_mode()!r})")
            return None
        return self.dynamics.render(self.row, self.render_mode)

    def _first_mode(self) -> str:
        return str(self.metadata["render_modes"][0])

    def _info(self) -> dict[str, Any]:
        return info_of_row(self.dynamics.info(), self.row)

    def _refuse_if_view(self, name: str) -> None:
        if self._is_view:
            raise RuntimeError(
                f"{name}() was called on environment {self.row} of a vectorised one, whose environments are advanced "
                f"together; call {name}() of the vectorised environment"
            )


def check_render_mode(render_mode: str | None, modes: Sequence[str]) -> None:
    """Refuse a ``render_mode`` that is neither ``None`` nor one of ``modes``."""
    if render_mode is not None and render_mode not in modes:
        raise ValueError(f"render_mode must be None or one of {', '.join(modes)}, and was given {render_mode!r}")
