"""Apprenticeship learning by max-margin and by projection, against enumeration and general optimisers."""

import gymnasium as gym
import numpy as np
import pytest
from feature_matching_helpers import all_features, all_policies, features_met, on_simplex, problem, visits_of

import gym_ilrl  # noqa: F401
from gym_ilrl.irl.features import features_of
from gym_ilrl.irl.max_margin import MaxMargin, nearest_mixture
from gym_ilrl.irl.policy_planner import PolicyPlanner
from gym_ilrl.irl.projection import Projection
from gym_ilrl.planning import DivergenceError, TabularMDP, occupancy, solve

SEARCHES = [MaxMargin, Projection]
PROBLEMS = [{}, {"gamma": 1.0, "horizon": 2}, {"gamma": 0.9, "horizon": 2}]


def search_for(cls, mdp, features, expert, tolerance=1e-3, costs=False):
    on = "actions" if features.ndim == 3 else "states"
    return cls(expert, PolicyPlanner(mdp, features_of(mdp, features, on)), tolerance, costs)


def run(search, steps=200):
    for step in range(1, steps + 1):
        search.step()
        if search.converged:
            return step
    return None


def mixed(mdp, features, result):
    return sum(
        weight * features_met(mdp, features, visits_of(mdp, policy))
        for weight, policy in zip(result.weights, result.policies, strict=True)
    )


@pytest.mark.parametrize(("n", "d"), [(6, 3), (4, 9), (1, 2), (12, 5)])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_nearest_mixture_is_that_of_a_general_method(n, d, shift):
    points = np.random.default_rng(n + d).normal(size=(n, d)) + shift
    weights = nearest_mixture(points)
    general = on_simplex(lambda x: (x @ points) @ (x @ points), n, lambda x: 2 * points @ (x @ points))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0.0).all()
    distance, expected = np.linalg.norm(weights @ points), np.linalg.norm(general @ points)
    assert distance <= expected + 1e-9
    assert distance == pytest.approx(expected, abs=2e-5)
    nearest = weights @ points  # the origin sees every point beyond the nearest one
    assert (points @ nearest >= nearest @ nearest - 1e-9).all()


def test_nearest_mixture_of_costs_ignores_what_is_positive():
    points = np.random.default_rng(0).normal(size=(7, 4)) + [-2.0, -1.0, 2.0, 0.0]
    weights = nearest_mixture(points, 4)

    def below(x):
        return np.minimum(x @ points, 0.0)

    general = on_simplex(lambda x: below(x) @ below(x), 7, lambda x: 2 * points @ below(x))
    assert np.linalg.norm(below(weights)) > 0.1
    assert np.linalg.norm(below(weights)) == pytest.approx(np.linalg.norm(below(general)), abs=1e-5)
    assert np.linalg.norm(below(nearest_mixture(points))) > np.linalg.norm(below(weights)) + 1e-4


def test_the_scale_of_points_does_not_matter():
    points = np.random.default_rng(1).normal(size=(5, 3)) + 0.5
    np.testing.assert_allclose(nearest_mixture(1e6 * points), nearest_mixture(1e-6 * points), atol=1e-12)
    assert nearest_mixture(np.zeros((3, 2))).sum() == 1.0


@pytest.mark.parametrize("arguments", PROBLEMS, ids=["discounted", "horizon", "both"])
@pytest.mark.parametrize("on", ["states", "actions"])
@pytest.mark.parametrize("cls", SEARCHES)
def test_distance_to_an_expert_out_of_reach_is_that_to_the_hull_of_all_policies(cls, on, arguments):
    mdp = problem(3, **arguments)
    generator = np.random.default_rng(1)
    features = generator.normal(size=(4, 3) if on == "states" else (4, 2, 3))
    hull = all_features(mdp, features)
    expert = hull.mean(axis=0) + generator.normal(size=3)
    tolerance = 1e-4 if cls is MaxMargin else 1e-3
    search = search_for(cls, mdp, features, expert, tolerance)
    assert run(search, 500) is not None
    nearest = on_simplex(
        lambda x: ((expert - x @ hull) ** 2).sum(), len(hull), lambda x: -2 * hull @ (expert - x @ hull)
    )
    distance = np.linalg.norm(expert - nearest @ hull) / np.linalg.norm(expert)
    assert distance > 0.02
    assert distance - 1e-6 <= search.error <= distance + 1.01 * tolerance
    assert search.margin <= distance + 1e-6
    met = mixed(mdp, features, search.result)
    assert np.linalg.norm(expert - met) / np.linalg.norm(expert) == pytest.approx(search.error)


@pytest.mark.parametrize("arguments", PROBLEMS, ids=["discounted", "horizon", "both"])
@pytest.mark.parametrize("cls", SEARCHES)
def test_mixture_earns_what_the_expert_earns(cls, arguments):
    mdp = problem(5, **arguments)
    generator = np.random.default_rng(2)
    features = generator.random((4, 3))
    hull = all_features(mdp, features)
    expert = generator.dirichlet(np.ones(len(hull))) @ hull  # a stochastic expert
    tolerance = 1e-3
    search = search_for(cls, mdp, features, expert, tolerance)
    steps = run(search)
    # theorem 1 of Abbeel & Ng, for features in [0, 1]: so many steps are enough
    k, reach = 3, 1.0 / (1.0 - mdp.gamma) if mdp.horizon is None else mdp.horizon
    epsilon = tolerance * np.linalg.norm(expert)
    bound = k * reach**2 / epsilon**2 * np.log(k * reach / epsilon)
    assert steps is not None
    assert steps <= min(bound, 20 if cls is MaxMargin else 150)
    assert search.error <= tolerance
    met = mixed(mdp, features, search.result)
    for weights in generator.normal(size=(20, 3)):
        assert abs(weights @ (met - expert)) <= tolerance * np.linalg.norm(expert) * np.linalg.norm(weights) + 1e-12


def test_margin_is_the_largest_that_weights_can_have_over_all_policies_so_far():
    mdp = problem(7, n_states=4)
    features = np.random.default_rng(3).normal(size=(5, 3))
    expert = all_features(mdp, features).mean(axis=0) + 0.5
    search = search_for(MaxMargin, mdp, features, expert, 1e-8)
    met = []
    for _ in range(4):
        search.step()
        met.append(search._plans(search.direction, None).features)
        direction = search.direction
        ahead = (expert - search._features) @ direction
        assert np.linalg.norm(direction) == pytest.approx(1.0)
        assert ahead.min() == pytest.approx(search.error * np.linalg.norm(expert))
        others = np.random.default_rng(0).normal(size=(500, 3))
        others /= np.linalg.norm(others, axis=1, keepdims=True)
        assert ((expert - search._features) @ others.T).min(axis=0).max() <= ahead.min() + 1e-9


def test_projection_is_the_one_of_the_paper():
    mdp = problem(11)
    features = np.random.default_rng(4).normal(size=(4, 3))
    hull = all_features(mdp, features)
    expert = np.random.default_rng(5).dirichlet(np.ones(len(hull))) @ hull
    search = search_for(Projection, mdp, features, expert, 1e-6)
    search.step()
    now = hull[(hull @ expert).argmax()]
    for _ in range(12):
        np.testing.assert_allclose(search._mixture @ search._features, now, atol=1e-9)
        search.step()
        new = hull[(hull @ (expert - now)).argmax()]
        now = now + (new - now) * ((new - now) @ (expert - now)) / ((new - now) @ (new - now))


@pytest.mark.parametrize("cls", SEARCHES)
def test_closest_policy_is_one_of_the_result_and_best_for_the_weights(cls):
    mdp = problem(13)
    features = np.random.default_rng(6).normal(size=(4, 3))
    hull = all_features(mdp, features)
    expert = np.random.default_rng(6).dirichlet(np.ones(len(hull))) @ hull
    search = search_for(cls, mdp, features, expert)
    with pytest.raises(LookupError, match="nothing was planned"):
        _ = search.result
    run(search)
    result = search.result
    assert result.weights.sum() == pytest.approx(1.0)
    met = np.stack([features_met(mdp, features, visits_of(mdp, policy)) for policy in result.policies])
    distances = np.linalg.norm(met - expert, axis=1)
    assert distances[result.closest] == pytest.approx(distances.min())
    assert search.weights @ met[result.closest] == pytest.approx((hull @ search.weights).max())


@pytest.mark.parametrize("cls", SEARCHES)
def test_costs_without_discount_and_horizon(cls):
    mdp = problem(17, n_states=4, gamma=1.0)
    generator = np.random.default_rng(7)
    features = generator.random((5, 3))
    hull = all_features(mdp, features)
    expert = generator.dirichlet(np.ones(len(hull)) * 0.3) @ hull
    search = search_for(cls, mdp, features, expert, 1e-3, costs=True)
    assert run(search) is not None
    met = mixed(mdp, features, search.result)
    assert np.linalg.norm(np.minimum(expert - met, 0.0)) <= 2e-3 * np.linalg.norm(expert)
    assert (search.weights <= 0.0).all()
    for costs in generator.random((20, 3)):  # never more expensive than the expert, whatever features cost
        assert costs @ met <= costs @ expert + 2e-3 * np.linalg.norm(expert) * np.linalg.norm(costs)


def test_costs_out_of_reach_come_as_close_as_any_policy():
    mdp = problem(19, n_states=4, gamma=1.0)
    features = np.random.default_rng(8).random((5, 3))
    hull = all_features(mdp, features)
    expert = 0.8 * hull.min(axis=0)
    search = search_for(MaxMargin, mdp, features, expert, 1e-3, costs=True)
    assert run(search) is not None

    def excess(x):
        return np.minimum(expert - x @ hull, 0.0)

    nearest = on_simplex(lambda x: excess(x) @ excess(x), len(hull), lambda x: -2 * hull @ excess(x))
    distance = np.linalg.norm(excess(nearest)) / np.linalg.norm(expert)
    assert search.error == pytest.approx(distance, abs=2e-3)


def waiting():
    """0 -> 1 -> 2, the end; action 1 waits."""
    successors = [[[1], [0]], [[2], [1]], [[2], [2]]]
    return TabularMDP.from_successors(
        successors, np.ones((3, 2, 1)), np.zeros(3), initial=[1, 0, 0], terminal=[False, False, True], gamma=1.0
    )


def test_a_place_where_waiting_costs_nothing_is_left():
    search = search_for(MaxMargin, waiting(), np.array([[1.0], [0.0], [0.0]]), np.array([1.0]), costs=True)
    run(search)
    assert [policy[:2].tolist() for policy in search.result.policies] == [[0, 0]]


def test_where_half_of_the_states_cost_nothing_no_policy_is_worse_than_a_possible_expert():
    base = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=16, layout="open"), gamma=1.0)
    generator = np.random.default_rng(1)
    generator.random(1285)  # from here on, a policy that is best up to rounding waits for 2e9 steps, unless these cost
    rewards = np.tile(-generator.random(256) - 0.05, (4, 1))
    visits = occupancy(base, solve(base.replace(rewards=rewards)).actions)
    features = features_of(base, None, "states")
    search = MaxMargin(features.adjoint(visits), PolicyPlanner(base, features), 1e-2, costs=True)
    for _ in range(12):
        search.step()
        assert search.margin <= 1e-3


def test_rewards_that_a_loop_can_collect_for_ever_are_refused_in_words():
    with pytest.raises(DivergenceError, match="give gamma < 1 or a horizon, or features that are costs"):
        run(search_for(MaxMargin, waiting(), np.ones((3, 1)), np.array([100.0])))


def test_plans_are_the_best_of_all_policies_at_every_scale_of_the_weights():
    for arguments in PROBLEMS:
        mdp = problem(29, **arguments)
        features = np.random.default_rng(9).normal(size=(4, 3))
        hull = all_features(mdp, features)
        planner = PolicyPlanner(mdp, features_of(mdp, features, "states"))
        for weights in np.random.default_rng(10).normal(size=(5, 3)):
            for scale in (1.0, 1e-14, 1e12):
                plan = planner(scale * weights)
                assert weights @ plan.features == pytest.approx((hull @ weights).max(), abs=1e-9)
        bonus = np.random.default_rng(11).normal(size=(2, 4))
        plan = planner(np.ones(3), bonus)
        earned = [np.vdot(bonus[:, :3], visits_of(mdp, policy)[:, :3]) for policy in all_policies(mdp)]
        assert np.ones(3) @ plan.features + plan.bonus == pytest.approx((hull.sum(axis=1) + earned).max())
        assert plan.bonus == pytest.approx(np.vdot(bonus[:, :3], visits_of(mdp, plan.actions)[:, :3]))


def test_an_expert_that_meets_nothing():
    mdp = problem(31)
    features = np.eye(4)[:, [3]] * 0.0
    search = search_for(MaxMargin, mdp, features, np.zeros(1))
    assert run(search) == 1
    assert search.error == 0.0
