"""Planning with a known model: the optimal policy of a finite Markov decision process.

Value iteration (Bellman, "Dynamic Programming", 1957; Puterman, "Markov Decision Processes", 1994, section 6.3) on a
sparse matrix, for models in the form of Gymnasium's toy-text environments.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray
from scipy import sparse

Outcome = tuple[float, int, float, bool]  # probability, next state, reward, terminated
ToyTextModel = Mapping[int, Mapping[int, Sequence[Outcome]]]

_UNLIMITED = 1000  # steps: the horizon planned for where there is no time limit
_TOLERANCE = 1e-10  # of the values, relative to the largest one
_TIE = 1e-9  # actions whose values differ by less, relative to the largest one, are equally good: the first wins


def planning_horizon(spec: EnvSpec | None) -> int:
    """Return the time limit of an environment, or 1000 where it has none."""
    return (spec.max_episode_steps if spec is not None else None) or _UNLIMITED


def greedy_policy(P: ToyTextModel, gamma: float = 0.99) -> NDArray[np.int64]:
    """Return the optimal action of every state, the lowest one where several are optimal.

    :param P: the model of a toy-text environment, ``env.unwrapped.P[state][action]``, a list of
        ``(probability, next_state, reward, terminated)``; an outcome that terminates has no value after its reward
    :param gamma: discount factor, in ``[0, 1)``
    :raises ValueError: if ``P`` is no such model or ``gamma`` is out of range
    :return: of shape ``(n_states,)``
    """
    transitions, rewards = continuing_transitions(P)
    return greedy_actions(transitions, rewards, value_iteration(transitions, rewards, gamma), gamma)


def value_iteration(transitions: Any, rewards: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """Solve ``V(s) = max_a r(s, a) + gamma sum_s' P(s' | s, a) V(s')`` to a relative error of 1e-10.

    :param transitions: sparse, of shape ``(n_actions * n_states, n_states)``; row ``a * n_states + s`` holds the
        probabilities of the next states that do not end the episode
    :param rewards: expected reward, of shape ``(n_actions, n_states)``
    :param gamma: discount factor, in ``[0, 1)``
    :raises ValueError: if ``gamma`` is out of range
    :return: optimal values, of shape ``(n_states,)``
    """
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"gamma must be in [0, 1) for value iteration to converge, not {gamma}; try 0.99")
    values = np.zeros(rewards.shape[1])
    # The backup contracts by gamma, so ||V_k - V*|| <= gamma^k / (1 - gamma) max|r| bounds the number of sweeps, and
    # ||V_k+1 - V*|| <= gamma / (1 - gamma) ||V_k+1 - V_k|| tells when fewer are enough.
    sweeps = 1 if gamma == 0.0 else math.ceil(math.log(_TOLERANCE * (1.0 - gamma) ** 2) / math.log(gamma))
    for _ in range(sweeps):
        previous, values = values, action_values(transitions, rewards, values, gamma).max(axis=0)
        if np.abs(values - previous).max() <= _TOLERANCE * (1.0 - gamma) * np.abs(values).max():
            break
    return values


def action_values(
    transitions: Any, rewards: NDArray[np.float64], values: NDArray[np.float64], gamma: float
) -> NDArray[np.float64]:
    """Return ``Q(a, s) = r(s, a) + gamma sum_s' P(s' | s, a) V(s')``, of shape ``(n_actions, n_states)``.

    :param transitions: as in :func:`value_iteration`
    :param rewards: as in :func:`value_iteration`
    :param values: of shape ``(n_states,)``
    :param gamma: discount factor
    """
    following: NDArray[np.float64] = transitions @ values
    return rewards + gamma * following.reshape(rewards.shape)


def greedy_actions(
    transitions: Any, rewards: NDArray[np.float64], values: NDArray[np.float64], gamma: float
) -> NDArray[np.int64]:
    """Return the best action of every state, the lowest one among those that are equally good up to rounding.

    :param transitions: as in :func:`value_iteration`
    :param rewards: as in :func:`value_iteration`
    :param values: of shape ``(n_states,)``
    :param gamma: discount factor
    :return: of shape ``(n_states,)``
    """
    q = action_values(transitions, rewards, values, gamma)
    tied = q >= q.max(axis=0) - _TIE * np.abs(values).max()
    actions: NDArray[np.int64] = np.argmax(tied, axis=0)
    return actions


def continuing_transitions(P: ToyTextModel) -> tuple[sparse.csr_matrix, NDArray[np.float64]]:
    """Turn a toy-text model into arrays, leaving out the probability of outcomes that end the episode.

    :param P: as in :func:`greedy_policy`
    :raises ValueError: if a state or an action is missing, a next state is unknown, or probabilities do not sum to 1
    :return: transitions of shape ``(n_actions * n_states, n_states)``, row ``a * n_states + s``, whose rows sum to the
        probability that the episode goes on; and expected rewards of shape ``(n_actions, n_states)``
    """
    n_states, n_actions = model_size(P)
    rows = np.array(
        [(a * n_states + s, *outcome) for s in range(n_states) for a in range(n_actions) for outcome in P[s][a]],
        dtype=np.float64,
    ).reshape(-1, 5)
    row, probability, following, reward, terminated = rows.T
    row_index, following_index = row.astype(np.int64), following.astype(np.int64)
    _check_outcomes(row_index, probability, following_index, reward, n_states, n_actions)
    expected = np.zeros(n_actions * n_states)
    np.add.at(expected, row_index, probability * reward)
    going_on = terminated == 0.0
    transitions = sparse.csr_matrix(
        (probability[going_on], (row_index[going_on], following_index[going_on])),
        shape=(n_actions * n_states, n_states),
    )
    return transitions, expected.reshape(n_actions, n_states)


def model_size(P: ToyTextModel) -> tuple[int, int]:
    """Return the numbers of states and of actions of a toy-text model.

    :param P: ``P[state][action]`` lists the outcomes
    :raises ValueError: if a state or an action is missing, naming it
    """
    n_states = len(P)
    if n_states == 0 or set(P) != set(range(n_states)):
        raise ValueError(f"P must have one entry for each state 0, 1, ..., {n_states - 1}, and its keys are {list(P)}")
    n_actions = len(P[0])
    for state in range(n_states):
        if n_actions == 0 or set(P[state]) != set(range(n_actions)):
            raise ValueError(
                f"P[{state}] must have one entry for each action 0, 1, ..., {n_actions - 1} as P[0] has, "
                f"and has {sorted(P[state])}"
            )
    return n_states, n_actions


def _check_outcomes(
    rows: NDArray[np.int64],
    probability: NDArray[np.float64],
    following: NDArray[np.int64],
    reward: NDArray[np.float64],
    n_states: int,
    n_actions: int,
) -> None:
    total = np.bincount(rows, weights=probability, minlength=n_actions * n_states)
    wrong = np.flatnonzero(~(np.abs(total - 1.0) <= 1e-6))
    if len(wrong):
        action, state = divmod(int(wrong[0]), n_states)
        raise ValueError(f"the probabilities in P[{state}][{action}] must sum to 1, and sum to {total[wrong[0]]:.6g}")
    wrong = np.flatnonzero((probability < 0.0) | (following < 0) | (following >= n_states) | ~np.isfinite(reward))
    if len(wrong):
        action, state = divmod(int(rows[wrong[0]]), n_states)
        outcome = (float(probability[wrong[0]]), int(following[wrong[0]]), float(reward[wrong[0]]))
        raise ValueError(
            f"each outcome in P[{state}][{action}] needs a probability of at least 0, a next state below {n_states} "
            f"and a finite reward, and one has {outcome}"
        )
