"""Optimal policies, hard and soft, by the solver that suits the problem."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.planning.bellman import Bellman, one_hot
from gym_ilrl.planning.finite_horizon import backward_induction
from gym_ilrl.planning.newton import goal_directed_newton, newton
from gym_ilrl.planning.policies import greedy_policy
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.sweeps import discounted_sweeps, undiscounted_sweeps
from gym_ilrl.planning.tabular_mdp import TabularMDP

SOLVERS = ("auto", "finite_horizon", "value_iteration", "newton")
_SWEEPS_FIRST = 400  # that "auto" spends before it factorises: where states mix fast, they are all it takes


def solve(
    mdp: TabularMDP,
    temperature: float = 0.0,
    solver: str = "auto",
    *,
    initial_values: ArrayLike | None = None,
    system: PolicySystem | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 100_000,
) -> Solution:
    """Find the optimal policy of a known problem; with a temperature, the one of the largest soft return.

    The soft return is the return plus ``temperature`` times the entropy of every action.

    :param mdp: the problem
    :param temperature: at least 0; 0: hard, the policy takes the best action
    :param solver: ``"finite_horizon"``: backward induction; ``"value_iteration"``; ``"newton"``: policy iteration with
        sparse linear equations; ``"auto"``: the first with a horizon; the last without discount, or from the values
        and the factor of a similar problem; else up to 400 sweeps of value iteration, and then Newton's method. Where a
        factor would fill memory, value iteration to the end
    :param initial_values: to begin with, of shape ``(n_states,)``: those of a similar problem save most of the work
    :param system: keeps the factor of the linear equations from one similar problem to the next
    :param tolerance: of the values, relative to the largest one (or to 1)
    :param max_iterations: sweeps or Newton steps
    :raises ValueError: if an argument is out of range
    :raises DivergenceError: if, without discount and horizon, the values are infinite
    :raises RuntimeError: if ``max_iterations`` are not enough
    """
    require(solver in SOLVERS, "solver", solver, f"one of {', '.join(SOLVERS)}")
    require(is_number(tolerance) and tolerance > 0.0, "tolerance", tolerance, "a positive number")
    require_positive_int("max_iterations", max_iterations)
    if mdp.horizon is not None:
        require(initial_values is None, "initial_values", initial_values, "None, for the problem has a horizon")
        require(solver in ("auto", "finite_horizon"), "solver", solver, "finite_horizon, for the problem has a horizon")
        return backward_induction(mdp, temperature)
    require(solver != "finite_horizon", "solver", solver, "another one, for the problem has no horizon")
    bellman = Bellman.of(mdp, temperature)
    system = PolicySystem() if system is None else system
    start = _start(initial_values, mdp, bellman)
    is_warm = start is not None and system.is_factored  # a few Newton steps, and no new factor, are all it takes
    if solver == "auto" and mdp.gamma < 1.0 and not is_warm:
        values, iterations, enough = discounted_sweeps(
            bellman, _or_zero(start, mdp), _can_end(mdp), tolerance, min(_SWEEPS_FIRST, max_iterations)
        )
        if enough:
            return _solution(mdp, bellman, values, "value_iteration", iterations)
        start = values
    if solver == "value_iteration" or (solver == "auto" and not _can_factorise(mdp, bellman, start, system)):
        values, iterations = _sweep(mdp, bellman, _or_zero(start, mdp), tolerance, max_iterations)
        return _solution(mdp, bellman, values, "value_iteration", iterations)
    if mdp.gamma < 1.0:
        values, iterations = newton(bellman, _or_zero(start, mdp), system, tolerance, max_iterations)
    else:
        values, iterations = goal_directed_newton(mdp, bellman, start, system, tolerance, max_iterations)
    return _solution(mdp, bellman, values, "newton", iterations)


def _can_factorise(mdp: TabularMDP, bellman: Bellman, start: NDArray[np.float64] | None, system: PolicySystem) -> bool:
    policy = bellman.improve(bellman.q_values(_or_zero(start, mdp)))[1]
    return system.can_factorise(bellman, policy)


def _sweep(
    mdp: TabularMDP, bellman: Bellman, start: NDArray[np.float64], tolerance: float, max_iterations: int
) -> tuple[NDArray[np.float64], int]:
    if mdp.gamma < 1.0:
        values, iterations, enough = discounted_sweeps(bellman, start, _can_end(mdp), tolerance, max_iterations)
    else:
        values, iterations, enough = undiscounted_sweeps(bellman, start, tolerance, max_iterations)
    if not enough:
        raise RuntimeError(
            f"value iteration has not converged in {max_iterations} sweeps; raise max_iterations or use solver='newton'"
        )
    return values, iterations


def _solution(mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64], solver: str, iterations: int) -> Solution:
    q = bellman.q_values(values)
    backup = bellman.values(q)
    if bellman.soft:
        log_policy = q - backup
    else:
        with np.errstate(divide="ignore"):
            log_policy = np.log(one_hot(greedy_policy(mdp, values), mdp.n_actions))
    residual = float(np.abs(backup - values).max()) * bellman.unit
    temperature = bellman.unit if bellman.soft else 0.0
    return Solution(backup * bellman.unit, q * bellman.unit, log_policy, temperature, solver, iterations, residual)


def _start(initial_values: ArrayLike | None, mdp: TabularMDP, bellman: Bellman) -> NDArray[np.float64] | None:
    if initial_values is None:
        return None
    start = np.array(initial_values, dtype=np.float64)
    fits = start.shape == (mdp.n_states,) and bool(np.isfinite(start).all())
    require(fits, "initial_values", initial_values, f"finite, of shape {(mdp.n_states,)}")
    return start / bellman.unit


def _or_zero(values: NDArray[np.float64] | None, mdp: TabularMDP) -> NDArray[np.float64]:
    return np.zeros(mdp.n_states) if values is None else values


def _can_end(mdp: TabularMDP) -> bool:
    return bool(mdp.ending.any())
