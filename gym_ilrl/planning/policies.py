"""Policies as arrays: what is accepted, which are greedy, which come to an end."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.arguments import require
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.reachability import steps_to_end
from gym_ilrl.planning.tabular_mdp import TabularMDP

_TIE = 1e-9  # Q-values that differ by less, relative to the largest one, are equally good

_ROUNDED = 1e-6  # of a probability: policies in single precision are welcome


def greedy_policy(mdp: TabularMDP, values: ArrayLike) -> NDArray[np.int64]:
    """Return the best actions against values, the lowest one where several are equally good.

    Without discount and horizon, one of the equally good actions is taken that comes closer to an ending: the lowest
    one might go round in circles.

    :param mdp: the problem
    :param values: of shape ``(n_states,)``
    :return: of shape ``(n_states,)``
    """
    given = np.asarray(values, dtype=np.float64)
    require(given.shape == (mdp.n_states,), "the shape of values", given.shape, f"{(mdp.n_states,)}")
    q = Bellman.of(mdp, 0.0).q_values(given)
    tied = q >= q.max(axis=0) - _TIE * max(1.0, np.abs(given).max())
    actions: NDArray[np.int64] = ending_actions(mdp, tied) if mdp.is_goal_directed else tied.argmax(axis=0)
    return actions


def ending_actions(mdp: TabularMDP, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Return actions that end the episode with probability 1, whatever the start, where the allowed ones can.

    In each state it is the one that most probably comes closer to an ending, in numbers of steps.

    :param mdp: the problem
    :param allowed: which of the available actions to choose from, of shape ``(n_actions, n_states)``; None: all
    :return: of shape ``(n_states,)``
    """
    if allowed is None:
        allowed = np.ones(mdp.rewards.shape, dtype=np.bool_) if mdp.available is None else mdp.available
    matrix, ending, steps = _restricted(mdp, allowed)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    closer = steps[matrix.indices] < steps[rows % mdp.n_states]
    chance = np.bincount(rows, matrix.data * closer, matrix.shape[0]).reshape(ending.shape) + ending
    actions: NDArray[np.int64] = np.where(allowed, chance, -1.0).argmax(axis=0)
    return actions


def ends_surely(mdp: TabularMDP, policy: NDArray[np.float64], never: float = 0.0) -> bool:
    """Tell whether a policy ends the episode with probability 1, whatever the start.

    :param mdp: the problem
    :param policy: probabilities, of shape ``(n_actions, n_states)``
    :param never: actions of at most this probability are left out
    """
    _, _, steps = _restricted(mdp, policy > never)
    return bool((steps >= 0).all())


def probabilities(mdp: TabularMDP, policy: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities of a policy's actions, of shape ``(n_actions, n_states)`` or one more axis for time.

    :param mdp: the problem
    :param policy: whole numbers, the actions, of shape ``(n_states,)``; or their probabilities, of shape ``(n_actions,
        n_states)``. With a horizon both may have the time in front, and are repeated if they have not
    :raises ValueError: if it is no policy of the problem, takes an action that is not available, or without discount
        and horizon never ends
    """
    given = np.asarray(policy)
    n_actions, n_states = mdp.rewards.shape
    table: NDArray[np.float64]
    if np.issubdtype(given.dtype, np.integer):
        require(given.shape[-1:] == (n_states,), "the shape of actions", given.shape, f"{(n_states,)}")
        require(bool(((given >= 0) & (given < n_actions)).all()), "actions", given, f"in 0 ... {n_actions - 1}")
        table = (given[..., None, :] == np.arange(n_actions)[:, None]).astype(np.float64)
    else:
        table = np.asarray(given, dtype=np.float64)
    expected = (n_actions, n_states) if mdp.horizon is None or table.ndim == 2 else (mdp.horizon, n_actions, n_states)
    require(table.shape == expected, "the shape of the policy", table.shape, f"{expected}")
    fine = (table >= 0.0).all() and (np.abs(table.sum(axis=-2) - 1.0) <= _ROUNDED).all()
    require(bool(fine), "policy", given, "probabilities that sum to 1 over the actions")
    if mdp.available is not None:
        table = _available(mdp.available, table)
    table = table / table.sum(axis=-2, keepdims=True)
    if mdp.is_goal_directed and not ends_surely(mdp, table):
        raise ValueError(
            "without discount and horizon the policy must end the episode from every state, and from some it never "
            "does; give gamma < 1 or a horizon"
        )
    if mdp.horizon is not None and table.ndim == 2:
        table = np.broadcast_to(table, (mdp.horizon, n_actions, n_states))
    return table


def _available(available: NDArray[np.bool_], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a policy without actions that do not exist; refuse one that takes them."""
    wrong = np.argwhere(~available & (table > _ROUNDED))
    if len(wrong):
        *_, action, state = wrong[0]
        raise ValueError(
            f"the policy takes action {action} in state {state}, which is not available there; see mdp.available"
        )
    return np.where(available, table, 0.0)


def _restricted(mdp: TabularMDP, allowed: NDArray[np.bool_]) -> tuple[Any, NDArray[np.float64], NDArray[np.int64]]:
    """Return transitions, ending, and fewest steps to an ending, with some of the actions only."""
    matrix = sparse.csr_matrix(sparse.diags(allowed.ravel().astype(np.float64)) @ mdp.transitions)
    matrix.eliminate_zeros()
    ending = mdp.ending * allowed
    return matrix, ending, steps_to_end(matrix, ending, mdp.terminal)
