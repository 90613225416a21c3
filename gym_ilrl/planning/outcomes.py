"""Models given as lists of outcomes: ``(probability, next_state, reward, terminated)``, as in Gymnasium's toy-text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.arguments import require_positive_int
from gym_ilrl.planning.checks import check_successors, filled

Outcome = tuple[float, int, float, bool]  # probability, next state, reward, terminated
OutcomeFunction = Callable[[int, int], Sequence[Outcome]]


def by_outcomes(
    outcomes: OutcomeFunction,
    n_states: int,
    n_actions: int,
    initial: ArrayLike | None = None,
    available: ArrayLike | None = None,
) -> dict[str, Any]:
    """Return transitions, rewards, endings and terminal states, as :class:`TabularMDP` takes them.

    States that are entered only by outcomes that terminate are terminal, unless episodes start there. Where the start
    is not known they must also stay as they are and earn nothing.

    :param outcomes: called as ``outcomes(state, action)``
    :param n_states: number of states
    :param n_actions: number of actions
    :param initial: probability of starting in each state, of shape ``(n_states,)``
    :param available: which actions exist, of shape ``(n_actions, n_states)``; no other one is asked for
    """
    require_positive_int("n_states", n_states)
    require_positive_int("n_actions", n_actions)
    shape = (n_actions, n_states)
    exist = filled(available, shape, "available", 1.0) != 0.0
    listed = [(a * n_states + s, *outcome) for a, s in np.argwhere(exist).tolist() for outcome in outcomes(s, a)]
    table = np.array(listed, dtype=np.float64).reshape(-1, 5)
    rows, following = table[:, 0].astype(np.int64), table[:, 2].astype(np.int64)
    check_successors(rows, following, n_states)
    probability, reward, ends = table[:, 1], table[:, 3], table[:, 4] != 0.0
    start = None if initial is None else filled(initial, (n_states,), "initial", 0.0)
    return {
        "transitions": _matrix(rows[~ends], following[~ends], probability[~ends], shape),
        "final_transitions": _matrix(rows[ends], following[ends], probability[ends], shape),
        "rewards": np.bincount(rows, probability * reward, n_actions * n_states).reshape(shape),
        "initial": start,
        "terminal": _terminal(rows % n_states, table[:, 1:], start, n_states),
        "available": available,
    }


def _matrix(
    rows: NDArray[np.int64], following: NDArray[np.int64], probability: NDArray[np.float64], shape: tuple[int, int]
) -> Any:
    return sparse.csr_matrix((probability, (rows, following)), shape=(shape[0] * shape[1], shape[1]))


def _terminal(
    states: NDArray[np.int64], outcomes: NDArray[np.float64], initial: NDArray[np.float64] | None, n_states: int
) -> NDArray[np.bool_]:
    happening = outcomes[:, 0] > 0.0
    following, reward, ends = outcomes[:, 1].astype(np.int64), outcomes[:, 2], outcomes[:, 3] != 0.0
    over = np.zeros(n_states, dtype=np.bool_)
    over[following[ends & happening]] = True
    over[following[~ends & happening]] = False
    if initial is None:
        over[states[happening & ((states != following) | (reward != 0.0))]] = False
    else:
        over[initial > 0.0] = False
    return over
