"""Likelihood and gradient with a horizon: policies backward in time, and visits forward through them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.seen import Seen
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.time_dependent import MEMORY, Workspace, policies


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
    bellman: Bellman, seen: Sequence[Seen | None], workspace: Workspace | None = None, memory: float = MEMORY
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
    memory: float = MEMORY,
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
