"""Rewards that are linear in features of states, actions or transitions of a known process."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.arguments import require
from gym_ilrl.planning import expected_over_next
from gym_ilrl.planning.tabular_mdp import TabularMDP

REWARD_ON = ("states", "actions", "transitions")

FeatureFunction = Callable[..., ArrayLike]
"""``f(states)``, ``f(states, actions)`` or ``f(states, actions, next_states)``: features, of shape ``(n, d)``."""


class EarnedRewards:
    """What a table of rewards earns in every state with every action: a linear map, and its adjoint.

    The reward of a state is earned by acting in it, that of a terminal state once, on arrival:

        ``r(a, s) = w(s) + gamma sum_s' P(end in s' | s, a) w(s')``

    so that the return is the discounted sum over all states of an episode, the last one included. Rewards of actions
    are what they are.

    :param mdp: the process
    :param on: ``"states"``: a table has the shape ``(n_states,)``; ``"actions"``: ``(n_actions, n_states)``
    :raises ValueError: if rewards are on states and the process does not know in which states its episodes end
    """

    def __init__(self, mdp: TabularMDP, on: str) -> None:
        require(on in ("states", "actions"), "on", on, "states or actions")
        self.on_states = on == "states"
        self._acting = ~mdp.terminal
        self._shape = mdp.rewards.shape
        self._arriving: Any = None
        if self.on_states and mdp.ending.any():
            if mdp.final_transitions is None:
                raise ValueError(
                    "rewards on states need to know in which states episodes end, and this process was built with a "
                    "bare ending=...; give terminal states, or put the reward on actions"
                )
            self._arriving = mdp.gamma * mdp.final_transitions
            self._arriving_back = sparse.csr_matrix(self._arriving.T)

    @property
    def table_shape(self) -> tuple[int, ...]:
        """Shape of a table."""
        return self._shape[1:] if self.on_states else self._shape

    def rewards(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``r(a, s)``, of shape ``(n_actions, n_states)``, 0 in terminal states."""
        if not self.on_states:
            return table * self._acting
        earned = np.empty(self._shape)
        earned[:] = table * self._acting
        if self._arriving is not None:
            earned += (self._arriving @ table).reshape(self._shape)
        return earned

    def adjoint(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivative with respect to the table of what has the derivative ``gradient`` with respect to r."""
        if not self.on_states:
            return gradient * self._acting
        table: NDArray[np.float64] = gradient.sum(axis=0) * self._acting
        if self._arriving is not None:
            table += self._arriving_back @ gradient.ravel()
        return table


class Features:
    """Rewards linear in features: ``w = F theta`` on states or actions, and the adjoint of it.

    :param earned: what a table of rewards earns
    :param matrix: features, dense or sparse, one row for each entry of the (flattened) table; None: the identity, a
        parameter for every entry
    :param function: what the features were computed by, for rewards on transitions
    """

    def __init__(self, earned: EarnedRewards, matrix: Any = None, function: FeatureFunction | None = None) -> None:
        self.earned = earned
        self.matrix = matrix
        self.function = function
        self.n_features = int(np.prod(earned.table_shape)) if matrix is None else int(matrix.shape[1])
        require(self.n_features >= 1, "the number of features", self.n_features, "at least 1")
        self._transposed = None if matrix is None else sparse.csr_matrix(matrix.T) if _is_sparse(matrix) else matrix.T

    @property
    def largest(self) -> NDArray[np.float64]:
        """Largest absolute value of each feature, of shape ``(d,)``."""
        if self.matrix is None:
            return np.ones(self.n_features)
        largest = abs(self.matrix).max(axis=0)
        return largest.toarray().ravel() if _is_sparse(largest) else np.asarray(largest)

    def table(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the reward of every state, or of every action in every state, action-major."""
        flat = weights if self.matrix is None else self.matrix @ weights
        return np.asarray(flat).reshape(self.earned.table_shape)

    def rewards(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``r(a, s)``, of shape ``(n_actions, n_states)``."""
        return self.earned.rewards(self.table(weights))

    def adjoint(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``sum_a,s gradient(a, s) d r(a, s) / d theta``: of an occupancy, its feature expectation."""
        table = self.earned.adjoint(gradient).ravel()
        return table if self._transposed is None else np.asarray(self._transposed @ table)


def features_of(mdp: TabularMDP, given: Any, on: str) -> Features:
    """Return features as users give them.

    :param mdp: the process
    :param given: an array, a sparse matrix or a function. On states: of shape ``(n_states, d)``, or ``f(states)``. On
        actions: ``(n_states, n_actions, d)``, or ``f(states, actions)``. On transitions: ``f(states, actions,
        next_states)``. Functions get arrays of indices, of shape ``(n,)``, and return ``(n, d)``. None: a parameter
        for every state or action
    :param on: ``"states"``, ``"actions"`` or ``"transitions"``
    :raises ValueError: if shapes do not fit or features are not finite
    """
    require(on in REWARD_ON, "reward_on", on, f"one of {', '.join(REWARD_ON)}")
    if on == "transitions":
        require(callable(given), "features", given, "a function f(states, actions, next_states) for transitions")
        shape = np.shape(given(*_one_transition(mdp)))
        require(len(shape) == 2 and shape[0] == 1, "the shape of one transition's features", shape, "(1, d)")
        mean = _checked(expected_over_next(mdp, given, shape[1]))
        return Features(EarnedRewards(mdp, "actions"), mean.reshape(-1, shape[1]), given)
    earned = EarnedRewards(mdp, on)
    if given is None:
        return Features(earned)
    n_actions, n_states = mdp.rewards.shape
    if callable(given):
        states = np.arange(n_states)
        given = given(states) if on == "states" else _each_action(given, states, n_actions)
    if _is_sparse(given):
        require(on == "states", "features", "a sparse matrix", "an array of shape (n_states, n_actions, d) on actions")
        fits, matrix = given.shape[0] == n_states, sparse.csr_matrix(given, dtype=np.float64)
        require(fits, "the shape of features", given.shape, f"({n_states}, d)")
        _checked(matrix.data)
        return Features(earned, matrix)
    array = _checked(_numbers(given))
    if on == "states":
        fits = array.ndim == 2 and array.shape[0] == n_states
        hint = "; for features of actions give reward_on='actions'" if array.ndim == 3 else ""
        require(fits, "the shape of features", array.shape, f"({n_states}, d){hint}")
        return Features(earned, array)
    fits = array.ndim == 3 and array.shape[:2] == (n_states, n_actions)
    hint = "; for features of states give reward_on='states'" if array.ndim == 2 else ""
    require(fits, "the shape of features", array.shape, f"({n_states}, {n_actions}, d){hint}")
    return Features(earned, _by_actions(array))


def _one_transition(mdp: TabularMDP) -> tuple[NDArray[np.int64], ...]:
    """Return state, action and next state of some transition, each of shape ``(1,)``."""
    is_final = mdp.transitions.nnz == 0 and mdp.final_transitions is not None
    matrix = mdp.final_transitions if is_final else mdp.transitions
    action, state = divmod(int(matrix.indptr.searchsorted(1)) - 1, mdp.n_states)  # a row that leads somewhere
    return np.array([state]), np.array([action]), matrix.indices[:1].astype(np.int64)


def _each_action(function: FeatureFunction, states: NDArray[np.int64], n_actions: int) -> NDArray[np.float64]:
    rows = [np.asarray(function(states, np.full_like(states, action)), dtype=np.float64) for action in range(n_actions)]
    return np.stack(rows, axis=1)


def _by_actions(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features ``(n_states, n_actions, d)`` with a row for each ``a * n_states + s``."""
    return np.ascontiguousarray(features.swapaxes(0, 1)).reshape(-1, features.shape[2])


def _numbers(given: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"features must be numbers, as many for each state or action: {error}") from error


def _checked(features: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(features).all():
        raise ValueError(f"features must be finite, and {int((~np.isfinite(features)).sum())} of them are not")
    return features


def _is_sparse(matrix: Any) -> bool:
    return bool(sparse.issparse(matrix))
