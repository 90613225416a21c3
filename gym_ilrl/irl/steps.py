"""The steps of demonstrations in terms of a known process, and what is refused there, by episode and step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.tabular_mdp import TabularMDP

UNKNOWN = -1
"""The action of a step where only states were seen."""

_NOTHING = 1e-6  # discount beyond which nothing of an episode is missed
_HINT = "; are demonstrations and model of the same environment, and their states and actions numbered alike?"


class Steps(NamedTuple):
    """All steps of all episodes in their order; each array has the shape ``(n_steps,)``.

    :param time: number of steps before it in its episode
    :param action: ``UNKNOWN`` where only states were seen
    :param state: in which the action was taken
    :param next_state: that followed, the last one of an episode included
    :param episode: number of the episode
    """

    time: NDArray[np.int64]
    action: NDArray[np.int64]
    state: NDArray[np.int64]
    next_state: NDArray[np.int64]
    episode: NDArray[np.int64]

    @property
    def is_last(self) -> NDArray[np.bool_]:
        """Which steps are the last of their episode."""
        return np.append(self.episode[1:] != self.episode[:-1], True)[: len(self.episode)]

    def rows(self, mdp: TabularMDP) -> NDArray[np.int64]:
        """Return the rows ``a * n_states + s`` of the process that may have made each step, ``(n, n_steps)``."""
        unknown = len(self.action) > 0 and self.action[0] == UNKNOWN
        actions = np.arange(mdp.n_actions)[:, None] if unknown else self.action[None, :]
        rows: NDArray[np.int64] = actions * mdp.n_states + self.state
        return rows


def check_steps(steps: Steps, mdp: TabularMDP, terminated: NDArray[np.bool_] | None = None) -> bool:
    """Refuse steps that the process does not have, and tell whether every episode is complete.

    :param steps: of the demonstrations
    :param mdp: the process
    :param terminated: whether the environment ended the episode by this step; None: not known
    :raises ValueError: naming the first episode and step with a state or an action that is none, beyond the horizon,
        out of a terminal state, with an unavailable action, or to a state to which it cannot lead
    :return: whether every episode runs from a possible start to an ending of the process, to its horizon, or until
        what may follow is discounted by a factor of a million
    """
    _check_numbers(steps, mdp)
    going_on, ending = _outcomes(steps, mdp)
    last = steps.is_last
    _refuse(steps, ~(going_on | (last & ending)), lambda i: f"{_named(steps, i)} is impossible in the model{_HINT}")
    if terminated is not None:
        _refuse(
            steps,
            terminated & ~ending,
            lambda i: f"{_named(steps, i)} ended the episode, and in the model it goes on; make that state terminal",
        )
    ended = last & ending & ~going_on if terminated is None else last & ending & (terminated | ~going_on)
    begun = mdp.initial[steps.state[steps.time == 0]] > 0.0
    finished = ended | (mdp.gamma ** (steps.time + 1.0) <= _NOTHING)
    if mdp.horizon is not None:
        finished |= steps.time + 1 == mdp.horizon
    return bool(begun.all() and finished[last].all())


def probability(matrix: Any, rows: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return entries of a sparse matrix, of the shape of ``rows``.

    :param matrix: in CSR form
    :param rows: of the entries
    :param states: their columns, in a shape that broadcasts with ``rows``
    """
    if rows.size == 0:
        return np.zeros(rows.shape)
    columns = np.broadcast_to(states, rows.shape)
    return np.asarray(matrix[rows.ravel(), columns.ravel()], dtype=np.float64).reshape(rows.shape)


def arrival_probability(mdp: TabularMDP, rows: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the probability of arriving in a state, to go on from there or to end.

    :param mdp: the process
    :param rows: ``a * n_states + s`` of each action that may have led there, of shape ``(n_alternatives, n)``
    :param states: of shape ``(n,)``
    :return: of the shape of ``rows``
    """
    chances = probability(mdp.transitions, rows, states)
    if mdp.final_transitions is not None:
        return chances + probability(mdp.final_transitions, rows, states)
    ended = ~np.any(chances > 0.0, axis=0)  # where episodes end is not known: what cannot go on there has ended
    return np.where(ended, mdp.ending.ravel()[rows], chances)


def _outcomes(steps: Steps, mdp: TabularMDP) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether each step can go on in its next state, and whether it can end the episode there."""
    rows = steps.rows(mdp)
    going_on = probability(mdp.transitions, rows, steps.next_state) > 0.0
    if mdp.final_transitions is None:  # it is not known where episodes end: it may be in any state
        ending = mdp.ending.ravel()[rows] > 0.0
    else:
        ending = probability(mdp.final_transitions, rows, steps.next_state) > 0.0
    return np.any(going_on, axis=0), np.any(ending, axis=0)


def _check_numbers(steps: Steps, mdp: TabularMDP) -> None:
    n_actions, n_states = mdp.rewards.shape
    for states in (steps.state, steps.next_state):
        wrong = (states < 0) | (states >= n_states)
        _refuse(steps, wrong, lambda i, s=states: f"state {s[i]} is none of 0 ... {n_states - 1}{_HINT}")  # type: ignore[misc]
    wrong = ((steps.action < 0) | (steps.action >= n_actions)) & (steps.action != UNKNOWN)
    _refuse(steps, wrong, lambda i: f"action {steps.action[i]} is none of 0 ... {n_actions - 1}{_HINT}")
    if mdp.horizon is not None:
        _refuse(steps, steps.time >= mdp.horizon, lambda i: f"it is beyond the horizon of {mdp.horizon} steps")
    _refuse(steps, mdp.terminal[steps.state], lambda i: f"state {steps.state[i]} is terminal and has no further step")
    if mdp.available is not None and UNKNOWN not in steps.action[:1]:
        wrong = ~mdp.available[steps.action, steps.state]
        _refuse(steps, wrong, lambda i: f"action {steps.action[i]} is not available in state {steps.state[i]}")


def _refuse(steps: Steps, wrong: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
    found = np.flatnonzero(wrong)
    if len(found):
        i = int(found[0])
        raise ValueError(
            f"episode {steps.episode[i]}, step {steps.time[i]} (from 0) of the demonstrations: {reason(i)}"
        )


def _named(steps: Steps, i: int) -> str:
    by = "the step" if steps.action[i] == UNKNOWN else f"action {steps.action[i]}"
    return f"{by} from state {steps.state[i]} to state {steps.next_state[i]}"
