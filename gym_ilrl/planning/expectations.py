"""Averages over the next state: what features and rewards of transitions become on states and actions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.arguments import require, require_positive_int
from gym_ilrl.planning.tabular_mdp import TabularMDP

TransitionFunction = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], ArrayLike]

_BLOCK = 1_000_000  # transitions that the function is asked for at once


def expected_over_next(mdp: TabularMDP, function: TransitionFunction, d: int) -> NDArray[np.float64]:
    """Return ``sum_s' P(s' | s, a) f(s, a, s')``, the average of a function of transitions over the next states.

    The states in which the episode ends are among the next states. In terminal states and for unavailable actions the
    average is 0.

    :param mdp: the problem; where episodes end, its endings must name the state, see
        :attr:`TabularMDP.final_transitions`
    :param function: called as ``function(states, actions, next_states)`` with three integer arrays of shape ``(n,)``,
        a million transitions at most, returns an array of shape ``(n, d)``
    :param d: how many numbers the function gives for each transition, at least 1
    :raises ValueError: if the function returns another shape, or the process ends without naming a state
    :return: of shape ``(n_actions, n_states, d)``
    """
    require_positive_int("d", d)
    if mdp.final_transitions is None:
        raise ValueError(
            "the process ends without saying in which state, so that nothing can be averaged over the next state: "
            "build it with final_transitions or terminal states in place of ending"
        )
    average = _averaged(mdp.transitions, function, d)
    if mdp.final_transitions.nnz:
        average += _averaged(mdp.final_transitions, function, d)
    return average.reshape(*mdp.rewards.shape, d)


def _averaged(matrix: Any, function: TransitionFunction, d: int) -> NDArray[np.float64]:
    n_rows, n_states = matrix.shape
    average = np.zeros((n_rows, d))
    begin = 0
    while begin < n_rows:
        end = int(np.searchsorted(matrix.indptr, matrix.indptr[begin] + _BLOCK, side="right")) - 1
        end = max(begin + 1, end)
        first, last = matrix.indptr[begin], matrix.indptr[end]
        actions, states = np.divmod(np.repeat(np.arange(begin, end), np.diff(matrix.indptr[begin : end + 1])), n_states)
        values = np.asarray(function(states, actions, matrix.indices[first:last].astype(np.int64)), dtype=np.float64)
        require(values.shape == (last - first, d), "the shape of what function returns", values.shape, "(n, d)")
        weights = sparse.csr_matrix(
            (matrix.data[first:last], np.arange(last - first), matrix.indptr[begin : end + 1] - first),
            shape=(end - begin, last - first),
        )
        average[begin:end] = weights @ values
        begin = end
    return average
