"""Likelihood and gradient with a horizon: policies backward in time, and visits forward through them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.irl.seen import Seen
from gym_ilrl.planning.bellman import Bellman, exponentials

_MEMORY = 1e9  # bytes of policies that are kept

Read = Callable[[int, NDArray[np.float64], NDArray[np.float64]], None]
"""``read(t, q, values)`` with ``log pi = q - values`` at the time ``t``."""


class Workspace:
    """Memory that outlives an evaluation: new memory is slow to touch, and so are columns in place of rows."""

    def __init__(self) -> None:
        self._policies, self._totals = np.empty((0, 0, 0)), np.empty((0, 0))
        self._transitions: Any = None
        self._back: Any = None

    def policies(self, n: int, bellman: Bellman) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return arrays for ``n`` policies and for their sums, ``(n, n_actions, n_states)`` and ``(n, n_states)``."""
        shape = (n, *bellman.rewards.shape)
        if self._policies.shape != shape:
            self._policies, self._totals = np.empty(shape), np.empty((n, shape[2]))
        return self._policies, self._totals

    def back(self, bellman: Bellman) -> Any:
        """Return the transposed transitions, by rows."""
        if self._transitions is not bellman.transitions:
            self._transitions, self._back = bellman.transitions, sparse.csr_matrix(bellman.transitions.T)
        return self._back


class _Reading:
    """Adds up the log-likelihood of what was seen, and keeps the values of the first time."""

    def __init__(self, seen: Sequence[Seen | None]) -> None:
        self.log_likelihood = 0.0
        self.taken: dict[int, NDArray[np.float64]] = {}
        self.first_values = np.zeros(0)
        self._seen = seen

    def __call__(self, t: int, q: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        what = self._seen[t]
        if what is not None:
            part, self.taken[t] = what.read(q, values)
            self.log_likelihood += part
        if t == 0:
            self.first_values = values


def likelihood_and_gradient(
    bellman: Bellman, seen: Sequence[Seen | None], workspace: Workspace | None = None, memory: float = _MEMORY
) -> tuple[float, NDArray[np.float64]]:
    """Return the log-likelihood of what was seen, and its derivative with respect to the rewards in units of ``unit``.

    ``dL / dr = sum_t (n_t + pi_t y_t)``, ``y_t+1 = gamma P^T (n_t + pi_t y_t) - n_t+1(s)``, ``y_0 = -n_0(s)``.

    :param bellman: of the problem
    :param seen: at each time
    :param workspace: kept from one call to the next
    :param memory: for policies, in bytes; where they need more, some are computed twice
    """
    workspace = Workspace() if workspace is None else workspace
    reading, back = _Reading(seen), workspace.back(bellman)
    gradient, passing = np.zeros(bellman.rewards.shape), np.zeros(bellman.rewards.shape[1])
    for t, (visits, total) in enumerate(policies(bellman, len(seen), reading, workspace, memory)):
        what = seen[t]
        if what is not None:
            passing[what.states] -= what.visits
        visits *= passing / total
        if what is not None:
            visits.ravel()[what.rows] += reading.taken[t]
        gradient += visits
        passing = back @ visits.ravel()
        if bellman.gamma != 1.0:
            passing *= bellman.gamma
    return reading.log_likelihood, gradient


def value_and_occupancy(
    bellman: Bellman,
    initial: NDArray[np.float64],
    seen: Sequence[Seen | None],
    workspace: Workspace | None = None,
    memory: float = _MEMORY,
) -> tuple[float, NDArray[np.float64], float]:
    """Return the value of the start in units of ``unit``, the occupancy, and the log-likelihood of what was seen.

    :param bellman: of the problem
    :param initial: distribution of the first state, of shape ``(n_states,)``
    :param seen: at each time
    :param workspace: kept from one call to the next
    :param memory: for policies, in bytes; where they need more, some are computed twice
    """
    workspace = Workspace() if workspace is None else workspace
    reading, back = _Reading(seen), workspace.back(bellman)
    occupancy, passing = np.zeros(bellman.rewards.shape), initial
    for visits, total in policies(bellman, len(seen), reading, workspace, memory):
        visits *= passing / total
        occupancy += visits
        passing = back @ visits.ravel()
        if bellman.gamma != 1.0:
            passing *= bellman.gamma
    return float(initial @ reading.first_values), occupancy, reading.log_likelihood


def policies(
    bellman: Bellman, horizon: int, read: Read, workspace: Workspace, memory: float = _MEMORY
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the policy of each time from 0 on: weights of the actions, and the sums that they are to be divided by.

    The arrays may be written to until the next ones are asked for.

    :param bellman: of the problem
    :param horizon: number of times
    :param read: called once for every time, before its policy is returned
    :param workspace: where the policies are kept
    :param memory: for policies, in bytes; where they need more, values are kept at the square root of the horizon many
        times, and the policies between them are computed once more (Griewank, 1992)
    """
    length = horizon if horizon * bellman.rewards.nbytes <= memory else isqrt(horizon - 1) + 1
    times = [*range(0, horizon, length), horizon]
    values = np.zeros(bellman.rewards.shape[1])
    ends = [values]
    for earlier, later in reversed(list(pairwise(times[1:]))):
        for _ in range(earlier, later):
            values = bellman.values(bellman.q_values(values))
        ends.append(values)
    weights, totals = workspace.policies(length, bellman)
    for begin, end in pairwise(times):
        values = ends.pop()
        for t in reversed(range(begin, end)):
            q = bellman.q_values(values)
            values, totals[t - begin] = exponentials(q, weights[t - begin])
            read(t, q, values)
        yield from zip(weights[: end - begin], totals, strict=False)
