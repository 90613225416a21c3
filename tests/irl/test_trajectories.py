"""Maximum entropy over trajectories, and how it differs from maximum causal entropy."""

import numpy as np
import pytest
from irl_helpers import all_trajectories, disturbed, drawn, finite_differences, problem
from scipy.special import logsumexp

from gym_ilrl.irl import CausalEntropyDual, ExpertVisits, TrajectoryLikelihood, posterior_solution
from gym_ilrl.planning import TabularMDP, backward_messages, log_partition, occupancy, soft_occupancy, solve
from gym_ilrl.planning import state_posterior as planned_posterior

TAU = 0.7
LIMITS = [(1.0, 1), (0.9, 1), (1.0, 8), (0.9, 8)]


def small(gamma: float = 1.0, **arguments) -> TabularMDP:
    return problem(gamma, 5, **{"n_states": 3, "n_actions": 2, "missing": None, **arguments})


def expert_of(mdp: TabularMDP, n_episodes: int = 20) -> ExpertVisits:
    return ExpertVisits.from_demonstrations(drawn(mdp, solve(mdp, TAU).policy, n_episodes, mdp.horizon), mdp)


def exact(mdp: TabularMDP, temperature: float = TAU) -> ExpertVisits:
    return ExpertVisits.from_occupancy(occupancy(mdp, solve(mdp, temperature).policy).T, mdp)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("is_stochastic", [True, False])
@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("missing", [None, (1, 1)])
def test_all_trajectories_summed_one_by_one(gamma, is_stochastic, ends, missing):
    mdp = small(gamma, is_stochastic=is_stochastic, ends=ends, missing=missing)
    every, rewards = all_trajectories(mdp), disturbed(mdp)
    earned = mdp.replace(rewards=rewards).rewards
    log_weights = np.log(every.chance) + every.sums(earned, gamma) / TAU
    first = every.states[:, 0]
    log_z = {s: logsumexp(log_weights[first == s]) for s in np.unique(first)}
    posterior = np.exp(log_weights - np.array([log_z[s] for s in first]))

    expert = expert_of(mdp)
    found = TrajectoryLikelihood(mdp, expert, TAU)(rewards)
    partition = TAU * sum(expert.initial[s] * log_z[s] for s in log_z)
    assert found.loss == pytest.approx(partition - (expert.occupancy * earned).sum(), rel=1e-11)
    visits = every.visits(expert.initial[first] * posterior, mdp.rewards.shape, gamma)
    np.testing.assert_allclose(found.gradient, visits - expert.occupancy, rtol=0, atol=1e-13)
    values = found.solution.values
    np.testing.assert_allclose([values[0, s] for s in log_z], [TAU * z for z in log_z.values()], rtol=1e-11)
    _check_posterior_policy(every, expert.initial[first] * posterior, found.solution.policy)


def _check_posterior_policy(every, weights, policy):
    """At every time: the share of each action, of all trajectories that are there then."""
    for t in range(policy.shape[0]):
        there = every.lasts[:, t]
        taken = np.zeros(policy.shape[1:])
        np.add.at(taken, (every.actions[there, t], every.states[there, t]), weights[there])
        met = taken.sum(axis=0) > 0.0
        np.testing.assert_allclose(policy[t][:, met], (taken / taken.sum(axis=0).clip(1e-300))[:, met], rtol=1e-10)


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_the_log_likelihood_is_that_of_the_given_trajectories(gamma):
    mdp = small(gamma)
    given = drawn(mdp, solve(mdp, TAU).policy, 7, 5)
    every, rewards = all_trajectories(mdp), disturbed(mdp)
    log_weights = np.log(every.chance) + every.sums(mdp.replace(rewards=rewards).rewards, gamma) / TAU
    total = 0.0
    for episode in given:
        n, states = len(episode), np.asarray(episode.observations)
        same = (every.lasts.sum(axis=1) == n) & (every.arrived == states[-1])
        same &= (every.states[:, :n] == states[:-1]).all(axis=1) & (every.actions[:, :n] == episode.actions).all(axis=1)
        total += log_weights[same].item()
        total -= logsumexp(log_weights[every.states[:, 0] == states[0]])
    found = TrajectoryLikelihood(mdp, ExpertVisits.from_demonstrations(given, mdp), TAU)(rewards)
    assert found.log_likelihood == pytest.approx(total / given.n_transitions, rel=1e-11)


@pytest.mark.parametrize(("gamma", "horizon"), LIMITS)
@pytest.mark.parametrize("make", [expert_of, exact])
def test_the_gradient_is_that_of_finite_differences(gamma, horizon, make):
    mdp = problem(gamma, horizon)
    objective, rewards = TrajectoryLikelihood(mdp, make(mdp), TAU), disturbed(mdp)
    expected = finite_differences(lambda at: objective(at).loss, rewards)
    found = objective(rewards).gradient
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    assert (found[~mdp.available] == 0.0).all()
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("ends", [True, False])
def test_the_messages_are_those_of_planning(ends):
    mdp = problem(1.0, 8, ends=ends)
    messages, found = backward_messages(mdp, TAU), posterior_solution(mdp, TAU)
    np.testing.assert_allclose(found.values, TAU * messages.log_beta, rtol=1e-11, atol=1e-13)
    possible = np.broadcast_to(mdp.available, found.policy.shape)
    np.testing.assert_allclose(found.policy[possible], np.exp(messages.log_policy)[possible], rtol=1e-11)


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("horizon", [1, 8])
def test_without_chance_and_discount_it_is_the_dual_of_causal_entropy(ends, horizon):
    mdp = problem(1.0, horizon, is_stochastic=False, ends=ends)
    for expert in (expert_of(mdp), exact(mdp)):
        plain = TrajectoryLikelihood(mdp, expert, TAU)(disturbed(mdp))
        causal = CausalEntropyDual(mdp, expert, TAU)(disturbed(mdp))
        assert plain.loss == pytest.approx(causal.loss, rel=1e-12)
        np.testing.assert_allclose(plain.gradient, causal.gradient, rtol=0, atol=1e-12)
        np.testing.assert_allclose(plain.log_likelihood, causal.log_likelihood, rtol=1e-12)
        np.testing.assert_allclose(plain.solution.values, causal.solution.values, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(plain.solution.policy, causal.solution.policy, rtol=1e-11)
        np.testing.assert_allclose(plain.occupancy, causal.occupancy, rtol=1e-11, atol=1e-13)


def test_with_chance_it_is_another_function_and_misses_the_expert():
    mdp = problem(1.0, 8)
    expert = exact(mdp)
    plain, causal = TrajectoryLikelihood(mdp, expert, TAU), CausalEntropyDual(mdp, expert, TAU)
    assert plain(mdp.rewards).loss > causal(mdp.rewards).loss + 0.1  # log E exp V > E V
    assert np.abs(causal(mdp.rewards).gradient).max() < 1e-12  # the expert is explained by its own reward
    assert np.abs(plain(mdp.rewards).gradient).max() > 0.1  # and here it is not


def test_given_the_start_or_not_without_chance():
    """The joint posterior also reweights the first state: then the two differ even where nothing else is random."""
    mdp = problem(1.0, 8, is_stochastic=False, missing=None)
    expert = exact(mdp)
    conditioned = TrajectoryLikelihood(mdp, expert, TAU)(mdp.rewards)
    causal = soft_occupancy(mdp, TAU)
    value = conditioned.loss + float((expert.occupancy * mdp.rewards).sum())
    assert value == pytest.approx(causal.value, rel=1e-12)
    np.testing.assert_allclose(conditioned.gradient + expert.occupancy, causal.occupancy, rtol=0, atol=1e-12)

    joint = TAU * log_partition(mdp, backward_messages(mdp, TAU))
    assert joint > causal.value + 0.05
    start = planned_posterior(mdp, TAU)[0]
    assert np.abs(start - mdp.initial).max() > 0.05
    fixed = mdp.replace(initial=[1.0, 0.0, 0.0, 0.0])  # with one start there is nothing to reweight
    assert TAU * log_partition(fixed, backward_messages(fixed, TAU)) == pytest.approx(soft_occupancy(fixed, TAU).value)


@pytest.mark.parametrize("scale", [1e2, 1e4])
@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("is_stochastic", [True, False])
def test_messages_beyond_the_range_of_exponentials(scale, ends, is_stochastic):
    """States that are worth less than others by more than 745 must not lose their messages."""
    mdp = problem(1.0, 8, ends=ends, is_stochastic=is_stochastic)
    _check_extreme(mdp, scale * disturbed(mdp, scale=1.0))


def test_messages_beyond_the_range_of_exponentials_where_no_state_is_terminal():
    """Endings are worth nothing, and that is more than all states are."""
    going_on = np.array([[0.5, 0.0], [0.0, 1.0], [0.0, 1.0], [0.25, 0.75]])
    final = np.array([[0.0, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    mdp = TabularMDP(going_on, np.zeros((2, 2)), final_transitions=final, gamma=1.0, horizon=8, initial=[1.0, 0.0])
    with np.errstate(over="raise", invalid="raise"):
        _check_extreme(mdp, np.array([[-1000.0, -1500.0], [-1100.0, -1300.0]]))


def _check_extreme(mdp: TabularMDP, rewards: np.ndarray) -> None:
    found = posterior_solution(mdp.replace(rewards=rewards), 0.1)
    expected = backward_messages(mdp.replace(rewards=rewards), 0.1)
    assert np.ptp(found.values) > 745 * 0.1
    assert np.isfinite(found.values).all()
    np.testing.assert_allclose(found.values, 0.1 * expected.log_beta, rtol=1e-12, atol=1e-9)
    expert = exact(mdp)
    visits = TrajectoryLikelihood(mdp, expert, 0.1)(rewards).gradient + expert.occupancy
    assert visits.min() >= -1e-12
    assert visits.sum() <= 8.0 + 1e-9
    if not mdp.ending.any():
        assert visits.sum() == pytest.approx(8.0, rel=1e-12)


def test_both_ways_to_add_exponentials_agree(monkeypatch):
    mdp = problem(0.9, 8)
    expected = TrajectoryLikelihood(mdp, exact(mdp), TAU)(disturbed(mdp))
    monkeypatch.setattr("gym_ilrl.irl.posterior._SMALLEST", np.inf)
    found = TrajectoryLikelihood(mdp, exact(mdp), TAU)(disturbed(mdp))
    assert found.loss == pytest.approx(expected.loss, rel=1e-13)
    np.testing.assert_allclose(found.gradient, expected.gradient, rtol=0, atol=1e-13)


def test_what_cannot_be_summed_is_refused():
    endless = problem(0.9, ends=False)
    with pytest.raises(ValueError, match=r"horizon must be given for sums over trajectories: mdp.replace"):
        TrajectoryLikelihood(endless, exact(endless), TAU)
    mdp = endless.replace(horizon=8)
    cut = drawn(mdp, solve(mdp, TAU).policy, 3, 7)
    with pytest.raises(ValueError, match=r"needs complete episodes, .* horizon of 8 steps, .*use causal=True"):
        TrajectoryLikelihood(mdp, ExpertVisits.from_demonstrations(cut, mdp), TAU)
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        TrajectoryLikelihood(mdp, exact(mdp), -1.0)
