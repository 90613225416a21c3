"""The model of an environment that publishes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from numpy.typing import ArrayLike

from gym_ilrl.experts.planning import model_size
from gym_ilrl.planning.outcomes import Outcome, by_outcomes

_ARRAYS = ("transition_matrix", "reward", "initial_distribution", "terminal")


def arguments_of(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Return transitions, rewards, start and ends of an environment, as :class:`TabularMDP` takes them.

    :param env: as in :meth:`TabularMDP.from_env`
    :raises ValueError: if the environment publishes no model
    """
    unwrapped = env.unwrapped
    available = getattr(unwrapped, "available", None)
    if all(hasattr(unwrapped, name) for name in _ARRAYS):
        matrix, rewards, initial, terminal = (getattr(unwrapped, name) for name in _ARRAYS)
        final = getattr(unwrapped, "final_transitions", None)
        return {
            "transitions": matrix,
            "rewards": rewards,
            "initial": initial,
            "terminal": terminal,
            "available": available,
            "ending": getattr(unwrapped, "ending", None) if final is None else None,
            "final_transitions": final,
        }
    if not hasattr(unwrapped, "P"):
        raise ValueError(
            f"{type(unwrapped).__name__} publishes no model: TabularMDP.from_env needs env.unwrapped.P, as Gymnasium's "
            f"toy-text environments have it, or {', '.join(_ARRAYS)}; see also TabularMDP.from_arrays"
        )
    return _toy_text(unwrapped.P, getattr(unwrapped, "initial_state_distrib", None), available)


def _toy_text(
    P: Mapping[int, Mapping[int, Sequence[Outcome]]], initial: ArrayLike | None, available: ArrayLike | None
) -> dict[str, Any]:
    n_states, n_actions = model_size(P)
    return by_outcomes(lambda state, action: P[state][action], n_states, n_actions, initial, available)
