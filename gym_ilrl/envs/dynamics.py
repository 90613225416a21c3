"""One environment's rules, written once for any number of copies.

The single environment (:mod:`gym_ilrl.envs.single`), Gymnasium's vector environment (:mod:`gym_ilrl.envs.vector`) and
SB3's ``VecEnv`` (:mod:`gym_ilrl.vec_env`) are three thin faces of the same :class:`Dynamics`, so they agree exactly.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class Dynamics(ABC):
    """``num_envs`` copies of one environment, stepped together by numpy.

    A row is one copy. Randomness inside an episode is a pure function of the row's key (drawn at its reset) and its
    clock (:func:`gym_ilrl.envs.random_numbers.uniform`), never a draw from a shared stream: rows do not influence each
    other, a step on a finished row has no side effect, and a saved state replays exactly.

    :param num_envs: number of copies, at least 1
    """

    observation_space: spaces.Space[Any]  # of one environment
    action_space: spaces.Space[Any]  # of one environment

    def __init__(self, num_envs: int = 1) -> None:
        if not is_integer(num_envs) or num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, an integer, and was given {num_envs!r}")
        self.num_envs = num_envs

    @abstractmethod
    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Start a new episode in each of ``rows``, row ``rows[j]`` drawing from ``generators[j]`` only."""

    @abstractmethod
    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Advance every row by one step.

        :param actions: of shape ``(num_envs, *action_space.shape)``
        :return: rewards and terminations, each of shape ``(num_envs,)``, fresh arrays
        """

    @abstractmethod
    def observe(self) -> Any:
        """Return the current observation of every row, stacked, as fresh arrays (a dict of them for Dict spaces)."""

    def info(self) -> dict[str, NDArray[Any]]:
        """Return numeric extras of every row, stacked along the first axis, as fresh arrays.

        Scalars are float64, int64 or bool, which is what their Python forms in the single environment become again.
        """
        return {}

    @abstractmethod
    def get_state(self) -> NDArray[Any]:
        """Return a copy of everything that :meth:`set_state` needs to replay, one structured-array record a row."""

    @abstractmethod
    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the states that :meth:`get_state` returned."""

    def privileged_state(self) -> NDArray[np.float64]:
        """Return what the learner does not observe but the expert may, of shape ``(num_envs, k)``."""
        raise AttributeError(f"{type(self).__name__} has no privileged state: its expert needs the observation only")

    def render(self, row: int, mode: str) -> Any:
        """Draw one row: ``"rgb_array"`` gives uint8 ``(height, width, 3)``, ``"ansi"`` a string."""
        raise ValueError(f"{type(self).__name__} cannot be rendered as {mode!r}")


def is_integer(value: Any) -> bool:
    """Tell whether an argument is a whole number, 8.0 included."""
    return isinstance(value, Real) and value == value // 1  # NaN and infinity are not: infinity // 1 is NaN


def is_within(value: Any, low: float, high: float) -> bool:
    """Tell whether an argument is a number from ``low`` to ``high``."""
    return isinstance(value, Real) and low <= float(value) <= high
