"""Occupancies against counting over all trajectories, the flow equations, and returns."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_ilrl.planning import (
    PolicySystem,
    TabularMDP,
    occupancy,
    policy_evaluation,
    soft_occupancy,
    solve,
    visitation,
)


def random_policy(seed: int, *shape: int) -> np.ndarray:
    return np.moveaxis(np.random.default_rng(seed).dirichlet(np.ones(shape[-2]), size=(*shape[:-2], shape[-1])), -1, -2)


def test_visits_are_counted_over_all_trajectories(random_mdp, all_trajectories) -> None:
    mdp = random_mdp(n_states=3, n_actions=2, ending=0.4, gamma=1.0, horizon=4)
    policy = random_policy(0, 4, 2, 3)
    counts = np.zeros((4, 2, 3))
    for t in all_trajectories(mdp):
        chance = t.chance * np.prod([policy[time, a, s] for time, (s, a) in enumerate(t.pairs())])
        for time, (s, a) in enumerate(t.pairs()):
            counts[time, a, s] += chance
    np.testing.assert_allclose(visitation(mdp, policy), counts, atol=1e-13)
    np.testing.assert_allclose(occupancy(mdp, policy), counts.sum(axis=0), atol=1e-13)
    discounted = occupancy(mdp.replace(gamma=0.5), policy)
    np.testing.assert_allclose(discounted, np.einsum("t,tas->as", 0.5 ** np.arange(4), counts), atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_states=st.integers(1, 10),
    n_actions=st.integers(1, 4),
    gamma=st.sampled_from([0.0, 0.9, 0.999]),
    ending=st.sampled_from([0.0, 0.5]),
    horizon=st.sampled_from([None, 1, 9]),
)
def test_flow_and_returns(random_mdp, seed, n_states, n_actions, gamma, ending, horizon) -> None:
    mdp = random_mdp(seed, n_states, n_actions, ending, gamma=gamma, horizon=horizon)
    policy = random_policy(seed, n_actions, n_states)
    visits = occupancy(mdp, policy)
    values = policy_evaluation(mdp, policy)
    expected = mdp.initial @ (values if horizon is None else values[0])
    assert (visits * mdp.rewards).sum() == pytest.approx(expected, abs=1e-10 * max(1.0, np.abs(values).max()))
    assert visits.min() >= 0.0
    if horizon is None:
        dynamics = mdp.transitions.toarray().reshape(n_actions, n_states, n_states)
        arriving = np.einsum("as,asn->n", visits, dynamics)
        np.testing.assert_allclose(visits.sum(axis=0), mdp.initial + gamma * arriving, atol=1e-10)
    if ending == 0.0:
        length = sum(gamma**t for t in range(horizon)) if horizon else 1.0 / (1.0 - gamma)
        assert visits.sum() == pytest.approx(length, rel=1e-10)


def test_without_discount_it_is_the_length_of_the_episode() -> None:
    name = max(key for key in gym.registry if key.startswith("CliffWalking-v"))
    cliff = TabularMDP.from_env(gym.make(name), gamma=1.0)
    visits = occupancy(cliff, solve(cliff).actions)
    path = np.zeros(48)
    path[[36, *range(24, 36)]] = 1.0  # up, along the cliff, down
    np.testing.assert_allclose(visits.sum(axis=0), path, atol=1e-12)


def test_an_old_factor_serves_the_transposed_equations(random_mdp) -> None:
    system = PolicySystem()
    for seed in range(4):
        mdp = random_mdp(seed, n_states=30, gamma=0.99)
        policy = random_policy(seed, 3, 30)
        np.testing.assert_allclose(occupancy(mdp, policy, system=system), occupancy(mdp, policy), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("ending", [0.0, 0.2])
def test_sweeps_and_linear_equations_agree(random_mdp, grid, ending: float) -> None:
    for mdp in (random_mdp(n_states=20, ending=ending, gamma=0.999), grid(gamma=0.999)):
        policy = random_policy(0, *mdp.rewards.shape)
        system = PolicySystem()
        swept = occupancy(mdp, policy, system=system)
        assert system.is_factored == (mdp.n_states == 36)  # a random walk on a grid mixes slowly
        policy_evaluation(mdp, policy, system=system)
        np.testing.assert_allclose(occupancy(mdp, policy, system=system), swept, rtol=1e-9)


def test_lost_probability_is_an_error(random_mdp) -> None:
    class Careless(PolicySystem):
        def solve(self, *args, **kwargs):
            return 0.999 * super().solve(*args, **kwargs)

    mdp = random_mdp(n_states=2, n_actions=1).replace(transitions=[[0.0, 1.0], [1.0, 0.0]])  # sweeps go round
    with pytest.raises(ArithmeticError, match="probability was lost"):
        occupancy(mdp, np.ones((1, 2)), system=Careless())


def test_horizons_are_asked_for(random_mdp) -> None:
    with pytest.raises(ValueError, match="horizon must be given"):
        visitation(random_mdp(), random_policy(0, 3, 4))
    with pytest.raises(ValueError, match="horizon must be given"):
        soft_occupancy(random_mdp(), 1.0)
    with pytest.raises(ValueError, match="shape of the policy"):
        visitation(random_mdp(horizon=5), random_policy(0, 4, 3, 4))
