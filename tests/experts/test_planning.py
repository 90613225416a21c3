"""Planning against brute force over all policies, linear solves and hand computation."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from gym_ilrl.experts.planning import continuing_transitions, greedy_actions, greedy_policy, value_iteration


def random_model(seed, n_states=4, n_actions=3):
    rng = np.random.default_rng(seed)
    return {
        s: {
            a: [
                (float(p), int(rng.integers(n_states)), float(rng.normal()), bool(rng.random() < 0.2))
                for p in rng.dirichlet(np.ones(3))
            ]
            for a in range(n_actions)
        }
        for s in range(n_states)
    }


def policy_value(model, policy, gamma):
    """Solve ``V = r + gamma P V`` for one policy, outcome by outcome."""
    n = len(model)
    matrix, rewards = np.eye(n), np.zeros(n)
    for state in range(n):
        for probability, following, reward, terminated in model[state][int(policy[state])]:
            rewards[state] += probability * reward
            matrix[state, following] -= gamma * probability * (not terminated)
    return np.linalg.solve(matrix, rewards)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("seed", range(5))
def test_no_deterministic_policy_is_better_in_any_state(seed, gamma):
    model = random_model(seed)
    planned = policy_value(model, greedy_policy(model, gamma), gamma)
    for policy in itertools.product(range(3), repeat=4):
        assert (planned >= policy_value(model, policy, gamma) - 1e-9).all()


@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.999])
def test_values_are_those_of_the_greedy_policy(gamma):
    model = random_model(seed=7, n_states=30)
    transitions, rewards = continuing_transitions(model)
    values = value_iteration(transitions, rewards, gamma)
    exact = policy_value(model, greedy_actions(transitions, rewards, values, gamma), gamma)
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-9 * np.abs(exact).max())


def test_an_outcome_that_terminates_has_no_value_after_its_reward():
    stay = [(1.0, 1, 1.0, False)]  # state 1 pays 1 for ever: 1 / (1 - 0.9) = 10
    model = {0: {0: [(1.0, 1, 2.0, True)], 1: [(1.0, 1, 0.0, False)]}, 1: {0: stay, 1: stay}}
    assert greedy_policy(model, 0.9)[0] == 1  # 0.9 * 10 = 9 beats 2 and the end
    assert greedy_policy(model, 0.1)[0] == 0  # 0.1 / 0.9 = 0.11 does not


def test_the_lowest_of_equally_good_actions_wins():
    bad, good = [(1.0, 0, 0.0, True)], [(1.0, 0, 1.0, True)]
    tenths = [(0.1, 0, 1.0, True)] * 10  # the same value up to rounding
    assert sum(p for p, *_ in tenths) < 1.0
    assert greedy_policy({0: {0: bad, 1: tenths, 2: good}}, 0.9)[0] == 1
    assert greedy_policy({0: {0: good, 1: tenths, 2: good}}, 0.9)[0] == 0
    assert greedy_policy({0: {0: bad, 1: bad}}, 0.9)[0] == 0  # where everything is worth nothing


def test_a_far_reward_is_found():
    """A corridor of 300 cells; left is tried first, so a wrong tie-break would stay."""
    n = 300
    model = {s: {0: [(1.0, max(s - 1, 0), 0.0, False)], 1: [(1.0, s + 1, 0.0, False)]} for s in range(n - 1)}
    model[n - 2][1] = [(1.0, n - 1, 1.0, True)]
    model[n - 1] = {a: [(1.0, n - 1, 0.0, True)] for a in range(2)}
    policy = greedy_policy(model, 0.99)
    assert (policy[:-1] == 1).all()
    transitions, rewards = continuing_transitions(model)
    values = value_iteration(transitions, rewards, 0.99)
    np.testing.assert_allclose(values[:-1], 0.99 ** np.arange(n - 2, -1, -1), rtol=1e-9)


def test_frozen_lake_satisfies_the_bellman_equation():
    model = gym.make("FrozenLake-v1", map_name="8x8").unwrapped.P
    gamma = 0.99
    policy = greedy_policy(model, gamma)
    values = policy_value(model, policy, gamma)
    assert policy.dtype == np.int64
    for state, actions in model.items():
        for outcomes in actions.values():
            q = sum(p * (r + gamma * (not terminated) * values[s]) for p, s, r, terminated in outcomes)
            assert q <= values[state] + 1e-9


GOOD = {0: {0: [(1.0, 0, 0.0, True)]}}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "one entry for each state"),
        ({1: {0: [(1.0, 1, 0.0, True)]}}, "one entry for each state"),
        ({0: {}}, "one entry for each action"),
        ({0: {0: [(1.0, 0, 0.0, True)]}, 1: {1: [(1.0, 0, 0.0, True)]}}, r"P\[1\] must have one entry for each action"),
        ({0: {0: []}}, r"P\[0\]\[0\] must sum to 1, and sum to 0"),
        ({0: {0: [(0.5, 0, 0.0, True)]}}, r"P\[0\]\[0\] must sum to 1, and sum to 0.5"),
        ({0: {0: [(float("nan"), 0, 0.0, True)]}}, "must sum to 1"),
        ({0: {0: [(2.0, 0, 0.0, True), (-1.0, 0, 0.0, True)]}}, "probability of at least 0"),
        ({0: {0: [(1.0, 1, 0.0, True)]}}, "next state below 1"),
        ({0: {0: [(1.0, -1, 0.0, True)]}}, "next state below 1"),
        ({0: {0: [(1.0, 0, float("inf"), True)]}}, "finite reward"),
    ],
)
def test_a_malformed_model_is_refused_in_a_sentence(model, message):
    with pytest.raises(ValueError, match=message):
        greedy_policy(model)


@pytest.mark.parametrize("gamma", [1.0, -0.1, 1.5, float("nan")])
def test_a_discount_without_convergence_is_refused(gamma):
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\)"):
        greedy_policy(GOOD, gamma)
