"""Rewards linear in features: what they earn, and the transpose of it, by brute force."""

import numpy as np
import pytest
from irl_helpers import dynamics_of, problem
from scipy import sparse

from gym_ilrl.irl import EarnedRewards, features_of
from gym_ilrl.planning import TabularMDP, occupancy, policy_evaluation


def matrix_of(linear, shape):
    """The matrix of a linear map of tables of a shape, column by column."""
    size = int(np.prod(shape))
    return np.stack([linear(unit.reshape(shape)).ravel() for unit in np.eye(size)], axis=1)


@pytest.mark.parametrize("gamma", [1.0, 0.8])
@pytest.mark.parametrize("ends", [True, False])
def test_rewards_of_states_are_earned_by_acting_and_on_arrival_at_the_end(gamma, ends):
    mdp = problem(gamma=gamma, horizon=3, ends=ends)
    table = np.random.default_rng(0).normal(size=4)
    full, expected = dynamics_of(mdp), np.zeros((3, 4))
    for action in range(3):
        for state in range(4):
            if not mdp.terminal[state]:
                expected[action, state] = table[state] + gamma * full[action, state] @ (table * mdp.terminal)
    got = EarnedRewards(mdp, "states").rewards(table)
    np.testing.assert_allclose(got[mdp.available], expected[mdp.available])


@pytest.mark.parametrize("on", ["states", "actions"])
@pytest.mark.parametrize("ends", [True, False])
def test_the_adjoint_is_the_transpose(on, ends):
    mdp = problem(gamma=0.8, ends=ends)
    earned = EarnedRewards(mdp, on)
    forward = matrix_of(earned.rewards, earned.table_shape)
    backward = matrix_of(earned.adjoint, mdp.rewards.shape)
    np.testing.assert_allclose(backward, forward.T, atol=1e-15)


def test_the_return_is_that_of_all_states_the_last_one_included():
    mdp = problem(gamma=0.9)
    weights = np.random.default_rng(3).normal(size=4)
    policy = mdp.available / mdp.available.sum(axis=0)
    full = np.einsum("as,ast->st", policy, dynamics_of(mdp))
    full[3] = 0.0  # nothing follows the end
    visits = np.linalg.solve(np.eye(4) - 0.9 * full.T, mdp.initial)
    with_rewards = mdp.replace(rewards=EarnedRewards(mdp, "states").rewards(weights))
    assert mdp.initial @ policy_evaluation(with_rewards, policy) == pytest.approx(visits @ weights)


def test_endings_that_name_no_state_are_refused_for_rewards_on_states():
    ending = np.array([[0.5], [1.0]])
    mdp = TabularMDP(np.array([[0.5], [0.0]]), np.zeros((2, 1)), ending=ending, gamma=0.9)
    with pytest.raises(ValueError, match="need to know in which states episodes end"):
        EarnedRewards(mdp, "states")
    np.testing.assert_array_equal(EarnedRewards(mdp, "actions").rewards(np.ones((2, 1))), 1.0)


@pytest.mark.parametrize("kind", ["array", "list", "function", "sparse", "sparse_array"])
def test_forms_of_features_of_states(kind):
    mdp, array = problem(gamma=0.9), np.random.default_rng(1).normal(size=(4, 2))
    array[1, 0] = 0.0
    given = {
        "array": array,
        "list": array.tolist(),
        "function": lambda states: array[states],
        "sparse": sparse.coo_matrix(array),
        "sparse_array": sparse.csc_array(array),
    }[kind]
    features, weights = features_of(mdp, given, "states"), np.array([0.5, -2.0])
    np.testing.assert_allclose(features.table(weights), array @ weights)
    np.testing.assert_allclose(features.rewards(weights), EarnedRewards(mdp, "states").rewards(array @ weights))
    np.testing.assert_allclose(features.largest, np.abs(array).max(axis=0))
    forward = matrix_of(features.rewards, (2,))
    np.testing.assert_allclose(matrix_of(features.adjoint, (3, 4)), forward.T, atol=1e-15)


@pytest.mark.parametrize("is_function", [True, False])
def test_features_of_actions(is_function):
    mdp, array = problem(gamma=0.9), np.random.default_rng(1).normal(size=(4, 3, 2))
    given = (lambda states, actions: array[states, actions]) if is_function else array
    features, weights = features_of(mdp, given, "actions"), np.array([0.5, -2.0])
    np.testing.assert_allclose(features.rewards(weights)[:, :3], (array @ weights).T[:, :3])
    visits = occupancy(mdp, mdp.available / mdp.available.sum(axis=0))
    np.testing.assert_allclose(features.adjoint(visits), np.einsum("as,sad->d", visits, array))


@pytest.mark.parametrize("ends", [True, False])
def test_features_of_transitions_are_averaged_over_what_follows(ends):
    mdp, numbers = problem(gamma=0.9, ends=ends), np.random.default_rng(2).normal(size=(4, 3, 4, 2))
    features = features_of(mdp, lambda s, a, following: numbers[s, a, following], "transitions")
    weights, full = np.array([1.5, -0.5]), dynamics_of(mdp)
    for state in np.flatnonzero(~mdp.terminal):
        for action in np.flatnonzero(mdp.available[:, state]):
            expected = sum(full[action, state, then] * numbers[state, action, then] @ weights for then in range(4))
            assert features.rewards(weights)[action, state] == pytest.approx(expected)


def test_sparse_features_may_all_be_zero():
    features = features_of(problem(gamma=0.9), sparse.csr_matrix((4, 2)), "states")
    np.testing.assert_array_equal(features.rewards(np.ones(2)), 0.0)


def test_transitions_of_a_process_that_ends_at_once():
    ways = np.array([[[1], [2]], [[1], [1]], [[2], [2]]])
    mdp = TabularMDP.from_successors(ways, np.ones(ways.shape), np.zeros(3), terminal=[0, 1, 1], gamma=0.9)
    features = features_of(mdp, lambda s, a, following: np.eye(3)[following], "transitions")
    np.testing.assert_array_equal(features.table(np.array([0.0, 5.0, 7.0]))[:, 0], [5.0, 7.0])


@pytest.mark.parametrize(
    ("given", "on", "message"),
    [
        (np.zeros((3, 2)), "states", r"the shape of features must be \(4, d\)"),
        (np.zeros(4), "states", r"the shape of features must be \(4, d\)"),
        (np.zeros((4, 0)), "states", "the number of features must be at least 1"),
        (np.zeros((4, 3, 2)), "states", "reward_on='actions'"),
        (np.zeros((4, 2)), "actions", "reward_on='states'"),
        (np.full((4, 1), np.inf), "states", "features must be finite, and 4 of them are not"),
        (sparse.csr_matrix([[np.nan], [0.0], [0.0], [0.0]]), "states", "features must be finite"),
        (sparse.csr_matrix((4, 0)), "states", "the number of features must be at least 1"),
        (sparse.eye(3), "states", r"the shape of features must be \(4, d\)"),
        (sparse.eye(12), "actions", "a sparse matrix"),
        (np.array([["a"]] * 4), "states", "features must be numbers"),
        (np.zeros((4, 2)), "transitions", "a function f"),
        (lambda s, a, n: s, "transitions", r"one transition's features must be \(1, d\)"),
        (np.zeros((4, 2)), "edges", "reward_on must be one of"),
    ],
)
def test_what_are_no_features_is_refused(given, on, message):
    with pytest.raises(ValueError, match=message):
        features_of(problem(gamma=0.9), given, on)
