"""Backward induction: finite horizons, hard or soft."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import require
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.tabular_mdp import TabularMDP


def backward_induction(mdp: TabularMDP, temperature: float = 0.0) -> Solution:
    """Solve a problem with a horizon, from the last step to the first.

    The result holds ``(2 n_actions + 1) horizon n_states`` numbers. Where that is too much,
    :func:`~gym_ilrl.planning.occupancy.soft_occupancy` needs the square root of the horizon only.

    :param mdp: the problem
    :param temperature: of the soft values, at least 0; 0: hard
    :raises ValueError: if the problem has no horizon
    :return: time-dependent values and policy
    """
    require(mdp.horizon is not None, "horizon", mdp.horizon, "given for backward induction: mdp.replace(horizon=...)")
    steps = int(mdp.horizon or 0)
    bellman = Bellman.of(mdp, temperature)
    values = np.zeros((steps + 1, mdp.n_states))
    q_values = np.empty((steps, *mdp.rewards.shape))
    log_policy = np.empty_like(q_values)
    for t in reversed(range(steps)):
        q_values[t] = bellman.q_values(values[t + 1])
        values[t] = bellman.values(q_values[t])
        log_policy[t] = log_best(bellman, q_values[t], values[t])
    values *= bellman.unit
    q_values *= bellman.unit
    return Solution(values, q_values, log_policy, float(temperature), "finite_horizon", steps, 0.0)


def log_best(bellman: Bellman, q: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the best policy against Q-values, whose best values are known."""
    if bellman.soft:
        return q - values
    with np.errstate(divide="ignore"):
        return np.log(bellman.improve(q)[1])
