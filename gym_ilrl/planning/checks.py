"""What is refused as a Markov decision process, naming the state and the action."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import is_number, is_whole, require

_TOLERANCE = 1e-6  # of a sum of probabilities: single precision is welcome


def check_limits(gamma: object, horizon: object) -> None:
    """Refuse a discount factor outside of ``[0, 1]`` and a horizon that is no positive whole number."""
    require(is_number(gamma) and 0.0 <= float(gamma) <= 1.0, "gamma", gamma, "in [0, 1]")  # type: ignore[arg-type]
    require(horizon is None or is_whole(horizon, 1), "horizon", horizon, "a whole number of at least 1, or None")


def filled(given: ArrayLike | None, shape: tuple[int, ...], name: str, default: float) -> NDArray[np.float64]:
    """Return a copy of what is given, or the default, in this shape."""
    if given is None:
        return np.full(shape, default, dtype=np.float64)
    array = np.array(given, dtype=np.float64)
    require(array.shape == shape, f"the shape of {name}", array.shape, f"{shape}")
    return array


def check_available(
    available: ArrayLike | None, terminal: NDArray[np.bool_], shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which actions exist, in terminal states all of them; refuse a state without any.

    :param available: as in :class:`TabularMDP`
    :param terminal: of shape ``(n_states,)``
    :param shape: ``(n_actions, n_states)``
    """
    if available is not None:
        given = np.asarray(available)
        fits = given.dtype == np.bool_ or bool(np.isin(given, (0, 1)).all())
        require(fits, "available", available, "True or False for every action in every state")
    offered = filled(available, shape, "available", True).astype(np.bool_)
    offered[:, terminal] = True
    wrong = np.flatnonzero(~offered.any(axis=0))
    if len(wrong):
        raise ValueError(f"state {wrong[0]} has no available action: make one available, or make the state terminal")
    return offered


def check_rows(matrix: Any, final: Any, ending: NDArray[np.float64], acting: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Refuse rows that are no probability distribution.

    :param matrix: transitions in CSR form, row ``a * n_states + s``; rows that do not matter are empty
    :param final: final transitions, likewise
    :param ending: probability of ending without entering a state, of shape ``(n_actions, n_states)``
    :param acting: the rows that matter, of shape ``(n_actions, n_states)``; the others are given the sum 1
    :return: what each row sums to, of shape ``(n_rows,)``
    """
    n_states = matrix.shape[1]
    for part in (matrix, final):
        wrong = np.flatnonzero(~(part.data >= 0.0))  # NaN is no probability either
        if len(wrong):
            row = np.searchsorted(part.indptr, wrong[0], side="right") - 1
            _refuse_probability(row, n_states, part.data[wrong[0]])
    wrong = np.flatnonzero(~(ending >= 0.0))
    if len(wrong):
        _refuse_probability(wrong[0], n_states, ending.flat[wrong[0]])
    totals: NDArray[np.float64] = np.asarray(matrix.sum(axis=1)).ravel() + ending.ravel()
    if final.nnz:
        totals += np.asarray(final.sum(axis=1)).ravel()
    matters = acting.ravel()
    wrong = np.flatnonzero(matters & (totals == 0.0))
    if len(wrong):
        raise ValueError(
            f"{_place(wrong[0], n_states)} leads nowhere: give it a next state, itself for instance, or make the state "
            "terminal or the action unavailable"
        )
    wrong = np.flatnonzero(matters & ~(np.abs(totals - 1.0) <= _TOLERANCE))
    if len(wrong):
        raise ValueError(f"the probabilities of {_place(wrong[0], n_states)} must sum to 1, not {totals[wrong[0]]:.6g}")
    totals[~matters] = 1.0
    return totals


def check_successors(rows: NDArray[np.int64], following: NDArray[np.int64], n_states: int) -> None:
    """Refuse next states that are not among the states.

    :param rows: of shape ``(n,)``, ``a * n_states + s``
    :param following: the next state in each of them
    :param n_states: number of states
    """
    wrong = np.flatnonzero((following < 0) | (following >= n_states))
    if len(wrong):
        raise ValueError(
            f"next states must be in 0 ... {n_states - 1}, and one of {_place(rows[wrong[0]], n_states)} is "
            f"{following[wrong[0]]}"
        )


def check_rewards(rewards: NDArray[np.float64], acting: NDArray[np.bool_]) -> None:
    """Refuse rewards that are not finite; take out those of terminal states and of unavailable actions.

    :param rewards: of shape ``(n_actions, n_states)``
    :param acting: where a reward can be earned, of the same shape
    """
    finite = np.isfinite(rewards)
    if not finite.all() and (~finite & acting).any():
        action, state = np.argwhere(~finite & acting)[0]
        raise ValueError(
            f"rewards must be finite, and that of action {action} in state {state} is {rewards[action, state]}"
        )
    if not acting.all():
        rewards[~acting] = 0.0


def check_initial(initial: ArrayLike | None, terminal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distribution of the first state; refuse what is none, and a start in a terminal state."""
    if terminal.all():
        raise ValueError("every state is terminal: at least one must have actions to choose from")
    if initial is None:
        uniform: NDArray[np.float64] = ~terminal / (~terminal).sum()
        return uniform
    start = filled(initial, terminal.shape, "initial", 0.0)
    require(bool((start >= 0.0).all()), "initial", start, "probabilities of at least 0")
    require(abs(start.sum() - 1.0) <= _TOLERANCE, "the sum of initial", float(start.sum()), "1")
    wrong = np.flatnonzero(terminal & (start > 0.0))
    if len(wrong):
        raise ValueError(f"state {wrong[0]} is terminal, and an episode cannot start there; take it out of initial")
    start /= start.sum()
    return start


def _refuse_probability(row: Any, n_states: int, probability: float) -> None:
    raise ValueError(f"probabilities must be at least 0, and one of {_place(row, n_states)} is {probability:g}")


def _place(row: Any, n_states: int) -> str:
    action, state = divmod(int(row), n_states)
    return f"action {action} in state {state}"
