"""The sweeps of :func:`gym_ilrl.planning.solve`, one at a time: what a planner does in a timestep.

Values are in units of the temperature, as in :class:`~gym_ilrl.planning.bellman.Bellman`.
"""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.bellman import Bellman, one_hot
from gym_ilrl.planning.finite_horizon import log_best
from gym_ilrl.planning.policies import greedy_policy
from gym_ilrl.planning.sweeps import discounted_sweeps
from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.policies.tabular import TabularPolicy


class Steps(ABC):
    """A solver in the course of its work.

    :param mdp: the problem
    :param bellman: its operator
    :param values: to begin with
    """

    solver: str

    def __init__(self, mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64]) -> None:
        self.mdp, self.bellman, self.values = mdp, bellman, values
        self.residual = np.inf  # largest difference between the values before the last step and their own backup
        self.converged = False

    @abstractmethod
    def step(self) -> None:
        """Improve the values; where it fails, they stay as they are."""

    @property
    def value_of_start(self) -> float:
        """The value of the first state, on average."""
        return float(self.mdp.initial @ self.values)

    def write(self, policy: TabularPolicy) -> None:
        """Let ``policy`` be the best one against the values."""
        policy.set_log_probabilities(log_policy(self.mdp, self.bellman, self.values))


class BackwardInduction(Steps):
    """From the last time to the first, one of them in a step; values of times to come are NaN."""

    solver = "finite_horizon"

    def __init__(self, mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64] | None) -> None:
        if values is None:
            values = np.full((int(mdp.horizon or 0) + 1, mdp.n_states), np.nan)
            values[-1] = 0.0
        super().__init__(mdp, bellman, values)
        self._q: NDArray[np.float64] | None = None
        self._time = int(np.isnan(values[:, 0]).sum())
        self.converged = self._time == 0

    def step(self) -> None:
        """Compute the values of one more time."""
        if self.converged:
            return
        later = self.values[self._time]
        self._q = self.bellman.q_values(later)
        self._time -= 1
        self.values[self._time] = self.bellman.values(self._q)
        self.residual = float(np.abs(self.values[self._time] - later).max())
        self.converged = self._time == 0

    @property
    def value_of_start(self) -> float:
        """The value of the first state at the earliest time that is done: with that many steps fewer to go."""
        return float(self.mdp.initial @ self.values[self._time])

    def write(self, policy: TabularPolicy) -> None:
        """Write the probabilities of the last step's time."""
        if self._q is not None:
            table = log_best(self.bellman, self._q, self.values[self._time])
            policy.set_log_probabilities(table, time=self._time)


class DiscountedSweeps(Steps):
    """Value iteration, stopped by the bounds of :func:`~gym_ilrl.planning.sweeps.discounted_sweeps`."""

    solver = "value_iteration"

    def __init__(self, mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64], tolerance: float) -> None:
        super().__init__(mdp, bellman, values)
        self._tolerance = tolerance
        self._ends = bool(mdp.ending.any())
        self.error = np.inf  # between the bounds, relative to the tolerance: below 1 is enough

    def step(self) -> None:
        """Sweep over all states once."""
        values, _, self.converged = discounted_sweeps(self.bellman, self.values, self._ends, self._tolerance, 1)
        difference = values - self.values
        self.values = values
        self.residual = float(np.abs(difference).max())
        low, high = difference.min(), difference.max()
        if self._ends:
            low, high = min(low, 0.0), max(high, 0.0)
        far = self.bellman.gamma / (1.0 - self.bellman.gamma)
        self.error = far * float(high - low) / (self._tolerance * max(1.0, float(np.abs(values).max())))


class UndiscountedSweeps(Steps):
    """Value iteration without discount, stopped as :func:`~gym_ilrl.planning.sweeps.undiscounted_sweeps`."""

    solver = "value_iteration"

    def __init__(self, mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64], tolerance: float) -> None:
        super().__init__(mdp, bellman, values)
        self._tolerance = tolerance
        self._sweeps, self._check, self._at_check = 0, max(64, 4 * mdp.n_states), np.inf

    def step(self) -> None:
        """Sweep over all states once.

        :raises DivergenceError: if the changes do not shrink while the sweeps double
        """
        following = self.bellman.values(self.bellman.q_values(self.values))
        previous, change = self.residual, float(np.abs(following - self.values).max())
        self._sweeps += 1
        if self._sweeps == self._check:
            if change >= (1.0 - 1e-6) * self._at_check:
                raise self.bellman.divergence()
            self._check, self._at_check = 2 * self._check, change
        self.values, self.residual = following, change
        rate = change / previous if change > 0.0 else 0.0
        to_come = change * max(1.0, rate / (1.0 - rate)) if rate < 1.0 else np.inf
        seen_twice = self._sweeps > 1 or change == 0.0  # a rate needs two changes
        self.converged = seen_twice and to_come <= self._tolerance * max(1.0, float(np.abs(following).max()))


def log_policy(mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the best policy against values, of shape ``(n_actions, n_states)``."""
    if bellman.soft:
        q = bellman.q_values(values)
        return q - bellman.values(q)
    with np.errstate(divide="ignore"):
        return np.log(one_hot(greedy_policy(mdp, values), mdp.n_actions))
