"""What demonstrations say about a known process, from any form in which users give them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gym_ilrl.arguments import require
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import demonstrations_of
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.planning.tabular_mdp import TabularMDP


def given_demonstrations(given: Any) -> Any:
    """Return demonstrations, read from their file if a path was given; or sequences of states; or an occupancy.

    :raises TypeError: if something else was given
    """
    if isinstance(given, Demonstrations) or _is_occupancy(given) or _is_sequences(given):
        return given
    if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str):
        raise TypeError(
            "demonstrations must be Demonstrations, the path of a saved one, a list of integer arrays, the observations"
            f" of each episode, or a float array of shape (n_states, n_actions), and were {given!r:.100}"
        )
    return demonstrations_of(given)


def expert_visits(
    given: Any,
    mdp: TabularMDP,
    observation_space: spaces.Discrete,
    action_space: spaces.Discrete,
    state_only: bool = False,
) -> ExpertVisits:
    """Return what demonstrations say about a process.

    :param given: :class:`~gym_ilrl.Demonstrations`; or sequences of observations, one for each episode, the last one
        included, where actions are not known; or the expert's expected discounted number of visits per episode, of
        shape ``(n_states, n_actions)``
    :param mdp: the process
    :param observation_space: that of the observations
    :param action_space: that of the actions
    :param state_only: leave the actions of demonstrations out
    """
    start = int(observation_space.start)
    if isinstance(given, Demonstrations):
        if state_only:
            episodes = [np.asarray(episode.observations).reshape(-1) - start for episode in given]
            return ExpertVisits.from_states(episodes, mdp)
        return ExpertVisits.from_demonstrations(given, mdp, start, int(action_space.start))
    if _is_occupancy(given):
        require(not state_only, "state_only", state_only, "False for an occupancy of states and actions")
        return ExpertVisits.from_occupancy(given, mdp)
    is_ambiguous = isinstance(given, np.ndarray) and given.shape == mdp.rewards.shape[::-1]
    expected = "of floating-point numbers, as an occupancy, or a list of sequences of states"
    require(not is_ambiguous, "a demonstrations array of shape (n_states, n_actions)", given, expected)
    return ExpertVisits.from_states([np.asarray(states).reshape(-1) - start for states in given], mdp)


def _is_occupancy(given: Any) -> bool:
    return isinstance(given, np.ndarray) and given.ndim == 2 and np.issubdtype(given.dtype, np.floating)


def _is_sequences(given: Any) -> bool:
    return (
        isinstance(given, Sequence | np.ndarray)
        and not isinstance(given, str | bytes)
        and len(given) > 0
        and all(np.issubdtype(np.asarray(states).dtype, np.integer) and np.ndim(states) >= 1 for states in given)
    )
