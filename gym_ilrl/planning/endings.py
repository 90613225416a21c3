"""How episodes end: which rows of a model matter, what terminal states take out of it, where no ending is reached."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.planning.reachability import reachable, steps_to_end

_ROUNDING = 1e-12  # of a sum of probabilities


def keep_rows(acting: NDArray[np.bool_], matrix: Any) -> None:
    """Empty the rows of terminal states and of unavailable actions.

    :param acting: the rows that matter, of shape ``(n_actions, n_states)``
    :param matrix: in CSR form, row ``a * n_states + s``
    """
    if not acting.all():
        matrix.data[np.repeat(~acting.ravel(), np.diff(matrix.indptr))] = 0.0
        matrix.eliminate_zeros()


def end_in(terminal: NDArray[np.bool_], matrix: Any, final: Any) -> Any:
    """Take the rows of terminal states out of a model, and move the probability of entering one from ``matrix``.

    :param terminal: of shape ``(n_states,)``
    :param matrix: transitions in CSR form, row ``a * n_states + s``
    :param final: final transitions, likewise; none from terminal states
    :return: the final transitions, with those into terminal states
    """
    acting = np.broadcast_to(~terminal, (matrix.shape[0] // len(terminal), len(terminal)))
    keep_rows(acting, matrix)
    entering = terminal[matrix.indices]
    if not entering.any():
        return final
    starts = np.append(0, np.cumsum(entering))[matrix.indptr]
    arriving = sparse.csr_matrix((matrix.data[entering], matrix.indices[entering], starts), shape=matrix.shape)
    matrix.data[entering] = 0.0
    matrix.eliminate_zeros()
    return sparse.csr_matrix(final + arriving)


def ending_of(matrix: Any, available: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what the rows of a model lack to 1, and 0 for unavailable actions, in the shape of ``available``."""
    ending: NDArray[np.float64] = 1.0 - np.asarray(matrix.sum(axis=1)).reshape(available.shape)
    ending[(ending < _ROUNDING) | ~available] = 0.0
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
