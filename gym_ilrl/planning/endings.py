"""How episodes end: what terminal states take out of a model, and where no ending can be reached."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.reachability import reachable, steps_to_end

_ROUNDING = 1e-12  # of a sum of probabilities


def end_in(terminal: NDArray[np.bool_], matrix: Any, rewards: NDArray[np.float64]) -> None:
    """Take the rows of terminal states, and the probability of entering them, out of a model."""
    leaving = np.repeat(np.tile(terminal, len(rewards)), np.diff(matrix.indptr))
    matrix.data[leaving | terminal[matrix.indices]] = 0.0
    matrix.eliminate_zeros()
    rewards[:, terminal] = 0.0


def ending_of(matrix: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return what the rows of a model lack to 1."""
    ending: NDArray[np.float64] = 1.0 - np.asarray(matrix.sum(axis=1)).reshape(shape)
    ending[ending < _ROUNDING] = 0.0
    return ending


def unending(
    matrix: Any, ending: NDArray[np.float64], initial: NDArray[np.float64], terminal: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the states from which no ending can be reached; refuse them where the start leads to one.

    :param matrix: transitions in CSR form, row ``a * n_states + s``, without those into terminal states
    :param ending: of shape ``(n_actions, n_states)``
    :param initial: of shape ``(n_states,)``
    :param terminal: of shape ``(n_states,)``
    """
    stranded: NDArray[np.bool_] = steps_to_end(matrix, ending, terminal) < 0
    if not stranded.any():
        return stranded
    met = np.flatnonzero(stranded & reachable(matrix, initial))
    if len(met):
        raise ValueError(
            f"without discount and horizon episodes must be able to end, and from state {met[0]} none can: give "
            "terminal states, gamma < 1 or a horizon"
        )
    return stranded
