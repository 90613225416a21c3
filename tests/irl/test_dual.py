"""The dual of maximum causal entropy."""

import numpy as np
import pytest
from irl_helpers import all_trajectories, disturbed, drawn, finite_differences, problem

from gym_ilrl.irl import ActionLikelihood, CausalEntropyDual, ExpertVisits
from gym_ilrl.planning import TabularMDP, occupancy, soft_occupancy, solve

TAU = 0.7
PROBLEMS = [(1.0, 1), (0.9, 1), (1.0, 8), (0.9, 8), (1.0, None), (0.9, None)]


def exact(mdp: TabularMDP) -> ExpertVisits:
    return ExpertVisits.from_occupancy(occupancy(mdp, solve(mdp, TAU).policy).T, mdp)


def sampled(mdp: TabularMDP, n_episodes: int = 20, seed: int = 0) -> ExpertVisits:
    given = drawn(mdp, solve(mdp, TAU).policy, n_episodes, mdp.horizon or 500, seed)
    return ExpertVisits.from_demonstrations(given, mdp)


@pytest.mark.parametrize(("gamma", "horizon"), PROBLEMS)
@pytest.mark.parametrize("expert_of", [exact, sampled])
def test_the_gradient_is_that_of_finite_differences(gamma, horizon, expert_of):
    mdp = problem(gamma, horizon)
    objective = CausalEntropyDual(mdp, expert_of(mdp), TAU, "auto" if horizon else "newton")
    rewards = disturbed(mdp)
    expected = finite_differences(lambda at: objective(at).loss, rewards)
    found = objective(rewards).gradient
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("ends", [True, False])
def test_the_value_is_the_largest_of_all_policies_summed_over_all_trajectories(gamma, ends):
    """Return plus temperature times the entropy of actions: the evidence lower bound of control as inference."""
    mdp = problem(gamma, 5, n_states=3, n_actions=2, ends=ends, missing=None)
    expert, rewards = exact(mdp), disturbed(mdp)
    found = CausalEntropyDual(mdp, expert, TAU)(rewards)
    every = all_trajectories(mdp)
    earned = mdp.replace(rewards=rewards).rewards

    def bound(policy: np.ndarray) -> float:
        taken = every.chance * np.exp(every.sums(np.log(policy), 1.0))
        return float((every.start * taken) @ every.sums(earned - TAU * np.log(policy), gamma))

    value = found.loss + float((expert.occupancy * earned).sum())
    assert value == pytest.approx(bound(found.solution.policy), rel=1e-12)
    generator = np.random.default_rng(0)
    others = generator.dirichlet(np.ones(2), size=(50, 5, 3)).swapaxes(2, 3)
    near = 0.9 * found.solution.policy + 0.1 * others
    assert all(bound(policy) < value for policy in (*others, *near))


@pytest.mark.parametrize(("gamma", "horizon"), PROBLEMS)
def test_the_learner_flows_and_at_the_true_reward_is_the_expert(gamma, horizon):
    mdp = problem(gamma, horizon)
    expert = exact(mdp)
    objective = CausalEntropyDual(mdp, expert, TAU)
    np.testing.assert_allclose(objective(mdp.rewards).gradient, 0.0, atol=1e-10)
    found = objective(disturbed(mdp))
    visits = found.gradient + expert.occupancy
    np.testing.assert_allclose(found.occupancy, visits, rtol=1e-9, atol=1e-12)
    assert (visits[~mdp.available] == 0.0).all()
    if horizon is None:
        entering = mdp.initial + gamma * (mdp.transitions.T @ visits.ravel())
        np.testing.assert_allclose(visits.sum(axis=0), entering, rtol=0, atol=1e-12)
    else:
        peer = soft_occupancy(mdp.replace(rewards=disturbed(mdp)), TAU)
        np.testing.assert_allclose(visits, peer.occupancy, rtol=1e-12, atol=1e-15)
        assert found.loss == pytest.approx(peer.value - (expert.occupancy * disturbed(mdp)).sum(), rel=1e-12)


@pytest.mark.parametrize(("gamma", "horizon"), [(0.9, None), (0.9, 8), (1.0, 8)])
def test_the_loss_is_convex(gamma, horizon):
    mdp = problem(gamma, horizon)
    objective = CausalEntropyDual(mdp, sampled(mdp), TAU)
    for seed in range(5):
        left, right = disturbed(mdp, seed, 2.0), disturbed(mdp, seed + 50, 2.0)
        middle = objective((left + right) / 2)
        assert middle.loss < (objective(left).loss + objective(right).loss) / 2
        along = float((middle.gradient * (right - left)).sum()) / 2
        assert objective(right).loss > middle.loss + along


@pytest.mark.parametrize(("gamma", "horizon"), PROBLEMS)
def test_the_log_likelihood_is_that_of_the_steps(gamma, horizon):
    mdp = problem(gamma, horizon)
    expert, rewards = sampled(mdp), disturbed(mdp)
    expected = ActionLikelihood(mdp, expert, TAU)(rewards).log_likelihood
    assert CausalEntropyDual(mdp, expert, TAU)(rewards).log_likelihood == pytest.approx(expected, rel=1e-9)
    of_occupancy = CausalEntropyDual(mdp, exact(mdp), TAU)(rewards).log_likelihood
    assert np.isnan(of_occupancy) == (horizon is not None)


@pytest.mark.parametrize("horizon", [None, 8])
def test_without_chance_and_discount_it_is_the_likelihood_of_the_actions(horizon):
    """``sum_t log pi = (return - V(s_0)) / tau`` where nothing depends on chance."""
    mdp = problem(1.0, horizon, is_stochastic=False)
    expert, rewards = sampled(mdp), disturbed(mdp)
    dual, likelihood = CausalEntropyDual(mdp, expert, TAU)(rewards), ActionLikelihood(mdp, expert, TAU)(rewards)
    steps = expert.n_steps / expert.n_episodes
    assert dual.loss == pytest.approx(TAU * steps * likelihood.loss, rel=1e-9)
    np.testing.assert_allclose(dual.gradient, TAU * steps * likelihood.gradient, rtol=0, atol=1e-9)


@pytest.mark.parametrize("horizon", [None, 8])
def test_the_learner_starts_where_the_demonstrations_do(horizon):
    mdp = problem(0.9, horizon)
    expert = sampled(mdp, n_episodes=3)
    assert not np.allclose(expert.initial, mdp.initial)
    found = CausalEntropyDual(mdp, expert, TAU)(mdp.rewards)
    visits = found.gradient + expert.occupancy
    moved = mdp.replace(initial=expert.initial)
    np.testing.assert_allclose(visits, occupancy(moved, solve(moved, TAU).policy), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.occupancy, occupancy(mdp, solve(mdp, TAU).policy), rtol=1e-8, atol=1e-12)


def test_what_does_not_say_what_the_expert_earns_is_refused():
    endless = problem(0.9, ends=False)
    cut = drawn(endless, solve(endless, TAU).policy, 5, 10)
    with pytest.raises(ValueError, match=r"complete episodes, .* to an ending, .* use objective='likelihood'"):
        CausalEntropyDual(endless, ExpertVisits.from_demonstrations(cut, endless))
    timed = endless.replace(horizon=11)
    with pytest.raises(ValueError, match=r"or the horizon of 11 steps, .* objective='likelihood'"):
        CausalEntropyDual(timed, ExpertVisits.from_demonstrations(cut, timed))
    assert CausalEntropyDual(
        timed.replace(horizon=10), ExpertVisits.from_demonstrations(cut, timed.replace(horizon=10))
    )
    states = ExpertVisits.from_states([e.observations for e in cut], endless.replace(horizon=10))
    with pytest.raises(ValueError, match="states only; use objective='likelihood'"):
        CausalEntropyDual(endless.replace(horizon=10), states)
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        CausalEntropyDual(endless, exact(endless), 0.0)
