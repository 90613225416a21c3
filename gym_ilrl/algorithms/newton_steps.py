"""The Newton steps of :func:`gym_ilrl.planning.solve`, one at a time, and when to take them instead of sweeps."""

import math

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.algorithms.planning_steps import DiscountedSweeps, Steps
from gym_ilrl.planning.bellman import Bellman, mean_over_actions, one_hot
from gym_ilrl.planning.newton import NEVER, has_settled, improved, newton_step, require_end
from gym_ilrl.planning.policies import ending_actions, ends_surely
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.tabular_mdp import TabularMDP

_SWEEPS_AT_MOST = 400  # more cost more than a factor does, unless states are many and mix fast: then fewer are enough
_SWEEPS_SEEN = 10  # before it is judged how fast the error shrinks


class NewtonSteps(Steps):
    """Policy iteration, hard or soft: see :mod:`gym_ilrl.planning.newton`.

    :param tolerance: of the last step, relative to the largest value
    :param policy: probabilities, of shape ``(n_actions, n_states)``. Without discount: the policy whose values the
        first step computes; it must surely end. Then every next one does, unless the values are infinite
    """

    solver = "newton"

    def __init__(
        self,
        mdp: TabularMDP,
        bellman: Bellman,
        values: NDArray[np.float64],
        tolerance: float,
        policy: NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__(mdp, bellman, values)
        self._tolerance, self._policy, self._system = tolerance, policy, PolicySystem()
        self._is_first = policy is not None
        self._size = np.inf

    def step(self) -> None:
        """Compute the values of the policy that is greedy against the present values.

        :raises DivergenceError: if values grow without bound
        """
        if self._is_first and self._policy is not None:
            policy, q = self._policy, self.bellman.q_values(self.values)
            backup = mean_over_actions(policy, q - _logarithm(policy) if self.bellman.soft else q)
        else:
            backup, policy = improved(self.bellman, self.values, self._policy)
        values, size = newton_step(self.bellman, self.values, backup, policy, self._system)
        self.residual = float(np.abs(backup - self.values).max())
        self.values, self._policy = values, policy
        self.converged = has_settled(size, self._size, self._tolerance) and not self._is_first
        self._size, self._is_first = size, False
        if self.converged and self.mdp.is_goal_directed:
            require_end(self.mdp, self.bellman, self.values)


def surely_ending(mdp: TabularMDP, policy: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the policy if there is one and it ends with probability 1 from every state; else one that does."""
    if policy is not None and ends_surely(mdp, policy, NEVER):
        return policy
    return one_hot(ending_actions(mdp), mdp.n_actions)


class SweepsThenNewton(Steps):
    """Sweeps, and Newton steps as soon as the error shrinks too slowly to be small enough in time.

    :param tolerance: as for :class:`DiscountedSweeps`
    :param n_steps: number of steps that may be taken
    """

    def __init__(
        self, mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64], tolerance: float, n_steps: int
    ) -> None:
        super().__init__(mdp, bellman, values)
        self._tolerance, self._sweeps_left = tolerance, min(n_steps, _SWEEPS_AT_MOST)
        self._sweeps = DiscountedSweeps(mdp, bellman, values, tolerance)
        self._errors: list[float] = []
        self._steps: Steps = self._sweeps

    @property
    def solver(self) -> str:  # type: ignore[override]
        """That of the last step."""
        return self._steps.solver

    def step(self) -> None:
        """Sweep over all states once, or take one Newton step."""
        if self._steps is self._sweeps and self._is_slow():
            self._steps = NewtonSteps(self.mdp, self.bellman, self.values, self._tolerance)
        self._steps.step()
        if self._steps is self._sweeps:
            self._errors.append(self._sweeps.error)
        self.values, self.residual, self.converged = self._steps.values, self._steps.residual, self._steps.converged

    def _is_slow(self) -> bool:
        if len(self._errors) <= _SWEEPS_SEEN:
            return False
        error, rate = self._errors[-1], (self._errors[-1] / self._errors[-1 - _SWEEPS_SEEN]) ** (1.0 / _SWEEPS_SEEN)
        return rate >= 1.0 or math.log(1.0 / error) / math.log(rate) > self._sweeps_left - len(self._errors)


def _logarithm(policy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(policy, out=np.zeros_like(policy), where=policy > 0.0)
