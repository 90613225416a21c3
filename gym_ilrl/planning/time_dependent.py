"""Policies of a problem with a horizon, from the first time to the last one, without keeping all of them."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.planning.bellman import Bellman, exponentials

MEMORY = 1e9  # bytes of policies that are kept

Read = Callable[[int, NDArray[np.float64], NDArray[np.float64]], None]
"""``read(t, q, values)`` at the time ``t``; of a soft policy ``log pi = q - values``."""


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


def policies(
    bellman: Bellman, horizon: int, read: Read, workspace: Workspace, memory: float = MEMORY
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
            if bellman.soft:
                values, totals[t - begin] = exponentials(q, weights[t - begin])
            else:
                values, weights[t - begin] = bellman.improve(q)
                totals[t - begin] = 1.0
            read(t, q, values)
        yield from zip(weights[: end - begin], totals, strict=False)
