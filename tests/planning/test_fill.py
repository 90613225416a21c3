"""Factors that would fill memory are not computed, and everything is solved without them."""

import numpy as np
import pytest
from scipy import sparse

from gym_ilrl.planning import (
    PolicySystem,
    TabularMDP,
    fill,
    iteration,
    occupancy,
    policy_evaluation,
    policy_system,
    solve,
)
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.iteration import iterate
from gym_ilrl.planning.occupancy import flow


def connected_at_random(
    n_states: int, stay: float = 0.0, n_successors: int = 3, n_actions: int = 3, **arguments
) -> TabularMDP:
    """Actions that lead anywhere; with the probability ``stay`` nothing happens, so that states mix slowly."""
    generator = np.random.default_rng(0)
    successors = generator.integers(n_states, size=(n_states, n_actions, n_successors + 1))
    successors[..., -1] = np.arange(n_states)[:, None]
    chances = np.full(n_successors + 1, (1.0 - stay) / n_successors)
    chances[-1] = stay
    rewards = generator.normal(size=(n_states, n_actions))
    return TabularMDP.from_successors(successors, np.broadcast_to(chances, successors.shape), rewards, **arguments)


def random_policy(mdp: TabularMDP) -> np.ndarray:
    return np.random.default_rng(1).dirichlet(np.ones(mdp.n_actions), size=mdp.n_states).T


def dense(mdp: TabularMDP, policy: np.ndarray) -> np.ndarray:
    """``I - gamma P_pi``."""
    dynamics = mdp.transitions.toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)
    return np.eye(mdp.n_states) - mdp.gamma * np.einsum("as,asn->sn", policy, dynamics)


@pytest.fixture(name="no_factor")
def _no_factor(monkeypatch) -> None:
    """Every graph is refused, and a factor is an error."""

    def refused(matrix):
        raise AssertionError("a factor was computed")

    monkeypatch.setattr(policy_system, "is_factor_affordable", lambda matrix: False)
    monkeypatch.setattr(policy_system, "factorise", refused)
    monkeypatch.setattr(policy_system, "FREE", 0)


@pytest.mark.parametrize(("n_states", "n_successors", "n_actions"), [(5000, 3, 3), (12_000, 1, 3), (40_000, 1, 2)])
def test_random_graphs_are_not_factorised(n_states: int, n_successors: int, n_actions: int) -> None:
    mdp = connected_at_random(n_states, n_successors=n_successors, n_actions=n_actions)
    bellman, policy, system = Bellman.of(mdp, 0.0), random_policy(mdp), PolicySystem()
    assert not system.can_factorise(bellman, policy)
    values = policy_evaluation(mdp, policy, system=system)
    assert not system.is_factored
    earned = (policy * mdp.rewards).sum(axis=0)
    np.testing.assert_allclose(values - bellman.propagate(policy, values), earned, atol=1e-11)


def test_graphs_in_the_plane_are(grid) -> None:
    mdp = grid(size=70)
    system = PolicySystem()
    assert system.can_factorise(Bellman.of(mdp, 0.0), random_policy(mdp))
    policy_evaluation(mdp, random_policy(mdp), system=system)
    assert system.is_factored


def test_the_fill_is_continued_from_parts_to_the_whole(grid) -> None:
    mdp = grid(size=100)
    matrix = policy_system._without(policy_system._going_on(Bellman.of(mdp, 0.0), random_policy(mdp)))
    filled = fill.factorise(matrix).nnz / matrix.nnz
    limits = []
    for limit in np.geomspace(0.25 * filled, 4.0 * filled, 9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fill, "_MOST_FILL", limit)
            limits.append((limit, fill.is_factor_affordable(matrix)))
    afforded = [limit for limit, affordable in limits if affordable]
    assert filled / 2 < min(afforded) < 2 * filled
    assert len(afforded) < len(limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "_MOST_ENTRIES", 0.25 * filled * matrix.nnz)
        assert not fill.is_factor_affordable(matrix)


def test_only_small_parts_are_tried(monkeypatch) -> None:
    sizes = []

    def recorded(matrix, factorise=fill.factorise):
        sizes.append(matrix.shape[0])
        return factorise(matrix)

    monkeypatch.setattr(fill, "factorise", recorded)
    mdp = connected_at_random(20_000)
    system = PolicySystem()
    for _ in range(2):
        assert not system.can_factorise(Bellman.of(mdp, 0.0), random_policy(mdp))
    assert sizes == [1000, 2000] or sizes == [1000, 2000, 4000]  # and only once


def test_trees_have_no_fill() -> None:
    # every part has leaves whose children are outside of it, and yet no two of them have one in common
    n = 20_000
    state = np.arange(n)
    following = np.stack([np.minimum(2 * state + 1, n - 1), np.minimum(2 * state + 2, n - 1)], axis=1)[..., None]
    mdp = TabularMDP.from_successors(following, np.ones(following.shape), np.zeros(n))
    assert PolicySystem().can_factorise(Bellman.of(mdp, 0.0), np.full((2, n), 0.5))


def test_graphs_that_fall_apart(grid) -> None:
    part = grid(size=50)
    n = part.n_states
    apart = sparse.vstack([sparse.block_diag([part.transitions[a * n : (a + 1) * n]] * 3) for a in range(5)])
    mdp = TabularMDP(apart, np.tile(part.rewards, 3))
    system = PolicySystem()
    values = policy_evaluation(mdp, np.full((5, 3 * n), 0.2), system=system)
    np.testing.assert_allclose(values, np.tile(policy_evaluation(part, np.full((5, n), 0.2)), 3), rtol=1e-9)
    assert system.is_factored


def test_the_largest_part_counts() -> None:
    n = 5000
    mdp = connected_at_random(n)
    alone = sparse.vstack([sparse.block_diag([[[1.0]], mdp.transitions[a * n : (a + 1) * n]]) for a in range(3)])
    larger = TabularMDP(alone, np.zeros((3, n + 1)))
    assert not PolicySystem().can_factorise(Bellman.of(larger, 0.0), random_policy(larger))


def test_steps_that_do_not_help_are_not_taken(grid, monkeypatch) -> None:
    mdp = grid(size=6, gamma=0.9)
    matrix = np.eye(36) - dense(mdp, random_policy(mdp))
    right = np.random.default_rng(0).normal(size=36)
    monkeypatch.setattr(iteration, "_hurried", lambda system, residual: 1e6 * residual)
    np.testing.assert_allclose(
        iterate(sparse.csr_matrix(matrix), right, False, 1e-13), np.linalg.solve(np.eye(36) - matrix, right), rtol=1e-9
    )


@pytest.mark.usefixtures("no_factor")
@pytest.mark.parametrize("kind", ["random", "slow", "grid", "cycle", "ending"])
@pytest.mark.parametrize("gamma", [0.9, 0.999])
def test_equations_are_solved_without_a_factor(random_mdp, grid, kind: str, gamma: float) -> None:
    cycle = np.eye(60)[np.roll(np.arange(60), -1)][:, None].repeat(2, axis=1)  # on which Krylov methods do nothing
    mdp = {
        "random": lambda: connected_at_random(200, gamma=gamma),
        "slow": lambda: connected_at_random(200, stay=0.99, gamma=gamma),
        "grid": lambda: grid(size=15, gamma=gamma),
        "cycle": lambda: TabularMDP.from_arrays(cycle, np.arange(120.0).reshape(60, 2), gamma=gamma),
        "ending": lambda: random_mdp(n_states=50, ending=0.1, gamma=gamma),
    }[kind]()
    bellman, policy, system = Bellman.of(mdp, 0.0), random_policy(mdp), PolicySystem()
    matrix = dense(mdp, policy)
    for right in np.random.default_rng(2).normal(size=(2, mdp.n_states)):  # of both signs
        for transposed in (False, True):
            solution = system.solve(bellman, policy, right, transposed)
            expected = np.linalg.solve(matrix.T if transposed else matrix, right)
            np.testing.assert_allclose(solution, expected, atol=1e-8 * np.abs(expected).max())
        np.testing.assert_allclose(flow(bellman, policy, right, system), expected, atol=1e-8 * np.abs(expected).max())
    visits = occupancy(mdp, policy, system=system)
    expected = policy * np.linalg.solve(matrix.T, mdp.initial)
    np.testing.assert_allclose(visits, expected, atol=1e-9 * expected.max())
    assert not system.is_factored


@pytest.mark.usefixtures("no_factor")
@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_problems_are_planned_without_a_factor(grid, temperature: float) -> None:
    mdp = grid(size=9, gamma=0.995)
    system = PolicySystem()
    swept = solve(mdp, temperature, system=system)
    assert (swept.solver, system.is_factored) == ("value_iteration", False)
    assert swept.iterations > 400
    by_newton = solve(mdp, temperature, "newton", system=system)
    np.testing.assert_allclose(swept.values, by_newton.values, atol=1e-7)
    again = solve(mdp.replace(rewards=1.01 * mdp.rewards), temperature, initial_values=swept.values, system=system)
    np.testing.assert_allclose(again.values[:3], solve(mdp.replace(rewards=1.01 * mdp.rewards), temperature).values[:3])


@pytest.mark.usefixtures("no_factor")
def test_goals_are_reached_without_a_factor(grid) -> None:
    size = 7
    goal = np.arange(size * size) == size * size - 1
    maze = grid(size=size, terminal=goal, rewards=np.full(size * size, -1.0), gamma=1.0)
    assert solve(maze).solver == "value_iteration"
    np.testing.assert_allclose(solve(maze).values, solve(maze, solver="newton").values, atol=1e-9)
    np.testing.assert_allclose(solve(maze, 0.3).values, solve(maze, 0.3, "newton").values, atol=1e-8)
    visits = occupancy(maze, np.full((5, size * size), 0.2))
    np.testing.assert_allclose((visits * maze.ending).sum(), 1.0)


def test_without_an_end_there_is_no_answer(monkeypatch) -> None:
    monkeypatch.setattr("gym_ilrl.planning.iteration._ATTEMPTS", 5)
    with pytest.raises(ArithmeticError, match="not solved after 250 sweeps"):
        iterate(sparse.identity(3, format="csr"), np.ones(3), False, 1e-13)


def test_it_is_asked_of_policies_that_never_end_as_well(grid) -> None:
    n = 65 * 65
    maze = grid(size=65, terminal=np.arange(n) == n - 1, rewards=np.full(n, -1.0), gamma=1.0)
    stay = np.repeat([[0.0]] * 4 + [[1.0]], n, axis=1)  # its equations are singular, its graph is not too large
    assert PolicySystem().can_factorise(Bellman.of(maze, 0.0), stay)
