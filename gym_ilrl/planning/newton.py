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
NEVER = 1e-12  # probability of an action that is lost in rounding


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
    size = np.inf
    # hard policies are to stay as they are in the end, and without discount a small residual may be a large error
    reduction = _SHARE if bellman.soft and bellman.gamma < 1.0 else 0.0
    for iteration in range(1, max_iterations + 1):
        backup, policy = improved(bellman, values, policy)
        previous = size
        values, size = newton_step(bellman, values, backup, policy, system, reduction)
        if has_settled(size, previous, tolerance):
            return values, iteration
        if size >= previous:
            _require_small(bellman, values)
    raise RuntimeError(f"Newton's method has not converged in {max_iterations} steps; raise max_iterations")


def improved(
    bellman: Bellman, values: NDArray[np.float64], policy: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the backup of values, and the policy that is greedy against them.

    :param bellman: of the problem
    :param values: of shape ``(n_states,)``
    :param policy: hard only: whose actions are kept where no other is better, and whose backup it then is: without the
        gain of actions that are as good up to rounding
    """
    q = bellman.q_values(values)
    backup, policy = bellman.improve(q, policy)
    return (backup if bellman.soft else mean_over_actions(policy, q)), policy


@np.errstate(over="ignore", invalid="ignore")  # diverging values overflow; they are refused
def newton_step(
    bellman: Bellman,
    values: NDArray[np.float64],
    backup: NDArray[np.float64],
    policy: NDArray[np.float64],
    system: PolicySystem,
    reduction: float = 0.0,
) -> tuple[NDArray[np.float64], float]:
    """Return the values of a policy, and how far they are from those before, relative to the largest one (or to 1).

    :param bellman: of the problem
    :param values: before, of shape ``(n_states,)``
    :param backup: of these values by the policy
    :param policy: probabilities, of shape ``(n_actions, n_states)``
    :param system: solves the linear equations
    :param reduction: share of the residual that they may leave
    :raises DivergenceError: if the values are infinite
    """
    try:
        step = system.solve(bellman, policy, backup - values, reduction=reduction)
    except ZeroDivisionError as error:
        raise bellman.divergence() from error
    following = values + step
    largest = np.abs(following).max()
    if not np.isfinite(largest):
        raise bellman.divergence()
    return following, float(np.abs(step).max() / max(1.0, largest))


def has_settled(size: float, previous: float, tolerance: float) -> bool:
    """Tell whether a Newton step was the last one that is needed, by its size and that of the step before."""
    return size <= tolerance or (size >= previous and size <= _ROUNDING)


def require_end(mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64]) -> None:
    """Refuse soft values so large that their policy as good as never ends; without discount and horizon.

    :param mdp: the problem
    :param bellman: its operator
    :param values: of shape ``(n_states,)``
    :raises DivergenceError: saying why
    """
    if bellman.soft and not ends_surely(mdp, bellman.improve(bellman.q_values(values))[1], NEVER):
        raise bellman.divergence()


def _require_small(bellman: Bellman, values: NDArray[np.float64]) -> None:
    """Refuse soft values without discount that do not settle, and are too large for rounding to tell any more."""
    large = _LARGE * max(1.0, bellman.highest, np.log(bellman.most_actions))
    if bellman.soft and bellman.gamma == 1.0 and values.max() > large:
        raise bellman.divergence()


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
            solved = newton(bellman, start, system, tolerance, max_iterations)
            require_end(mdp, bellman, solved[0])
            return solved
    policy = one_hot(ending_actions(mdp), mdp.n_actions)
    if start is not None:
        greedy = one_hot(greedy_policy(mdp, start * bellman.unit), mdp.n_actions)
        policy = greedy if ends_surely(mdp, greedy) else policy
    values = system.solve(bellman, policy, mean_over_actions(policy, bellman.rewards))
    solved = newton(bellman, values, system, tolerance, max_iterations, policy)
    require_end(mdp, bellman, solved[0])
    return solved
