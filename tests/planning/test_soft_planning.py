"""Soft optimality against the sum over all trajectories, finite differences, and its limits."""

import gymnasium as gym
import numpy as np
import pytest

from gym_ilrl.planning import (
    DivergenceError,
    PolicySystem,
    TabularMDP,
    backward_induction,
    occupancy,
    policy_evaluation,
    soft_occupancy,
    solve,
)

SOLVERS = ("auto", "value_iteration", "newton")


def start_value(mdp: TabularMDP, temperature: float) -> float:
    values = solve(mdp, temperature, tolerance=1e-13).values
    return float(mdp.initial @ (values if mdp.horizon is None else values[0]))


def test_deterministic_soft_value_is_the_log_sum_over_trajectories(all_trajectories) -> None:
    generator = np.random.default_rng(0)
    successors = generator.integers(4, size=(4, 3, 1))
    rewards = generator.normal(size=(4, 3))
    mdp = TabularMDP.from_successors(
        successors, np.ones((4, 3, 1)), rewards, initial=[1, 0, 0, 0], gamma=1.0, horizon=5
    )
    tau = 0.7
    returns = [t.rewards(mdp) for t in all_trajectories(mdp)]
    assert len(returns) == 3**5
    log_partition = np.log(np.sum(np.exp(np.divide(returns, tau))))
    assert solve(mdp, tau).values[0, 0] == pytest.approx(tau * log_partition, abs=1e-12)


@pytest.mark.parametrize(("ending", "gamma"), [(0.0, 1.0), (0.4, 1.0), (0.4, 0.8)])
def test_soft_value_is_the_largest_return_plus_entropy(random_mdp, all_trajectories, ending, gamma) -> None:
    mdp = random_mdp(seed=5, n_states=3, n_actions=2, ending=ending, gamma=gamma, horizon=4)
    tau = 0.5
    solution, courses = solve(mdp, tau), list(all_trajectories(mdp))

    def soft_return(log_policy: np.ndarray) -> float:
        total = 0.0
        for t in courses:
            log_actions = [log_policy[time, a, s] for time, (s, a) in enumerate(t.pairs())]
            total += t.chance * np.exp(sum(log_actions)) * (t.rewards(mdp) - tau * sum(log_actions))
        return total

    best = soft_return(solution.log_policy)
    assert mdp.initial @ solution.values[0] == pytest.approx(best, abs=1e-12)
    generator = np.random.default_rng(0)
    for _ in range(5):
        other = np.log(generator.dirichlet(np.ones(2), size=(4, 3)).transpose(0, 2, 1))
        assert soft_return(other) < best
        evaluated = policy_evaluation(mdp, np.exp(other), tau)
        assert mdp.initial @ evaluated[0] == pytest.approx(soft_return(other), abs=1e-12)


@pytest.mark.parametrize("ending", [0.0, 0.3])
@pytest.mark.parametrize(("gamma", "horizon"), [(1.0, 1), (1.0, 8), (0.9, 8), (0.9, None), (0.99, None)])
def test_gradient_of_the_soft_value_is_the_occupancy(random_mdp, gamma: float, horizon, ending: float) -> None:
    mdp = random_mdp(seed=1, ending=ending, gamma=gamma, horizon=horizon)
    tau, step = 0.5, 1e-4
    gradient = np.zeros(mdp.rewards.shape)
    for index in np.ndindex(*gradient.shape):
        nudge = np.zeros(gradient.shape)
        nudge[index] = step
        more, less = (start_value(mdp.replace(rewards=mdp.rewards + sign * nudge), tau) for sign in (1, -1))
        gradient[index] = (more - less) / (2 * step)
    np.testing.assert_allclose(occupancy(mdp, solve(mdp, tau).policy), gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("gamma", [0.5, 0.99])
@pytest.mark.parametrize("kind", ["grid", "random", "periodic", "ending"])
def test_solvers_agree(random_mdp, grid, kind: str, gamma: float, temperature: float) -> None:
    cycle = np.eye(7)[np.roll(np.arange(7), -1)][:, None].repeat(2, axis=1)  # two actions, both go round
    mdp = {
        "grid": lambda: grid(gamma=gamma),
        "random": lambda: random_mdp(n_states=20, gamma=gamma),
        "periodic": lambda: TabularMDP.from_arrays(cycle, np.arange(14.0).reshape(7, 2), gamma=gamma),
        "ending": lambda: random_mdp(n_states=20, ending=0.1, gamma=gamma),
    }[kind]()
    solutions = [solve(mdp, temperature, solver, tolerance=1e-12) for solver in SOLVERS]
    horizon = backward_induction(mdp.replace(horizon=60 if gamma == 0.5 else 3200), temperature)
    scale = max(1.0, np.abs(solutions[0].values).max())
    for solution in solutions:
        np.testing.assert_allclose(solution.values, horizon.values[0], atol=1e-9 * scale)
        np.testing.assert_allclose(solution.policy, np.exp(horizon.log_policy[0]), atol=1e-7)
        np.testing.assert_allclose(solution.policy.sum(axis=0), 1.0)
        np.testing.assert_allclose(
            solution.policy, np.exp((solution.q_values - solution.values) / temperature), atol=1e-9
        )


@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.5])
def test_goal_directed_solvers_agree_with_a_long_horizon(temperature: float) -> None:
    # paths on a grid at cost 1 a step
    maze = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=6), gamma=1.0)
    maze = maze.replace(rewards=np.where(maze.terminal, 0.0, -1.0) * np.ones((4, 1)))
    long = backward_induction(maze.replace(horizon=3000), temperature).values[0]
    for solver in SOLVERS:
        solution = solve(maze, temperature, solver)
        np.testing.assert_allclose(solution.values, long, atol=1e-9 * np.abs(long).max())
        evaluated = policy_evaluation(maze, solution.policy, temperature)
        np.testing.assert_allclose(evaluated, solution.values, atol=1e-8)


def test_goal_directed_soft_values_are_linear_in_exponentials() -> None:
    # deterministic dynamics: z = exp(V / tau) solves (I - M) z = b (Todorov, 2006), here with dense linear algebra
    maze = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=4, slip=0.0), gamma=1.0)
    maze = maze.replace(rewards=np.full((4, 16), -1.0))
    tau = 0.5
    acting = ~maze.terminal
    weight = np.exp(-1.0 / tau)
    moves = weight * maze.transitions.toarray().reshape(4, 16, 16).sum(axis=0)[np.ix_(acting, acting)]
    z = np.linalg.solve(np.eye(15) - moves, weight * maze.ending.sum(axis=0)[acting])
    np.testing.assert_allclose(solve(maze, tau).values[acting], tau * np.log(z), atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_divergence_is_refused_in_words(solver: str) -> None:
    # a step costs 1, and gains log 4 = 1.386 by its entropy
    name = max(key for key in gym.registry if key.startswith("CliffWalking-v"))
    cliff = TabularMDP.from_env(gym.make(name), gamma=1.0)
    with pytest.raises(DivergenceError, match=r"at temperature 1 .* up to 1.39 .* as high as -1.* below 0.721"):
        solve(cliff, 1.0, solver)
    assert np.isfinite(solve(cliff, 0.72, solver).values).all()  # at most log 4 tau < 1: it cannot diverge
    with pytest.raises(ValueError, match="make each step cost something"):
        solve(TabularMDP.from_env(gym.make("ilrl/GridMaze-v0"), gamma=1.0), 0.01, solver)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_free_loops_diverge_however_slowly(temperature: float) -> None:
    # in the upper row of the lake going up is safe and free: leaving it ever more rarely gains entropy without end,
    # but so slowly that the values "converge" where the probability of leaving is rounded away
    with pytest.raises(DivergenceError):
        solve(TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=1.0), temperature)


@pytest.mark.parametrize("horizon", [None, 12])
def test_soft_values_tend_to_hard_ones(random_mdp, horizon) -> None:
    mdp = random_mdp(n_states=6, gamma=0.9, horizon=horizon)
    hard = solve(mdp).values
    length = 10.0 if horizon is None else horizon
    previous = np.inf
    for temperature in (1.0, 0.1, 0.01, 0.001):
        gap = solve(mdp, temperature).values - hard
        assert gap.min() >= -1e-9
        assert gap.max() <= temperature * np.log(3) * length + 1e-9  # the entropy of every action is at most log A
        assert gap.max() < previous or gap.max() < 1e-12
        previous = gap.max()
    np.testing.assert_array_equal(solve(mdp, 1e-3).actions, solve(mdp).actions)


def test_high_temperature_makes_actions_uniform(random_mdp) -> None:
    np.testing.assert_allclose(solve(random_mdp(), 1e5).policy, 1 / 3, atol=1e-4)


def test_tolerances_below_rounding_are_met_as_well_as_can_be(random_mdp) -> None:
    mdp = random_mdp(n_states=5, gamma=0.9)
    best, exact = solve(mdp, 0.05, "newton", tolerance=1e-30, max_iterations=60), solve(mdp, 0.05, "newton")
    np.testing.assert_allclose(best.values, exact.values, rtol=1e-10)


def test_huge_rewards_do_not_overflow(random_mdp) -> None:
    mdp = random_mdp()
    small, large = solve(mdp, 1e-3), solve(mdp.replace(rewards=1e6 * mdp.rewards), 1e3)
    np.testing.assert_allclose(large.values, 1e6 * small.values, rtol=1e-9)
    np.testing.assert_allclose(large.log_policy, small.log_policy, atol=1e-4)


def test_adding_a_constant_to_the_rewards_changes_no_policy(random_mdp) -> None:
    mdp = random_mdp(gamma=0.9)
    solution, shifted = solve(mdp, 0.5), solve(mdp.replace(rewards=mdp.rewards + 3.0), 0.5)
    np.testing.assert_allclose(shifted.log_policy, solution.log_policy, atol=1e-9)
    np.testing.assert_allclose(shifted.values, solution.values + 30.0)


def test_terminal_states_are_worth_nothing() -> None:
    maze = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0"), gamma=0.9)
    for solution in (solve(maze, 0.5, solver) for solver in SOLVERS):
        np.testing.assert_allclose(solution.values[maze.terminal], 0.0, atol=1e-12)


def test_warm_starts_and_old_factors_change_the_work_and_not_the_result(grid) -> None:
    mdp = grid(size=12, gamma=0.995)
    system = PolicySystem()
    first = solve(mdp, 0.2, "newton", system=system)
    assert solve(mdp, 0.2, "newton", initial_values=first.values).iterations == 1
    moved = mdp.replace(rewards=1.01 * mdp.rewards)
    warm = solve(moved, 0.2, "newton", initial_values=first.values, system=system)
    cold = solve(moved, 0.2, "newton")
    np.testing.assert_allclose(warm.values, cold.values, atol=1e-10 * np.abs(cold.values).max())
    assert warm.iterations < cold.iterations
    visits = occupancy(moved, warm.policy, system=system)
    np.testing.assert_allclose(visits, occupancy(moved, cold.policy), atol=1e-9)
    goal = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0"), gamma=1.0).replace(rewards=np.full((4, 64), -1.0))
    right = solve(goal, 0.3)
    for start in (right.values + 0.1, np.full(64, 1e3), np.random.default_rng(0).normal(size=64)):
        np.testing.assert_allclose(solve(goal, 0.3, initial_values=start).values, right.values, atol=1e-9)
        np.testing.assert_allclose(solve(goal, initial_values=start).values, solve(goal).values, atol=1e-9)


def test_auto_takes_the_old_factor_where_there_is_one(random_mdp) -> None:
    mdp, system = random_mdp(n_states=20), PolicySystem()
    first = solve(mdp, 0.5, system=system)
    assert (first.solver, system.is_factored) == ("value_iteration", False)  # random graphs mix fast
    policy_evaluation(mdp, first.policy, system=system)
    assert solve(mdp, 0.5, initial_values=first.values, system=system).solver == "newton"


@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize("horizon", [1, 2, 7, 9, 10])
def test_checkpoints_change_nothing(random_mdp, horizon: int, temperature: float) -> None:
    mdp = random_mdp(ending=0.2, gamma=0.9, horizon=horizon)
    solution = solve(mdp, temperature)
    for memory_limit in (1.0, 1e9):
        value, visits = soft_occupancy(mdp, temperature, memory_limit)
        assert value == pytest.approx(mdp.initial @ solution.values[0], abs=1e-12)
        np.testing.assert_allclose(visits, occupancy(mdp, solution.policy), atol=1e-13)
