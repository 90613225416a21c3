"""The layouts in which models are given, turned into one sparse matrix with rows ``a * n_states + s``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.arguments import require
from gym_ilrl.planning.checks import check_successors


def action_major(transitions: Any, rewards: NDArray[np.float64]) -> Any:
    """Return a canonical copy in CSR form of a matrix that fits the rewards.

    :param transitions: sparse or dense, of shape ``(n_actions * n_states, n_states)``
    :param rewards: of shape ``(n_actions, n_states)``
    """
    require(rewards.ndim == 2 and rewards.size > 0, "the shape of rewards", rewards.shape, "(n_actions, n_states)")
    matrix = sparse.csr_matrix(transitions, dtype=np.float64, copy=True)
    expected = (rewards.size, rewards.shape[1])
    require(matrix.shape == expected, "the shape of transitions", matrix.shape, f"{expected}, as the rewards have it")
    matrix.sum_duplicates()
    return matrix


def final_matrix(final_transitions: Any, rewards: NDArray[np.float64]) -> Any:
    """Return a canonical copy in CSR form of final transitions that fit the rewards; None: there are none."""
    expected = (rewards.size, rewards.shape[1])
    if final_transitions is None:
        return sparse.csr_matrix(expected)
    matrix = sparse.csr_matrix(final_transitions, dtype=np.float64, copy=True)
    require(matrix.shape == expected, "the shape of final_transitions", matrix.shape, f"{expected}, as transitions")
    matrix.sum_duplicates()
    return matrix


def stacked(given: Any, name: str) -> Any:
    """Return a sparse matrix with the actions stacked, from any layout of :meth:`TabularMDP.from_arrays`.

    :param given: an array ``(n_states, n_actions, n_states)``, a matrix for each action, or a stacked sparse matrix
    :param name: of the argument
    """
    if sparse.issparse(given):
        matrix = sparse.csr_matrix(given, dtype=np.float64)
    elif isinstance(given, Sequence) and all(sparse.issparse(each) or np.ndim(each) == 2 for each in given):
        matrix = sparse.vstack([sparse.csr_matrix(each, dtype=np.float64) for each in given], format="csr")
    else:
        array = np.asarray(given, dtype=np.float64)
        fits = array.ndim == 3 and array.shape[0] == array.shape[2]
        require(fits, f"the shape of {name}", array.shape, "(n_states, n_actions, n_states)")
        matrix = sparse.csr_matrix(array.transpose(1, 0, 2).reshape(-1, len(array)))
    n_rows, n_states = matrix.shape
    fits = n_rows > 0 and n_states > 0 and n_rows % n_states == 0
    require(fits, f"the shape of {name}", matrix.shape, "(n_actions * n_states, n_states)")
    return matrix


def expected_rewards(matrix: Any, rewards: Any) -> NDArray[np.float64]:
    """Return ``r(s, a)``, of shape ``(n_actions, n_states)``, from rewards on states, actions or transitions.

    :param matrix: transitions in CSR form, row ``a * n_states + s``
    :param rewards: as in :meth:`TabularMDP.from_arrays`
    """
    n_states = matrix.shape[1]
    n_actions = matrix.shape[0] // n_states
    per_action = isinstance(rewards, Sequence) and len(rewards) > 0 and sparse.issparse(rewards[0])
    if per_action or sparse.issparse(rewards) or np.ndim(rewards) == 3:
        each = stacked(rewards, "rewards")
        require(each.shape == matrix.shape, "the shape of rewards", each.shape, f"{matrix.shape}, that of transitions")
        expected: NDArray[np.float64] = np.asarray(matrix.multiply(each).sum(axis=1)).reshape(n_actions, n_states)
        return expected
    return on_actions(rewards, n_states, n_actions, "(n_states, n_actions, n_states)")


def on_actions(rewards: Any, n_states: int, n_actions: int, else_of_shape: str) -> NDArray[np.float64]:
    """Return rewards of states or of actions, in the shape ``(n_actions, n_states)``."""
    array = np.asarray(rewards, dtype=np.float64)
    if array.shape == (n_states,):
        return np.tile(array, (n_actions, 1))
    expected = f"(n_states,), (n_states, n_actions) or {else_of_shape}, with {n_states} states and {n_actions} actions"
    require(array.shape == (n_states, n_actions), "the shape of rewards", array.shape, expected)
    actions: NDArray[np.float64] = array.T
    return actions


def by_successors(successors: ArrayLike, probabilities: ArrayLike, rewards: Any) -> tuple[Any, NDArray[np.float64]]:
    """Return transitions and expected rewards, from the arguments of :meth:`TabularMDP.from_successors`."""
    following = np.asarray(successors)
    probability = np.asarray(probabilities, dtype=np.float64)
    require(following.ndim == 3, "the shape of successors", following.shape, "(n_states, n_actions, K)")
    require(np.issubdtype(following.dtype, np.integer), "the dtype of successors", str(following.dtype), "an integer")
    require(probability.shape == following.shape, "the shape of probabilities", probability.shape, f"{following.shape}")
    n_states, n_actions, k = following.shape
    columns = following.transpose(1, 0, 2).ravel()
    check_successors(np.repeat(np.arange(n_actions * n_states), k), columns, n_states)
    indptr = np.arange(n_actions * n_states + 1) * k
    matrix = sparse.csr_matrix(
        (probability.transpose(1, 0, 2).ravel(), columns, indptr), shape=(n_actions * n_states, n_states)
    )
    if np.ndim(rewards) != 3:
        return matrix, on_actions(rewards, n_states, n_actions, "(n_states, n_actions, K)")
    earned = np.asarray(rewards, dtype=np.float64)
    require(earned.shape == following.shape, "the shape of rewards", earned.shape, f"{following.shape}")
    return matrix, np.einsum("sak,sak->as", probability, earned)
