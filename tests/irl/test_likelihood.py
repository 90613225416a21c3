"""The likelihood of the expert's actions, or of its states, and its gradient."""

import numpy as np
import pytest
from irl_helpers import disturbed, drawn, dynamics_of, finite_differences, problem

from gym_ilrl.irl import ActionLikelihood, ExpertVisits
from gym_ilrl.irl.time_dependent import likelihood_and_gradient, value_and_occupancy
from gym_ilrl.planning import DivergenceError, TabularMDP, occupancy, soft_occupancy, solve
from gym_ilrl.planning.bellman import Bellman

TAU = 0.7
PROBLEMS = [(1.0, 1), (0.9, 1), (1.0, 8), (0.9, 8), (1.0, None), (0.9, None)]


def demonstrations(mdp: TabularMDP, n_steps: int = 6, n_episodes: int = 25):
    return drawn(mdp, solve(mdp, TAU).policy, n_episodes, min(mdp.horizon or n_steps, n_steps))


def expert_of(mdp: TabularMDP, kind: str) -> ExpertVisits:
    if kind == "occupancy":
        return ExpertVisits.from_occupancy(occupancy(mdp, solve(mdp, TAU).policy).T, mdp)
    if kind == "states":
        return ExpertVisits.from_states([episode.observations for episode in demonstrations(mdp)], mdp)
    return ExpertVisits.from_demonstrations(demonstrations(mdp), mdp)


KINDS = [("demonstrations", False), ("demonstrations", True), ("states", True)]
OF_OCCUPANCY = [("occupancy", False), ("occupancy", True)]


@pytest.mark.parametrize(
    ("gamma", "horizon", "kind", "state_only"),
    [(*limits, *kind) for limits in PROBLEMS for kind in KINDS + (OF_OCCUPANCY if limits[1] is None else [])],
)
def test_the_gradient_is_that_of_finite_differences(gamma, horizon, kind, state_only):
    mdp = problem(gamma, horizon)
    objective = ActionLikelihood(mdp, expert_of(mdp, kind), TAU, "auto" if horizon else "newton", state_only)
    rewards = disturbed(mdp)
    found = objective(rewards)
    expected = finite_differences(lambda at: objective(at).loss, rewards)
    np.testing.assert_allclose(found.gradient, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    assert np.abs(expected).max() > 1e-3
    assert (found.gradient[:, mdp.terminal] == 0.0).all()
    assert (found.gradient[~mdp.available] == 0.0).all()


@pytest.mark.parametrize(("gamma", "horizon"), PROBLEMS)
@pytest.mark.parametrize("state_only", [False, True])
def test_the_loss_is_the_mean_over_steps_of_the_solved_policy(gamma, horizon, state_only):
    mdp = problem(gamma, horizon)
    given = demonstrations(mdp)
    objective = ActionLikelihood(mdp, ExpertVisits.from_demonstrations(given, mdp), TAU, state_only=state_only)
    rewards = disturbed(mdp)
    log_policy, dynamics, each = solve(mdp.replace(rewards=rewards), TAU).log_policy, dynamics_of(mdp), []
    for episode in given:
        for t, (s, a, after) in enumerate(
            zip(episode.observations[:-1], episode.actions, episode.observations[1:], strict=True)
        ):
            now = log_policy if horizon is None else log_policy[t]
            each.append(np.log(np.exp(now[:, s]) @ dynamics[:, s, after]) if state_only else now[a, s])
    found = objective(rewards)
    assert found.log_likelihood == pytest.approx(np.mean(each), rel=1e-9)
    assert found.loss == -found.log_likelihood
    np.testing.assert_allclose(found.solution.log_policy, log_policy, rtol=1e-8)
    start = occupancy(mdp, np.exp(log_policy))
    np.testing.assert_allclose(found.occupancy, start, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["demonstrations", "states"])
def test_states_say_as_much_as_actions_where_each_action_leads_elsewhere(kind):
    dynamics = np.stack([np.roll(np.eye(4), k, axis=1) for k in range(3)]).reshape(-1, 4)
    mdp = TabularMDP(dynamics, np.random.default_rng(0).normal(size=(3, 4)), gamma=0.9)
    by_actions = ActionLikelihood(mdp, expert_of(mdp, "demonstrations"), TAU)(disturbed(mdp))
    by_states = ActionLikelihood(mdp, expert_of(mdp, kind), TAU, state_only=True)(disturbed(mdp))
    assert by_states.loss == pytest.approx(by_actions.loss, rel=1e-12)
    np.testing.assert_allclose(by_states.gradient, by_actions.gradient, rtol=0, atol=1e-12)


def test_endings_without_a_name_count_as_one_arrival():
    mdp = TabularMDP(
        np.array([[0.2, 0.3], [0, 1], [0.5, 0.5], [0, 1]]), np.zeros((2, 2)), ending=[[0.5, 0], [0, 0]], gamma=0.9
    )
    objective = ActionLikelihood(mdp, ExpertVisits.from_states([[0, 0], [1, 1]], mdp), 1.0, "newton", True)
    rewards = disturbed(mdp, scale=1.0)
    expected = finite_differences(lambda at: objective(at).loss, rewards)
    np.testing.assert_allclose(objective(rewards).gradient, expected, rtol=0, atol=1e-8)
    ended = TabularMDP(np.array([[0.2, 0.3], [0, 1], [1, 0], [0, 1]]), np.zeros((2, 2)), ending=[[0.5, 0], [0, 0]])
    policy = solve(ended.replace(rewards=rewards), 1.0).policy
    to_itself = ActionLikelihood(ended, ExpertVisits.from_states([[0, 0]], ended), state_only=True)(rewards)
    assert to_itself.loss == pytest.approx(-np.log(0.2 * policy[0, 0] + policy[1, 0]), rel=1e-9)
    elsewhere = TabularMDP(np.array([[0.5, 0], [0, 1], [1, 0], [0, 1]]), np.zeros((2, 2)), ending=[[0.5, 0], [0, 0]])
    policy = solve(elsewhere.replace(rewards=rewards), 1.0).policy
    away = ActionLikelihood(elsewhere, ExpertVisits.from_states([[0, 1]], elsewhere), state_only=True)(rewards)
    assert away.loss == pytest.approx(-np.log(0.5 * policy[0, 0]), rel=1e-9)


def test_pieces_of_episodes_say_the_same_as_the_whole():
    """Without horizon only which action was taken where matters; the order and the beginnings do not."""
    mdp = problem(0.9)
    whole = demonstrations(mdp)
    pieces = [
        {
            "observations": e.observations[t : t + 2],
            "actions": e.actions[t : t + 1],
            "terminations": [e.terminations[t]],
        }
        for e in whole
        for t in reversed(range(len(e)))
    ]
    cut = type(whole).from_episodes(pieces, (whole.observation_space, whole.action_space))
    expert = ExpertVisits.from_demonstrations(cut, mdp)
    assert not expert.is_complete
    of_whole = ActionLikelihood(mdp, ExpertVisits.from_demonstrations(whole, mdp), TAU)(disturbed(mdp))
    of_pieces = ActionLikelihood(mdp, expert, TAU)(disturbed(mdp))
    assert of_pieces.loss == pytest.approx(of_whole.loss, rel=1e-12)
    np.testing.assert_allclose(of_pieces.gradient, of_whole.gradient, rtol=1e-9)


def test_the_true_reward_maximises_the_likelihood_of_infinitely_many_steps():
    mdp = problem(0.9)
    expert = expert_of(mdp, "occupancy")
    for state_only in (False, True):
        objective = ActionLikelihood(mdp, expert, TAU, state_only=state_only)
        best = objective(mdp.rewards)
        np.testing.assert_allclose(best.gradient, 0.0, atol=1e-10)
        assert all(objective(disturbed(mdp, seed, 0.5)).loss > best.loss for seed in range(5))


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_what_was_solved_before_and_how_does_not_matter(gamma):
    mdp = problem(gamma, n_states=40, missing=None)
    expert = expert_of(mdp, "demonstrations")
    fresh = {seed: ActionLikelihood(mdp, expert, TAU, "newton")(disturbed(mdp, seed)) for seed in range(6)}
    for solver in ("auto", "newton", "value_iteration"):
        kept = ActionLikelihood(mdp, expert, TAU, solver)
        for seed, expected in fresh.items():
            found = kept(disturbed(mdp, seed))
            assert found.loss == pytest.approx(expected.loss, rel=1e-9)
            np.testing.assert_allclose(found.gradient, expected.gradient, rtol=0, atol=1e-9)


def test_a_similar_reward_takes_fewer_steps_than_the_first():
    mdp = problem(0.99, n_states=40, missing=None)
    expert, similar = expert_of(mdp, "demonstrations"), mdp.rewards + 1e-3 * disturbed(mdp)
    kept = ActionLikelihood(mdp, expert, 0.1, "newton")
    kept(mdp.rewards)
    fresh = ActionLikelihood(mdp, expert, 0.1, "newton")(similar)
    assert kept(similar).solution.iterations < fresh.solution.iterations


def test_a_loose_tolerance_takes_fewer_steps_and_misses_little():
    mdp = problem(0.99, n_states=40, missing=None)
    expert, similar = expert_of(mdp, "demonstrations"), mdp.rewards + 1e-2 * disturbed(mdp)
    loose, exact = (ActionLikelihood(mdp, expert, 0.1, "newton", tolerance=tolerance) for tolerance in (1e-4, 1e-12))
    for objective in (loose, exact):
        objective(mdp.rewards)
    found, expected = loose(similar), exact(similar)
    assert found.solution.iterations < expected.solution.iterations
    assert 0.0 < np.abs(found.gradient - expected.gradient).max() < 1e-4 * np.abs(expected.gradient).max()


@pytest.mark.parametrize("horizon", [1, 2, 9, 10])
def test_policies_that_do_not_fit_into_memory_are_computed_twice(horizon):
    mdp = problem(0.9, horizon)
    objective = ActionLikelihood(mdp, expert_of(mdp, "demonstrations"), TAU)
    bellman = Bellman.of(mdp, TAU)
    expected = likelihood_and_gradient(bellman, objective._seen)
    found = likelihood_and_gradient(bellman, objective._seen, memory=1.0)
    assert found[0] == pytest.approx(expected[0], rel=1e-14)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-15)
    value, visits, _ = value_and_occupancy(bellman, mdp.initial, objective._seen, memory=1.0)
    peer = soft_occupancy(mdp, TAU)
    assert value * TAU == pytest.approx(peer.value, rel=1e-13)
    np.testing.assert_allclose(visits, peer.occupancy, rtol=1e-12, atol=1e-15)


def test_actions_that_are_almost_never_taken_have_finite_likelihood():
    for horizon in (None, 5):
        mdp = problem(0.9, horizon, missing=None)
        found = ActionLikelihood(mdp, expert_of(mdp, "demonstrations"), 1e-3)(disturbed(mdp, scale=100.0))
        assert np.isfinite(found.loss)
        assert found.loss > 1e4
        assert np.isfinite(found.gradient).all()


def test_what_demonstrations_do_not_say_is_refused():
    mdp = problem(0.9)
    with pytest.raises(ValueError, match="states only; their likelihood needs state_only=True"):
        ActionLikelihood(mdp, expert_of(mdp, "states"))
    timed = problem(0.9, 8)
    with pytest.raises(ValueError, match=r"an occupancy does not say when .* objective='dual'"):
        ActionLikelihood(timed, expert_of(timed, "occupancy"))
    for temperature in (0.0, -1.0, np.nan, None):
        with pytest.raises(ValueError, match="temperature must be a positive number"):
            ActionLikelihood(mdp, expert_of(mdp, "demonstrations"), temperature)
    with pytest.raises(ValueError, match="solver must be"):
        ActionLikelihood(mdp, expert_of(mdp, "demonstrations"), solver="simplex")(mdp.rewards)


def test_divergence_is_refused_and_forgotten():
    mdp = problem(1.0, is_stochastic=False)
    objective = ActionLikelihood(mdp, expert_of(mdp, "demonstrations"), TAU)
    expected = objective(mdp.rewards)
    with pytest.raises(DivergenceError, match="wandering pays more than ending"):
        objective(mdp.rewards + 10.0)
    again = objective(mdp.rewards)
    assert again.loss == pytest.approx(expected.loss, rel=1e-9)
    np.testing.assert_allclose(again.gradient, expected.gradient, rtol=0, atol=1e-9)
