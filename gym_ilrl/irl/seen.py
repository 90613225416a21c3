"""What was seen of the expert at one time, or at any time where policies do not depend on it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.steps import arrival_probability
from gym_ilrl.planning.tabular_mdp import TabularMDP


class SeenActions:
    """Actions that were taken.

    :param rows: ``a * n_states + s``, each once, of shape ``(n,)``
    :param weights: how often, of the same shape
    :param n_states: number of states
    """

    def __init__(self, rows: NDArray[np.int64], weights: NDArray[np.float64], n_states: int) -> None:
        self.rows = rows
        self.total = float(weights.sum())
        self._of = rows % n_states
        self._weights = weights
        visits = np.bincount(self._of, weights, n_states)
        self.states = np.flatnonzero(visits)
        self.visits = visits[self.states]

    def read(self, q: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the log-likelihood of what was seen, and how often each of ``rows`` was taken.

        :param q: with ``log pi = q - values``, of shape ``(n_actions, n_states)``
        :param values: of shape ``(n_states,)``
        """
        return float(self._weights @ (q.ravel()[self.rows] - values[self._of])), self._weights


class SeenArrivals:
    """States that followed states by actions that were not seen.

    By Fisher's identity the gradient of ``log sum_a pi(a | s) P(s' | s, a)`` is that of the expected logarithm of the
    probability of the action, with the posterior of the action as a constant weight (Dempster, Laird & Rubin, 1977).

    :param rows: ``a * n_states + s`` of every action that may have been taken, of shape ``(n,)``
    :param arrivals: number of the arrival that it explains, ascending, of shape ``(n,)``
    :param chances: probability of that arrival after that action, of shape ``(n,)``
    :param weights: how often each arrival was seen, of shape ``(n_arrivals,)``
    :param n_states: number of states
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        arrivals: NDArray[np.int64],
        chances: NDArray[np.float64],
        weights: NDArray[np.float64],
        n_states: int,
    ) -> None:
        self.rows, self._place = np.unique(rows, return_inverse=True)
        self.total = float(weights.sum())
        self._explained_by, self._of, self._arrivals = rows, rows % n_states, arrivals
        self._log_chances, self._weights = np.log(chances), weights
        self._starts = np.searchsorted(arrivals, np.arange(len(weights)))
        visits = np.bincount(self._of[self._starts], weights, n_states)
        self.states = np.flatnonzero(visits)
        self.visits = visits[self.states]

    def read(self, q: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the log-likelihood of what was seen, and how often each of ``rows`` was taken, in expectation.

        :param q: with ``log pi = q - values``, of shape ``(n_actions, n_states)``
        :param values: of shape ``(n_states,)``
        """
        terms = q.ravel()[self._explained_by] - values[self._of] + self._log_chances
        largest = np.maximum.reduceat(terms, self._starts)
        posterior = np.exp(terms - largest[self._arrivals])
        total = np.add.reduceat(posterior, self._starts)
        posterior *= (self._weights / total)[self._arrivals]
        taken: NDArray[np.float64] = np.bincount(self._place, posterior, len(self.rows)).astype(np.float64, copy=False)
        return float(self._weights @ (largest + np.log(total))), taken


Seen = SeenActions | SeenArrivals


def seen(expert: ExpertVisits, mdp: TabularMDP, state_only: bool) -> list[Seen | None]:
    """Return what was seen at each time, or, where policies do not depend on time, at any; None where nothing was.

    :param expert: what the demonstrations say
    :param mdp: the process; its horizon is the number of times
    :param state_only: leave the actions out
    :raises ValueError: if it is not known: actions of sequences of states, times of an occupancy
    """
    if not state_only and not expert.has_actions:
        raise ValueError("the demonstrations have states only; their likelihood needs state_only=True")
    if mdp.horizon is None:
        return [_any_arrival(expert, mdp) if state_only else _any_action(expert)]
    if expert.n_steps == 0:
        raise ValueError(
            "with a horizon the policy depends on the time, and an occupancy does not say when the expert did what; "
            "give episodes, or objective='dual'"
        )
    at_each: list[Seen | None] = [None] * mdp.horizon
    steps = expert.steps
    keys = (steps.state * mdp.n_states + steps.next_state) if state_only else steps.rows(mdp)[0]
    for time, found, weights in _by_time(steps.time, keys):
        at_each[time] = (
            _arrivals(mdp, *np.divmod(found, mdp.n_states), weights)
            if state_only
            else SeenActions(found, weights, mdp.n_states)
        )
    return at_each


def _any_action(expert: ExpertVisits) -> SeenActions:
    rows = np.flatnonzero(expert.counts)
    return SeenActions(rows, expert.counts.ravel()[rows], expert.counts.shape[1])


def _any_arrival(expert: ExpertVisits, mdp: TabularMDP) -> SeenArrivals:
    found: Any = expert.transitions.tocoo()
    return _arrivals(mdp, found.row.astype(np.int64), found.col.astype(np.int64), found.data)


def _arrivals(
    mdp: TabularMDP, states: NDArray[np.int64], following: NDArray[np.int64], weights: NDArray[np.float64]
) -> SeenArrivals:
    rows = np.arange(mdp.n_actions)[:, None] * mdp.n_states + states
    chances = arrival_probability(mdp, rows, following).T
    arrivals, actions = np.nonzero(chances)
    return SeenArrivals(rows[actions, arrivals], arrivals, chances[arrivals, actions], weights, mdp.n_states)


def _by_time(
    time: NDArray[np.int64], keys: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float64]]]:
    """Return for every time the keys that were met then, each once, and how often."""
    order = np.lexsort((keys, time))
    time, keys = time[order], keys[order]
    new = np.append(True, (time[1:] != time[:-1]) | (keys[1:] != keys[:-1]))
    firsts = np.flatnonzero(new)
    weights = np.diff(np.append(firsts, len(keys))).astype(np.float64)
    time, keys = time[firsts], keys[firsts]
    for t in np.unique(time):
        begin, end = np.searchsorted(time, [t, t + 1])
        yield int(t), keys[begin:end], weights[begin:end]
