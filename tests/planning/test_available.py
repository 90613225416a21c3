"""Actions that do not exist everywhere: against enumeration, and against plain loops over those that exist."""

from collections.abc import Callable
from itertools import product

import gymnasium as gym
import numpy as np
import pytest

from gym_ilrl.planning import (
    DivergenceError,
    TabularMDP,
    backward_messages,
    forward_messages,
    greedy_policy,
    log_partition,
    occupancy,
    policy_evaluation,
    soft_occupancy,
    solve,
    state_posterior,
    visitation,
)

SOLVERS = ("auto", "value_iteration", "newton")


@pytest.fixture(name="choosy")
def _choosy(random_mdp) -> Callable[..., TabularMDP]:
    """Random processes in which each state has one to all of the actions; what is given for the others is nonsense."""

    def make(seed: int = 0, n_states: int = 4, n_actions: int = 3, **arguments) -> TabularMDP:
        generator = np.random.default_rng(seed)
        available = generator.random((n_actions, n_states)) < 0.6
        available[generator.integers(n_actions, size=n_states), np.arange(n_states)] = True
        available[0, 0] = not available[1:, 0].any()  # at least one is missing if there is another one
        full = random_mdp(seed, n_states, n_actions, **arguments)
        rewards = np.where(available, full.rewards, np.nan)
        transitions = full.transitions.toarray()
        transitions[~available.ravel()] = 7.0
        ending = np.where(available, full.ending, -1.0)
        return TabularMDP(
            transitions,
            rewards,
            ending=ending,
            available=available,
            initial=full.initial,
            gamma=full.gamma,
            horizon=full.horizon,
        )

    return make


def by_loops(mdp: TabularMDP, temperature: float, steps: int) -> tuple[np.ndarray, list[dict[int, float]]]:
    """Values of every state and probabilities of its actions, after some sweeps with a list of actions each."""
    dynamics = mdp.transitions.toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)
    values = np.zeros(mdp.n_states)
    for _ in range(steps):
        q = [
            {a: mdp.rewards[a, s] + mdp.gamma * dynamics[a, s] @ values for a in np.flatnonzero(mdp.available[:, s])}
            for s in range(mdp.n_states)
        ]
        if temperature == 0.0:
            values = np.array([max(each.values()) for each in q])
        else:
            values = np.array([temperature * np.log(sum(np.exp(x / temperature) for x in each.values())) for each in q])
        values[mdp.terminal] = 0.0
    if temperature == 0.0:
        return values, []
    return values, [{a: np.exp((x - values[s]) / temperature) for a, x in each.items()} for s, each in enumerate(q)]


def test_what_does_not_exist_is_taken_out(choosy) -> None:
    mdp = choosy(ending=0.3)
    missing = ~mdp.available
    assert missing.any()
    assert mdp.transitions[missing.ravel()].nnz == 0
    np.testing.assert_array_equal(mdp.ending[missing], 0.0)
    np.testing.assert_array_equal(mdp.rewards[missing], 0.0)
    for other in (mdp.replace(gamma=0.5), mdp.replace(initial=np.full(4, 0.25)), mdp.replace(rewards=mdp.rewards + 1)):
        np.testing.assert_array_equal(other.available, mdp.available)
        np.testing.assert_array_equal(other.rewards[missing], 0.0)
    with pytest.raises(ValueError, match="read-only"):
        mdp.available[0, 0] = True
    with pytest.raises(ValueError, match=r"leads nowhere.* or the action unavailable"):
        mdp.replace(available=None)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("ending", [0.0, 0.3])
def test_no_policy_of_those_that_exist_is_better(choosy, solver: str, ending: float) -> None:
    for seed in range(4):
        mdp = choosy(seed, ending=ending, gamma=0.9)
        mdp = mdp.replace(rewards=mdp.rewards - 100.0)  # an action that does not exist would cost nothing
        choices = [np.flatnonzero(mdp.available[:, s]) for s in range(4)]
        best = np.max([policy_evaluation(mdp, np.array(actions)) for actions in product(*choices)], axis=0)
        solution = solve(mdp, solver=solver)
        np.testing.assert_allclose(solution.values, best, atol=1e-8)
        assert mdp.available[solution.actions, np.arange(4)].all()
        np.testing.assert_array_equal(solution.policy[~mdp.available], 0.0)
        np.testing.assert_array_equal(greedy_policy(mdp, best), solution.actions)


@pytest.mark.parametrize("gamma", [0.0, 0.9])
@pytest.mark.parametrize("temperature", [0.2, 3.0])
@pytest.mark.parametrize("ending", [0.0, 0.3])
def test_soft_values_count_the_entropy_of_those_that_exist(choosy, gamma, temperature, ending) -> None:
    for seed in range(3):
        mdp = choosy(seed, n_states=6, ending=ending, gamma=gamma)
        values, policy = by_loops(mdp, temperature, 400)
        for solver in SOLVERS:
            solution = solve(mdp, temperature, solver)
            np.testing.assert_allclose(solution.values, values, atol=1e-8)
            for s, a in product(range(6), range(3)):
                assert solution.policy[a, s] == pytest.approx(policy[s].get(a, 0.0), abs=1e-9)
            assert np.isfinite(solution.log_policy).all()
            assert (solution.log_policy[~mdp.available] < -1e90).all()
            evaluated = policy_evaluation(mdp, solution.policy, temperature)
            np.testing.assert_allclose(evaluated, values, atol=1e-8)
            visits = occupancy(mdp, solution.policy)
            np.testing.assert_array_equal(visits[~mdp.available], 0.0)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_backward_induction_and_its_occupancy(choosy, temperature: float) -> None:
    mdp = choosy(n_states=5, ending=0.3, gamma=0.9, horizon=6)
    solution = solve(mdp, temperature)
    for steps in range(1, 7):
        np.testing.assert_allclose(solution.values[6 - steps], by_loops(mdp, temperature, steps)[0], atol=1e-12)
    np.testing.assert_array_equal(solution.policy[:, ~mdp.available], 0.0)
    value, visits = soft_occupancy(mdp, temperature)
    np.testing.assert_allclose(visits, occupancy(mdp, solution.policy), atol=1e-13)
    assert value == pytest.approx(mdp.initial @ solution.values[0])
    assert visitation(mdp, solution.policy)[0].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_messages_sum_over_trajectories_of_those_that_exist(choosy, all_trajectories, gamma: float) -> None:
    mdp = choosy(n_states=3, ending=0.4, gamma=gamma, horizon=4)
    courses = [t for t in all_trajectories(mdp) if all(mdp.available[a, s] for s, a in t.pairs())]
    weights = np.array([t.chance * np.exp(t.rewards(mdp) / 0.8) for t in courses])
    messages = backward_messages(mdp, 0.8)
    assert log_partition(mdp, messages) == pytest.approx(np.log(weights.sum()), abs=1e-12)
    assert np.isfinite(messages.log_policy).all()
    np.testing.assert_array_equal(np.exp(messages.log_policy[:, ~mdp.available]), 0.0)
    weights /= weights.sum()
    states = np.zeros((5, 3))
    for t, weight in zip(courses, weights, strict=True):
        states[np.arange(len(t.states)), t.states] += weight
    np.testing.assert_allclose(state_posterior(mdp, 0.8), states, atol=1e-13)
    assert np.exp(forward_messages(mdp, 0.8)[0]) == pytest.approx(mdp.initial)
    variational, solution = backward_messages(mdp, 0.8, variational=True), solve(mdp, 0.8)
    np.testing.assert_allclose(0.8 * variational.log_beta, solution.values, atol=1e-12)


def one_way(backwards_in: int = 2, rewards=-1.0, **arguments) -> TabularMDP:
    """A corridor 0 ... 4 with the goal at its end: forwards anywhere, but backwards in one state."""
    available = np.array([[True] * 5, [False] * 5])
    available[1, backwards_in] = True
    arguments = {"rewards": np.full(5, rewards), "terminal": np.arange(5) == 4, "available": available, **arguments}
    return TabularMDP.from_arrays([np.eye(5, k=1), np.eye(5, k=-1)], **arguments)


@pytest.mark.parametrize("solver", SOLVERS)
def test_goal_directed(solver: str) -> None:
    mdp = one_way(gamma=1.0)
    np.testing.assert_array_equal(mdp.steps_to_end, [4, 3, 2, 1, 0])
    np.testing.assert_allclose(solve(mdp, solver=solver).values, [-4, -3, -2, -1, 0])
    np.testing.assert_array_equal(solve(mdp, solver=solver).actions, 0)
    # V(2) = log(exp(-1 + V(3)) + exp(-1 + V(1))) with V(3) = -1 and V(1) = -1 + V(2), all the others sure
    z = np.exp(-2.0) / (1.0 - np.exp(-2.0))
    expected = np.log([z * np.exp(-2.0), z * np.exp(-1.0), z, np.exp(-1.0), 1.0])
    solution = solve(mdp, 1.0, solver)
    np.testing.assert_allclose(solution.values, expected, atol=1e-9)
    np.testing.assert_allclose(policy_evaluation(mdp, solution.policy, 1.0), expected, atol=1e-9)


def test_what_does_not_exist_ends_nothing() -> None:
    available = np.array([[True, True, True, False, True], [False, False, False, True, True]])
    with pytest.raises(ValueError, match="from state 0 none can"):
        one_way(gamma=1.0, available=available)  # in the last state before the goal there is only the way back
    loop = TabularMDP([[1.0]], [[1.0]], gamma=0.5)
    beside = TabularMDP([[1.0], [0.0]], [[1.0], [9.0]], available=[[True], [False]], gamma=0.5)
    assert beside.ending.sum() == 0.0
    assert solve(beside).values[0] == solve(loop).values[0] == pytest.approx(2.0)
    with pytest.raises(ValueError, match="from state 0 none can"):
        beside.replace(gamma=1.0)


def test_divergence_counts_those_that_exist() -> None:
    # of four actions two stay, one ends and one does not exist: a step gains at most log 3 = 1.10, and costs 0.5
    available = [[True], [True], [True], [False]]
    mdp = TabularMDP(
        [[1.0], [1.0], [0.0], [1.0]], np.full((4, 1), -0.5), ending=[[0], [0], [1], [0]], available=available, gamma=1.0
    )
    with pytest.raises(DivergenceError, match=r"up to 1\.1 .* below 0\.455"):
        solve(mdp, 1.0)
    stay = 2.0 * np.exp(-0.5 / 0.45)
    expected = 0.45 * np.log(0.5 * stay / (1.0 - stay))
    assert solve(mdp, 0.45).values[0] == pytest.approx(expected)


def test_terminal_states_have_all() -> None:
    mdp = one_way(gamma=0.9)
    np.testing.assert_array_equal(mdp.available[:, 4], True)
    solution = solve(mdp, 0.5)
    np.testing.assert_allclose(solution.policy[:, 4], 0.5)
    assert solution.values[4] == pytest.approx(0.0, abs=1e-14)
    stranded = TabularMDP.from_arrays(
        [np.eye(3, k=1) + np.diag([0, 0, 1.0]), np.zeros((3, 3))],
        np.ones(3),
        terminal=[False, True, False],
        initial=[1, 0, 0],
        available=[[True] * 3, [False] * 3],
        gamma=1.0,
    )
    np.testing.assert_array_equal(stranded.terminal, [False, True, True])
    np.testing.assert_array_equal(stranded.available, [[True, True, True], [False, True, True]])


def test_a_policy_that_takes_others_is_refused() -> None:
    mdp = one_way(gamma=0.9)
    with pytest.raises(ValueError, match="takes action 1 in state 1, which is not available"):
        policy_evaluation(mdp, np.array([0, 1, 0, 0, 0]))
    with pytest.raises(ValueError, match="takes action 1 in state 0, which is not available"):
        occupancy(mdp.replace(horizon=3), np.full((3, 2, 5), 0.5))
    policy = np.array([[1.0] * 5, [0.0] * 5])
    rounded = policy + [[-1e-8] * 5, [1e-8] * 5]
    np.testing.assert_allclose(policy_evaluation(mdp, rounded), policy_evaluation(mdp, policy), rtol=1e-6)


def test_a_state_without_any_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="state 1 has no available action"):
        TabularMDP(np.eye(2), [[1.0, 1.0]], available=[[True, False]])
    with pytest.raises(ValueError, match="shape of available must be"):
        TabularMDP(np.eye(2), [[1.0, 1.0]], available=[True, False])
    with pytest.raises(ValueError, match="available must be True or False"):
        TabularMDP(np.eye(2), [[1.0, 1.0]], available=[[0.5, 1.0]])
    assert TabularMDP(np.eye(2), [[1.0, 1.0]], available=[[True, True]]).available is None


def test_environments_may_publish_them() -> None:
    class Corridor(gym.Env):
        """As toy-text: left and right; at the ends only one of them exists, and it is listed as staying."""

        available = np.array([[False, True, True], [True, True, True]])
        initial_state_distrib = np.array([1.0, 0.0, 0.0])
        P = {
            0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
            1: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 2, 1.0, True)]},
            2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
        }

    mdp = TabularMDP.from_env(Corridor())
    np.testing.assert_array_equal(mdp.available, Corridor.available)
    np.testing.assert_array_equal(mdp.terminal, [False, False, True])
    assert mdp.transitions[0].nnz == 0
    maze = gym.make("ilrl/GridMaze-v0", size=4)
    assert TabularMDP.from_env(maze).available is None
    available = np.ones((4, 16), dtype=bool)
    available[2, 0] = False
    maze.unwrapped.available = available
    np.testing.assert_array_equal(TabularMDP.from_env(maze).available, available)


def test_a_function_is_not_asked_for_others() -> None:
    def outcomes(state: int, action: int):
        assert (state, action) != (1, 1)
        return [(1.0, 1 - state, float(action), False)]

    mdp = TabularMDP.from_function(outcomes, 2, 2, available=[[True, True], [True, False]])
    np.testing.assert_array_equal(mdp.available, [[True, True], [True, False]])
    successors = np.array([[[1], [1]], [[0], [0]]])
    other = TabularMDP.from_successors(successors, np.ones((2, 2, 1)), [[0, 1], [0, 9]], available=mdp.available)
    np.testing.assert_allclose(other.transitions.toarray(), mdp.transitions.toarray())
    np.testing.assert_allclose(other.rewards, mdp.rewards)
