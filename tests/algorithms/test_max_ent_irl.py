"""MaxEntIRL gives the demonstrator's policy back, from whatever demonstrations say enough."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from inverse_rl_helpers import demonstrations_of_episodes, episodes_of, grid_mdp, kl_to, soft_expert
from scipy import optimize

from gym_ilrl.algorithms.max_ent_irl import MaxEntIRL
from gym_ilrl.irl.features import features_of
from gym_ilrl.planning import occupancy


def learned_log_policy(irl):
    return irl.policy.log_probabilities.numpy().swapaxes(-1, -2)


@pytest.fixture
def problem():
    mdp, features, weights = grid_mdp()
    rewards = features_of(mdp, features, "states").rewards(weights)
    return mdp, features, weights, soft_expert(mdp, rewards)


# with a horizon, an occupancy does not say at which time an action was taken: only the dual does without
@pytest.mark.parametrize(("objective", "horizon"), [("likelihood", None), ("dual", None), ("dual", 6)])
def test_the_policy_of_exact_visits_comes_back(objective, horizon):
    mdp, features, weights = grid_mdp(horizon=horizon)
    expert = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights))
    visits = occupancy(mdp, expert.policy).T
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=visits, features=features, objective=objective).learn(300)
    assert irl.converged
    np.testing.assert_allclose(learned_log_policy(irl), expert.log_policy, atol=1e-4)
    np.testing.assert_allclose(irl.occupancy, visits, atol=1e-4)
    assert irl.feature_error < 1e-5


def test_more_demonstrations_come_closer(problem):
    mdp, features, _, expert = problem
    divergences = []
    for n_episodes in (5, 50, 500):
        episodes = episodes_of(mdp, expert.policy, n_episodes, 8, seed=n_episodes)
        irl = MaxEntIRL(
            "TabularPolicy", mdp, demonstrations=demonstrations_of_episodes(mdp, episodes), features=features
        ).learn(200)
        divergences.append(kl_to(mdp, expert.policy, learned_log_policy(irl)))
    # three weights: 2 n KL is about chi-squared with 3 degrees of freedom, n the number of steps; 16.3 is its 99.9 %
    for n_episodes, divergence in zip((5, 50, 500), divergences, strict=True):
        assert divergence < 16.3 / (2 * 8 * n_episodes)
    assert divergences[2] < divergences[0]


def test_the_likelihood_is_that_of_a_general_optimiser(problem):
    mdp, features, _, expert = problem
    demonstrations = demonstrations_of_episodes(mdp, episodes_of(mdp, expert.policy, 20, 5))
    steps = demonstrations.transitions()

    def loss(weights):
        log_policy = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights)).log_policy
        return -log_policy[steps.actions, steps.observations].mean() + 0.005 * weights @ weights

    independent = optimize.minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11})
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations, features=features, l2_coef=0.01).learn(100)
    np.testing.assert_allclose(irl.weights, independent.x, atol=1e-4)
    assert irl.log_likelihood == pytest.approx(-loss(irl.weights) + 0.005 * irl.weights @ irl.weights, abs=1e-7)


def test_parts_of_episodes_and_shuffled_episodes_say_the_same(problem):
    mdp, features, _, expert = problem
    episodes = episodes_of(mdp, expert.policy, 30, 6)
    halves = [(s[: i + 4], a[i : i + 3], False) for s, a, _ in episodes for i in (0,)]
    halves += [(s[3:], a[3:], False) for s, a, _ in episodes]
    halves = [(s, a, e) for s, a, e in halves if len(s) == len(a) + 1]
    whole = MaxEntIRL(
        "TabularPolicy", mdp, demonstrations=demonstrations_of_episodes(mdp, episodes), features=features
    ).learn(100)
    cut = MaxEntIRL(
        "TabularPolicy", mdp, demonstrations=demonstrations_of_episodes(mdp, halves[::-1]), features=features
    ).learn(100)
    assert len(halves) == 60
    np.testing.assert_allclose(cut.weights, whole.weights, atol=1e-4)


def test_states_are_enough_where_they_tell_the_actions():
    mdp, features, weights = grid_mdp(slip=0.0)
    expert = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights))
    episodes = episodes_of(mdp, expert.policy, 200, 10)
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=[s for s, _, _ in episodes], features=features).learn(200)
    assert irl.converged
    np.testing.assert_allclose(irl.weights, weights, atol=0.15)
    told = MaxEntIRL(
        "TabularPolicy",
        mdp,
        demonstrations=demonstrations_of_episodes(mdp, episodes),
        state_only=True,
        features=features,
    ).learn(200)
    np.testing.assert_allclose(told.weights, irl.weights, atol=1e-4)


def test_the_return_of_a_terminal_state_is_learned():
    mdp, _, _ = grid_mdp(goal_ends=True, gamma=0.95)
    goal = np.full(16, -1.2)
    goal[-1] = 5.0
    truth = features_of(mdp, None, "states").rewards(goal)
    # the reward on arrival: gamma times it, times the probability of arriving
    np.testing.assert_allclose(truth[:, :15], 0.95 * 5.0 * mdp.ending[:, :15] - 1.2)
    expert = soft_expert(mdp, truth)
    episodes = episodes_of(mdp, expert.policy, 200, 30)
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations_of_episodes(mdp, episodes)).learn(500)
    assert irl.reward_table.argmax() == 15
    assert kl_to(mdp, expert.policy, learned_log_policy(irl)) < 0.02


@pytest.mark.parametrize(("slip", "is_equal"), [(0.0, True), (0.4, False)])
def test_causal_and_plain_differ_by_chance_only(slip, is_equal):
    mdp, features, weights = grid_mdp(slip=slip, gamma=1.0, horizon=6)
    expert = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights))
    visits = occupancy(mdp, expert.policy).T
    options = {"demonstrations": visits, "features": features}
    plain = MaxEntIRL("TabularPolicy", mdp, causal=False, **options).learn(300)
    causal = MaxEntIRL("TabularPolicy", mdp, **options).learn(300)
    difference = np.abs(learned_log_policy(plain) - learned_log_policy(causal)).max()
    assert difference < 1e-3 if is_equal else difference > 0.05
    assert causal.feature_error < 1e-5
    assert (plain.feature_error < 1e-4) == is_equal


def test_without_discount_and_horizon_the_goal_bounds_the_search():
    mdp, _, _ = grid_mdp(slip=0.1, goal_ends=True, gamma=1.0)
    cost = np.full((4, 16), -2.0)
    expert = soft_expert(mdp, cost)
    episodes = episodes_of(mdp, expert.policy, 300, 200)
    features = np.random.default_rng(0).normal(size=(16, 2)) * 0.3
    features = np.column_stack([np.arange(16) < 15, features])  # the first one is the cost of a step
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations_of_episodes(mdp, episodes), features=features)
    irl.learn(200)
    assert irl.converged
    np.testing.assert_allclose(irl.weights, [-2.0, 0.0, 0.0], atol=0.25)


def test_absolute_penalties_leave_out_features_that_say_nothing(problem):
    mdp, features, _, expert = problem
    noise = np.random.default_rng(5).normal(size=(16, 6)) * 0.3
    visits = occupancy(mdp, expert.policy).T
    options = {"demonstrations": visits, "features": np.hstack([features, noise])}
    irl = MaxEntIRL("TabularPolicy", mdp, l1_coef=0.1, objective="dual", **options).learn(500)
    assert irl.converged
    assert (irl.weights[3:] == 0.0).sum() >= 4
    assert (irl.weights[:3] != 0.0).all()
    # at the minimum the feature expectations miss by at most the penalty
    miss = features_of(mdp, options["features"], "states").adjoint((irl.occupancy - visits).T)
    assert np.abs(miss).max() <= 0.1 + 1e-4
    np.testing.assert_allclose(miss[:3], -0.1 * np.sign(irl.weights[:3]), atol=1e-4)


def test_features_of_actions_and_of_transitions(problem):
    mdp, features, _, _ = problem
    by_action = np.repeat(features[:, None], 4, axis=1) * np.array([1.0, 0.5, 2.0, -1.0])[:, None]

    def of_transition(states, actions, next_states):
        return by_action[states, actions] + 0.1 * features[next_states]

    weights = np.array([0.6, -0.4, 0.3])
    full = mdp.transitions.toarray().reshape(4, 16, 16)
    mean = by_action + 0.1 * np.einsum("ast,td->sad", full, features)
    for given, on, truth in ((by_action, "actions", by_action), (of_transition, "transitions", mean)):
        expert = soft_expert(mdp, (truth @ weights).T)
        visits = occupancy(mdp, expert.policy).T
        irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=visits, features=given, reward_on=on).learn(300)
        np.testing.assert_allclose(learned_log_policy(irl), expert.log_policy, atol=1e-4)
    state, action, following = np.array([3, 5]), np.array([1, 0]), np.array([7, 4])
    np.testing.assert_allclose(
        irl.reward(state, action, following), of_transition(state, action, following) @ irl.weights
    )
    with pytest.raises(ValueError, match="reward\\(obs, actions, next_obs\\)"):
        irl.reward(state)


@pytest.mark.parametrize("optimizer", [th.optim.Adam, th.optim.SGD])
def test_torch_optimisers_find_the_same_minimum(problem, optimizer):
    mdp, features, _, expert = problem
    visits = occupancy(mdp, expert.policy).T
    options = {"demonstrations": visits, "features": features, "l2_coef": 0.05}
    exact = MaxEntIRL("TabularPolicy", mdp, **options).learn(200)
    rate = {th.optim.Adam: 0.05, th.optim.SGD: 1.0}[optimizer]
    irl = MaxEntIRL("TabularPolicy", mdp, optimizer=optimizer, learning_rate=rate, tolerance=1e-5, **options)
    irl.learn(2000)
    assert irl.converged
    np.testing.assert_allclose(irl.weights, exact.weights, atol=1e-3)


def test_a_network_learns_what_is_not_linear():
    mdp, features, _ = grid_mdp()
    reward = np.where(features[:, 0] * features[:, 1] > 0.0, 1.0, -1.0)
    expert = soft_expert(mdp, np.tile(reward, (4, 1)))
    visits = occupancy(mdp, expert.policy).T
    options = {"demonstrations": visits, "features": features, "seed": 0}
    linear = MaxEntIRL("TabularPolicy", mdp, **options).learn(200)
    deep = MaxEntIRL("TabularPolicy", mdp, reward="network", **options).learn(200)
    of_linear = kl_to(mdp, expert.policy, learned_log_policy(linear))
    of_deep = kl_to(mdp, expert.policy, learned_log_policy(deep))
    assert of_deep < 0.2 * of_linear

    own = th.nn.Sequential(th.nn.Linear(3, 32), th.nn.Tanh(), th.nn.Linear(32, 1))
    mine = MaxEntIRL("TabularPolicy", mdp, reward=own, **options).learn(200)
    assert kl_to(mdp, expert.policy, learned_log_policy(mine)) < 0.5 * of_linear


def test_a_toy_text_environment_and_its_time_limit():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    right_way = np.array([0, 4, 8, 9, 13, 14, 15])
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=[right_way] * 5, l2_coef=0.01).learn(300)
    observation, _ = env.reset()
    visited = [observation]
    for _ in range(10):
        observation, reward, terminated, _, _ = env.step(int(irl.predict(observation, deterministic=True)[0]))
        visited.append(observation)
        if terminated:
            break
    assert reward == 1.0
    assert visited == right_way.tolist()
