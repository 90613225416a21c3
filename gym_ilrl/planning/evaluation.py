"""The values of a given policy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.planning.bellman import Bellman, mean_over_actions
from gym_ilrl.planning.policies import probabilities
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.tabular_mdp import TabularMDP


def policy_evaluation(
    mdp: TabularMDP, policy: ArrayLike, temperature: float = 0.0, *, system: PolicySystem | None = None
) -> NDArray[np.float64]:
    """Return the expected return of a policy from every state, with its entropy where there is a temperature.

    Without a horizon it is one sparse linear solve; with one, a sum from the last step to the first.

    :param mdp: the problem
    :param policy: the actions, whole numbers of shape ``(n_states,)``, or their probabilities, of shape ``(n_actions,
        n_states)``; with a horizon, possibly with the time in front
    :param temperature: weight of the entropy of every action, at least 0
    :param system: keeps the factor of the linear equations from one similar problem to the next
    :raises ValueError: if it is no policy of the problem, or without discount and horizon never ends
    :return: of shape ``(n_states,)``, or ``(horizon + 1, n_states)``
    """
    table = probabilities(mdp, policy)
    bellman = Bellman.of(mdp, temperature)
    if mdp.horizon is None:
        system = PolicySystem() if system is None else system
        return system.solve(bellman, table, _earned(bellman, table)) * bellman.unit
    values = np.zeros((mdp.horizon + 1, mdp.n_states))
    for t in reversed(range(mdp.horizon)):
        values[t] = _earned(bellman, table[t]) + bellman.propagate(table[t], values[t + 1])
    values *= bellman.unit
    return values


def _earned(bellman: Bellman, policy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sum_a pi (r - log pi)``, or ``sum_a pi r`` of hard values."""
    earned = mean_over_actions(policy, bellman.rewards)
    if bellman.soft:
        logarithm = np.log(policy, out=np.zeros_like(policy), where=policy > 0.0)
        earned = earned - mean_over_actions(policy, logarithm)
    return earned
