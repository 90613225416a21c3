"""Soft planning of one reward after the other in a process without horizon."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.occupancy import flow
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.solve import solve
from gym_ilrl.planning.tabular_mdp import TabularMDP

_MANY = 50  # sweeps that cost more than the Newton steps from the last values


class WarmStart:
    """Solves each problem from the values and the factor of the last one.

    ``"auto"`` begins with sweeps. Where many were needed and a factor can be afforded, Newton's method takes over: it
    is faster from the second problem on.

    :param mdp: the process, without horizon
    :param temperature: of the soft values, positive
    :param solver: as in :func:`~gym_ilrl.planning.solve`
    :param tolerance: of the values, relative to the largest one, and of the flow, relative to its source
    """

    def __init__(self, mdp: TabularMDP, temperature: float, solver: str, tolerance: float) -> None:
        self.system = PolicySystem()
        self._hard = Bellman.of(mdp, 0.0)  # transitions and discount, which do not change
        self._temperature = temperature
        self._solver = solver
        # sweeps alone come as close as rounding times 1 / (1 - gamma), and not closer
        self._tolerance = max(tolerance, 1e-10 if solver == "value_iteration" or mdp.gamma > 0.999 else 0.0)
        self._values: NDArray[np.float64] | None = None

    def solve(self, mdp: TabularMDP) -> Solution:
        """Return values and policy of the process with another reward.

        :raises DivergenceError: if, without discount, the values are infinite
        """
        solution = solve(
            mdp,
            self._temperature,
            self._solver,
            initial_values=self._values,
            system=self.system,
            tolerance=self._tolerance,
        )
        self._values = solution.values
        is_swept = solution.solver == "value_iteration" and solution.iterations > _MANY
        if self._solver == "auto" and is_swept and self.system.can_factorise(self._hard, solution.policy):
            self._solver = "newton"
        return solution

    def flow(self, policy: NDArray[np.float64], source: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(I - gamma P_pi)^{-T} source``.

        :param policy: probabilities, of shape ``(n_actions, n_states)``
        :param source: of shape ``(n_states,)``
        """
        return flow(self._hard, policy, source, self.system, self._tolerance)

    def following(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``gamma P^T n``: how often each state follows what was done, discounted.

        :param counts: ``n``, of shape ``(n_actions, n_states)``
        """
        followed: NDArray[np.float64] = self._hard.gamma * (self._hard.transitions.T @ counts.ravel())
        return followed
