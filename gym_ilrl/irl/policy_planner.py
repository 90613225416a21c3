"""The best policy for the weights of some features, and the features that it meets."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.features import Features
from gym_ilrl.planning import DivergenceError, PolicySystem, TabularMDP, occupancy, solve

_STEP_COST = 1e-4  # of a step without discount and horizon, in units of the largest reward


class Plan(NamedTuple):
    """The best policy for some weights.

    :param actions: of each state, of shape ``(n_states,)`` or ``(horizon, n_states)``
    :param features: feature expectation, the discounted sum over an episode, of shape ``(d,)``
    :param bonus: expected discounted sum of the rewards that did not depend on the weights
    """

    actions: NDArray[np.int64]
    features: NDArray[np.float64]
    bonus: float = 0.0


Plans = Callable[[NDArray[np.float64], NDArray[np.float64] | None], Plan]
"""Returns the best policy for weights, of shape ``(d,)``, and rewards besides, ``(n_actions, n_states)`` or None."""


class PolicyPlanner:
    """Plans for weights of features; each problem begins where the last one ended.

    Without discount and horizon every step costs a little besides: where features cost nothing, a policy would as soon
    wait for ever. Then the policy is best up to that cost, times its steps.

    :param mdp: the process; its rewards play no part
    :param features: of its states or actions
    """

    def __init__(self, mdp: TabularMDP, features: Features) -> None:
        self._mdp = mdp
        self._features = features
        self._system = PolicySystem()
        self._values: NDArray[np.float64] | None = None

    def __call__(self, weights: NDArray[np.float64], bonus: NDArray[np.float64] | None = None) -> Plan:
        """Return the best policy.

        :param weights: of the features, of shape ``(d,)``
        :param bonus: rewards besides, of shape ``(n_actions, n_states)``
        :raises DivergenceError: if, without discount and horizon, some loop pays
        """
        rewards = self._features.rewards(weights)
        # planning has absolute tolerances, and alone the weights' policy does not depend on their scale
        rewards = rewards / (np.abs(rewards).max() or 1.0) if bonus is None else rewards + bonus
        if self._mdp.is_goal_directed:
            rewards = rewards - _STEP_COST
        problem = self._mdp.replace(rewards=rewards)
        try:
            solution = solve(problem, initial_values=self._values, system=self._system)
        except DivergenceError as error:
            raise DivergenceError(
                "some weights that had to be tried make a loop of actions pay, and without discount and horizon such "
                "values are infinite: give gamma < 1 or a horizon, or features that are costs, features_are_costs=True"
            ) from error
        if problem.horizon is None:
            self._values = solution.values
        visits = occupancy(problem, solution.actions, system=self._system)
        earned = 0.0 if bonus is None else float(np.vdot(bonus, visits))
        return Plan(solution.actions, self._features.adjoint(visits), earned)
