"""Hard optimality against every deterministic policy, known values of toy-text, and shortest paths."""

from collections import deque
from itertools import product

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_ilrl.planning import (
    DivergenceError,
    TabularMDP,
    backward_induction,
    greedy_policy,
    occupancy,
    policy_evaluation,
    solve,
)

SOLVERS = ("auto", "value_iteration", "newton")


def newest(name: str) -> str:
    return max(key for key in gym.registry if key.startswith(f"{name}-v"))


def value_of(mdp: TabularMDP, actions) -> np.ndarray:
    """Dense linear algebra, one policy."""
    states = np.arange(mdp.n_states)
    dynamics = mdp.transitions.toarray().reshape(mdp.n_actions, mdp.n_states, -1)[list(actions), states]
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * dynamics, mdp.rewards[list(actions), states])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("ending", [0.0, 0.3])
def test_no_deterministic_policy_is_better(random_mdp, solver: str, ending: float) -> None:
    mdp = random_mdp(seed=3, ending=ending, gamma=0.9)
    best = np.max([value_of(mdp, actions) for actions in product(range(3), repeat=4)], axis=0)
    solution = solve(mdp, solver=solver)
    np.testing.assert_allclose(solution.values, best, atol=1e-9)
    np.testing.assert_allclose(value_of(mdp, solution.actions), best, atol=1e-9)
    np.testing.assert_array_equal(np.sort(solution.policy, axis=0)[-1], 1.0)
    assert solution.residual < 1e-9


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_states=st.integers(1, 12),
    n_actions=st.integers(1, 4),
    gamma=st.sampled_from([0.0, 0.5, 0.99]),
    ending=st.sampled_from([0.0, 0.5]),
    temperature=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_solvers_agree(random_mdp, seed, n_states, n_actions, gamma, ending, temperature) -> None:
    mdp = random_mdp(seed, n_states, n_actions, ending, gamma=gamma)
    solutions = [solve(mdp, temperature, solver) for solver in SOLVERS]
    for solution in solutions:
        scale = max(1.0, np.abs(solution.values).max())
        np.testing.assert_allclose(solution.values, solutions[0].values, atol=1e-9 * scale)
        evaluated = policy_evaluation(mdp, solution.policy, temperature)
        np.testing.assert_allclose(evaluated, solution.values, atol=1e-8 * scale)


def test_backward_induction_is_the_best_of_all_plans(random_mdp) -> None:
    mdp = random_mdp(n_states=2, n_actions=2, ending=0.2, gamma=0.8, horizon=3)
    dynamics = mdp.transitions.toarray().reshape(2, 2, 2)
    best = np.full(2, -np.inf)
    for plan in product(range(2), repeat=6):  # an action for every time and state
        values = np.zeros(2)
        for actions in np.reshape(plan, (3, 2)):
            values = np.array([mdp.rewards[a, s] + 0.8 * dynamics[a, s] @ values for s, a in enumerate(actions)])
        best = np.maximum(best, values)
    solution = solve(mdp)
    np.testing.assert_allclose(solution.values[0], best)
    assert solution.solver == "finite_horizon"
    np.testing.assert_allclose(policy_evaluation(mdp, solution.policy), solution.values)
    np.testing.assert_allclose(policy_evaluation(mdp, solution.actions), solution.values)


def test_long_horizon_tends_to_the_discounted_values(grid) -> None:
    stationary = solve(grid(gamma=0.9))
    np.testing.assert_allclose(backward_induction(grid(gamma=0.9, horizon=300)).values[0], stationary.values, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_known_returns_of_toy_text(solver: str) -> None:
    # 14/17: the largest probability of reaching the goal of the slippery 4x4 lake; -13: along the cliff
    lake = TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=1.0)
    assert lake.initial @ solve(lake, solver=solver).values == pytest.approx(14 / 17, abs=1e-8)
    cliff = TabularMDP.from_env(gym.make(newest("CliffWalking")), gamma=1.0)
    assert cliff.initial @ solve(cliff, solver=solver).values == pytest.approx(-13.0)


def test_taxi_by_breadth_first_search() -> None:
    env = gym.make(newest("Taxi")).unwrapped
    mdp = TabularMDP.from_env(env, gamma=1.0)
    cost = np.full(500, np.inf)  # all actions cost 1 but the last, which pays 20: the fewest steps are best
    into = {}
    for s, a in product(range(500), range(6)):
        [(_, following, reward, terminated)] = env.P[s][a]
        if terminated:
            cost[s] = -20.0
        elif reward == -1:
            into.setdefault(following, []).append(s)
    queue = deque(np.flatnonzero(cost == -20.0))
    while queue:
        state = queue.popleft()
        for earlier in into.get(state, []):
            if cost[earlier] == np.inf:
                cost[earlier] = cost[state] + 1.0
                queue.append(earlier)
    solution = solve(mdp)
    np.testing.assert_allclose(solution.values, -cost)
    assert mdp.initial @ solution.values == pytest.approx(7.93)


@pytest.mark.parametrize("solver", SOLVERS)
def test_among_equal_actions_the_policy_takes_one_that_ends(solver: str) -> None:
    # the goal pays 1 and nothing costs anything: all actions are equally good, but most go round in circles
    mdp = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=6, slip=0.0), gamma=1.0)
    solution = solve(mdp, solver=solver)
    np.testing.assert_allclose(solution.values, ~mdp.terminal, atol=1e-12)
    np.testing.assert_allclose(policy_evaluation(mdp, solution.actions), ~mdp.terminal, atol=1e-12)
    np.testing.assert_array_equal(greedy_policy(mdp, solution.values), solution.actions)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_farther_goal_that_pays_more_is_found_past_free_loops(solver: str) -> None:
    # a corridor whose left end pays 1 and whose right end pays 2; actions stay, go left, go right, and cost nothing
    def outcomes(state: int, action: int):
        place = state + (0, -1, 1)[action]
        return [(1.0, min(max(place, 0), 8), float(place == -1) + 2.0 * (place == 9), place in (-1, 9))]

    mdp = TabularMDP.from_function(outcomes, 9, 3, gamma=1.0)
    solution = solve(mdp, solver=solver)
    np.testing.assert_allclose(solution.values, 2.0)
    np.testing.assert_array_equal(solution.actions, 2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_loop_that_pays_is_refused(solver: str) -> None:
    stay_or_end = {0: [(1.0, 0, 0.5, False)], 1: [(1.0, 0, 3.0, True)]}
    mdp = TabularMDP.from_function(lambda s, a: stay_or_end[a], 1, 2, gamma=1.0)
    with pytest.raises(DivergenceError, match="the values are infinite: without discount, some loop"):
        solve(mdp, solver=solver)


@pytest.mark.parametrize("gamma", [0.0, 0.95])
def test_policy_evaluation_is_the_dense_solution(random_mdp, gamma: float) -> None:
    mdp = random_mdp(ending=0.2, gamma=gamma)
    policy = np.random.default_rng(1).dirichlet(np.ones(3), size=4).T
    dynamics = np.einsum("as,asn->sn", policy, mdp.transitions.toarray().reshape(3, 4, 4))
    expected = np.linalg.solve(np.eye(4) - gamma * dynamics, (policy * mdp.rewards).sum(axis=0))
    np.testing.assert_allclose(policy_evaluation(mdp, policy), expected, atol=1e-12)
    np.testing.assert_allclose(policy_evaluation(mdp, np.array([2, 0, 1, 0])), value_of(mdp, [2, 0, 1, 0]), atol=1e-12)


def test_policies_in_single_precision_are_welcome(random_mdp) -> None:
    policy = np.random.default_rng(1).dirichlet(np.ones(3), size=4).T
    for mdp in (random_mdp(gamma=0.999), random_mdp(horizon=50)):
        visits = occupancy(mdp, policy.astype(np.float32))
        np.testing.assert_allclose(visits, occupancy(mdp, policy), rtol=1e-5)


def test_what_is_no_policy_is_refused(random_mdp) -> None:
    mdp = random_mdp()
    for policy, message in [
        (np.full((3, 4), 0.5), "probabilities that sum to 1"),
        (np.full((4, 3), 1 / 3), "shape of the policy"),
        (np.array([0, 1, 3, 0]), r"in 0 \.\.\. 2"),
        (np.zeros(3, dtype=int), "shape of actions"),
    ]:
        with pytest.raises(ValueError, match=message):
            policy_evaluation(mdp, policy)
    maze = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=4, slip=0.0), gamma=1.0)
    with pytest.raises(ValueError, match="the policy must end the episode"):
        policy_evaluation(maze, np.zeros(16, dtype=int))


def test_solvers_are_refused_where_they_do_not_apply(random_mdp) -> None:
    with pytest.raises(ValueError, match="solver must be one of"):
        solve(random_mdp(), solver="linear_program")
    with pytest.raises(ValueError, match="solver must be finite_horizon"):
        solve(random_mdp(horizon=3), solver="newton")
    with pytest.raises(ValueError, match="solver must be another one"):
        solve(random_mdp(), solver="finite_horizon")
    with pytest.raises(ValueError, match="horizon must be given"):
        backward_induction(random_mdp())
    with pytest.raises(ValueError, match="temperature must be a number of at least 0"):
        solve(random_mdp(), temperature=-1.0)
    with pytest.raises(ValueError, match="initial_values must be finite"):
        solve(random_mdp(), initial_values=[0.0])
    with pytest.raises(ValueError, match="initial_values must be None"):
        solve(random_mdp(horizon=3), initial_values=np.zeros(4))
    with pytest.raises(RuntimeError, match="not converged in 3 sweeps"):
        solve(random_mdp(), solver="value_iteration", max_iterations=3)
