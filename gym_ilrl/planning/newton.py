"""Newton's method on the Bellman equation: policy iteration, hard or soft.

The Newton step of ``V = T V`` solves ``(I - gamma P_pi) (V' - V) = T V - V`` with the policy that is greedy against
``V``; ``V'`` is the value of that policy (Howard, 1960; Puterman & Brumelle, 1979). With soft values it is soft policy
iteration (Haarnoja et al., "Soft Actor-Critic", 2018, section 4.1).
"""

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.bellman import Bellman, DivergenceError, mean_over_actions, one_hot
from gym_ilrl.planning.policies import ending_actions, ends_surely, greedy_policy
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.tabular_mdp import TabularMDP

_ROUNDING = 1e-9  # of a step, relative to the largest value, that can no longer shrink
_SHARE = 0.1  # of the residual of a soft step that its equations may leave: the next step takes it up
_LARGE = 1e7  # value, in steps of the largest reward or entropy, from which on rounding hides whether it is finite
_NEVER = 1e-12  # probability of an action that is lost in rounding


@np.errstate(over="ignore", invalid="ignore")  # diverging values overflow; they are refused
def newton(
    bellman: Bellman,
    values: NDArray[np.float64],
    system: PolicySystem,
    tolerance: float,
    max_iterations: int,
    policy: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], int]:
    """Solve ``V = T V``.

    :param bellman: of the problem
    :param values: to begin with, of shape ``(n_states,)``
    :param system: solves the linear equations
    :param tolerance: of the last step, relative to the largest value
    :param max_iterations: number of steps that are taken at most
    :param policy: hard only: whose actions are kept where no other is better; without discount it must end
    :raises DivergenceError: if values grow without bound
    :raises RuntimeError: if ``max_iterations`` are not enough
    :return: the values, and the number of steps
    """
    size, large = np.inf, _LARGE * max(1.0, bellman.highest, np.log(bellman.most_actions))
    # hard policies are to stay as they are in the end, and without discount a small residual may be a large error
    reduction = _SHARE if bellman.soft and bellman.gamma < 1.0 else 0.0
    for iteration in range(1, max_iterations + 1):
        q = bellman.q_values(values)
        backup, policy = bellman.improve(q, policy)
        if not bellman.soft:
            backup = mean_over_actions(policy, q)  # without the gain of actions that are as good up to rounding
        try:
            step = system.solve(bellman, policy, backup - values, reduction=reduction)
        except ZeroDivisionError as error:
            raise bellman.divergence() from error
        values = values + step
        largest = np.abs(values).max()
        if not np.isfinite(largest):
            raise bellman.divergence()
        previous, size = size, np.abs(step).max() / max(1.0, largest)
        if size <= tolerance or (size >= previous and size <= _ROUNDING):
            return values, iteration
        if bellman.soft and bellman.gamma == 1.0 and size >= previous and values.max() > large:
            raise bellman.divergence()  # values of policies that can be had, and they do not settle
    raise RuntimeError(f"Newton's method has not converged in {max_iterations} steps; raise max_iterations")


def goal_directed_newton(
    mdp: TabularMDP,
    bellman: Bellman,
    start: NDArray[np.float64] | None,
    system: PolicySystem,
    tolerance: float,
    max_iterations: int,
) -> tuple[NDArray[np.float64], int]:
    """Solve ``V = T V`` without discount and horizon, from a policy that ends with probability 1.

    Each Newton step then has such a policy again, unless the values are infinite: a hard one keeps its actions where
    no other is better, and a soft one takes every action. At most, soft values grow so large that the probability of
    ending is lost in rounding.

    :param mdp: the problem
    :param bellman: its operator
    :param start: values to begin with, of shape ``(n_states,)``, or None
    :param system: as in :func:`newton`
    :param tolerance: as in :func:`newton`
    :param max_iterations: as in :func:`newton`
    :raises DivergenceError: if the values are infinite
    """
    if start is not None and bellman.soft:
        with suppress(DivergenceError):  # the policy against foreign values may as good as never end: the next one does
            return _ended(mdp, bellman, newton(bellman, start, system, tolerance, max_iterations))
    policy = one_hot(ending_actions(mdp), mdp.n_actions)
    if start is not None:
        greedy = one_hot(greedy_policy(mdp, start * bellman.unit), mdp.n_actions)
        policy = greedy if ends_surely(mdp, greedy) else policy
    values = system.solve(bellman, policy, mean_over_actions(policy, bellman.rewards))
    return _ended(mdp, bellman, newton(bellman, values, system, tolerance, max_iterations, policy))


def _ended(
    mdp: TabularMDP, bellman: Bellman, solved: tuple[NDArray[np.float64], int]
) -> tuple[NDArray[np.float64], int]:
    if bellman.soft and not ends_surely(mdp, bellman.improve(bellman.q_values(solved[0]))[1], _NEVER):
        raise bellman.divergence()
    return solved
