"""Structured max-margin against the quadratic program over all deterministic policies."""

import numpy as np
import pytest
from feature_matching_helpers import all_policies, features_met, problem, visits_of
from scipy import optimize

from gym_ilrl.irl.features import features_of
from gym_ilrl.irl.policy_planner import PolicyPlanner
from gym_ilrl.irl.structured_max_margin import StructuredMaxMargin, disagreement


def setting(seed, on="states", **arguments):
    """A problem, its features, an expert that takes the best actions of some reward with an error or two."""
    mdp = problem(seed, **arguments)
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(4, 3) if on == "states" else (4, 2, 3))
    policies = all_policies(mdp)
    chosen = generator.choice(len(policies), size=2)
    visits = 0.8 * visits_of(mdp, policies[chosen[0]]) + 0.2 * visits_of(mdp, policies[chosen[1]])
    return mdp, features, visits


def search_for(mdp, features, visits, l2_coef, tolerance=1e-6, costs=False):
    on = "actions" if features.ndim == 3 else "states"
    planner = PolicyPlanner(mdp, features_of(mdp, features, on))
    expert = features_met(mdp, features, visits)
    return StructuredMaxMargin(expert, visits, disagreement(visits), planner, tolerance, l2_coef, costs)


def hinge(mdp, features, visits):
    """What the maximum is taken over: for each policy the difference of its features, and its loss, per step."""
    expert, loss, length = features_met(mdp, features, visits), disagreement(visits), visits.sum()
    rows = [visits_of(mdp, policy) for policy in all_policies(mdp)]
    ahead = np.stack([(expert - features_met(mdp, features, row)) / length for row in rows])
    return ahead, np.array([np.vdot(loss, row - visits) / length for row in rows])


def quadratic_program(ahead, losses, l2_coef, costs):
    """Minimise ``l2 / 2 |w|^2 + xi`` with ``xi >= loss_i - w ahead_i``."""
    d = ahead.shape[1]
    found = optimize.minimize(
        lambda x: 0.5 * l2_coef * x[:d] @ x[:d] + x[d],
        np.append(np.zeros(d), losses.max()),
        method="SLSQP",
        jac=lambda x: np.append(l2_coef * x[:d], 1.0),
        bounds=[(None, 0.0 if costs else None)] * d + [(None, None)],
        constraints={
            "type": "ineq",
            "fun": lambda x: x[d] - losses + ahead @ x[:d],
            "jac": lambda x: np.column_stack([ahead, np.ones(len(ahead))]),
        },
        options={"maxiter": 2000, "ftol": 1e-14},
    )
    assert found.success
    return found.x[:d], found.fun


@pytest.mark.parametrize("l2_coef", [1e-3, 1e-1, 10.0])
@pytest.mark.parametrize("costs", [False, True])
@pytest.mark.parametrize(
    ("seed", "on", "arguments"),
    [(0, "states", {}), (1, "actions", {}), (2, "states", {"gamma": 1.0, "horizon": 2})],
)
def test_weights_are_those_of_the_quadratic_program(seed, on, arguments, costs, l2_coef):
    mdp, features, visits = setting(seed, on, **arguments)
    search = search_for(mdp, features, visits, l2_coef, costs=costs)
    steps = 0
    while not search.converged:
        search.step()
        steps += 1
        assert steps < 100
    weights, value = quadratic_program(*hinge(mdp, features, visits), l2_coef, costs)
    assert search.objective == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(search.weights, weights, atol=5e-3 * max(1.0, np.abs(weights).max()))


def test_objective_is_that_of_its_weights_and_the_bound_is_one():
    mdp, features, visits = setting(3)
    ahead, losses = hinge(mdp, features, visits)
    search = search_for(mdp, features, visits, 0.01)
    _, value = quadratic_program(ahead, losses, 0.01, False)
    for _ in range(6):
        search.step()
        weights = search.weights
        of_weights = 0.005 * weights @ weights + (losses - ahead @ weights).max()
        assert search.objective == pytest.approx(of_weights, abs=1e-9)
        assert search._lower <= value + 1e-9
    assert search.objective >= -1e-9  # the expert is one of the policies that are mixed


def test_result_is_the_best_policy_of_the_weights():
    mdp, features, visits = setting(4)
    search = search_for(mdp, features, visits, 0.01)
    assert search.error == np.inf
    assert not search.converged
    with pytest.raises(LookupError, match="nothing was planned"):
        _ = search.result
    while not search.converged:
        search.step()
    (policy,), weights, closest = search.result
    assert weights.tolist() == [1.0]
    assert closest == 0
    met = features_met(mdp, features, visits_of(mdp, policy))
    best = max(search.weights @ features_met(mdp, features, visits_of(mdp, other)) for other in all_policies(mdp))
    assert search.weights @ met == pytest.approx(best)
    expert = features_met(mdp, features, visits)
    assert search.error == pytest.approx(np.linalg.norm(met - expert) / np.linalg.norm(expert))


def test_disagreement_is_the_probability_of_another_action():
    counts = np.array([[3.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    np.testing.assert_allclose(disagreement(counts), [[0.25, 1.0, 1.0], [0.75, 0.0, 1.0]])


def test_an_expert_that_is_best_for_some_weights_wins_by_the_whole_distance():
    mdp = problem(6)
    features = np.eye(4)[:, None, :3] * np.array([1.0, 0.0])[None, :, None]  # of action 0 in each state
    policy = np.array([0, 1, 0, 0])
    search = search_for(mdp, features, visits_of(mdp, policy), 1e-6)
    while not search.converged:
        search.step()
    assert search.objective < 1e-3
    assert search.error < 1e-9
    assert search.result.policies[0][:3].tolist() == [0, 1, 0]
