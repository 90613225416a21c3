"""Values and policies of the planners, against dense linear algebra, enumeration and Monte Carlo."""

import itertools
from functools import lru_cache

import gymnasium as gym
import numpy as np
import pytest
from scipy.special import logsumexp
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from gym_ilrl import SoftValueIteration, TabularMDP, ValueIteration, collect
from gym_ilrl.algorithms.planning_steps import UndiscountedSweeps
from gym_ilrl.planning import DivergenceError, occupancy, solve
from gym_ilrl.planning.bellman import Bellman

TAXI = "Taxi-v4" if "Taxi-v4" in gym.registry else "Taxi-v3"
CLIFF = "CliffWalking-v1" if "CliffWalking-v1" in gym.registry else "CliffWalking-v0"


def dense(env):
    """Return ``P[a, s, s']`` without what ends the episode, and ``r[a, s]``, read from a toy-text environment."""
    model = env.unwrapped.P
    n, k = len(model), len(model[0])
    dynamics, rewards = np.zeros((k, n, n)), np.zeros((k, n))
    for s, a in itertools.product(range(n), range(k)):
        for probability, following, reward, over in model[s][a]:
            rewards[a, s] += probability * reward
            dynamics[a, s, following] += 0.0 if over else probability
    return dynamics, rewards


def planner(temperature, env, **arguments):
    if temperature == 0.0:
        return ValueIteration("TabularPolicy", env, **arguments)
    return SoftValueIteration("TabularPolicy", env, temperature=temperature, **arguments)


def table_of(model):
    """Probabilities as the model predicts them, ``(n_states, n_actions)``."""
    return model.policy.log_probabilities.exp().numpy()


def random_mdp(seed=0, n_states=3, n_actions=2, **arguments):
    generator = np.random.default_rng(seed)
    dynamics = generator.dirichlet(np.full(n_states, 0.5), size=(n_states, n_actions))
    arguments = {"gamma": 0.9, "initial": generator.dirichlet(np.ones(n_states)), **arguments}
    return TabularMDP.from_arrays(dynamics, generator.normal(size=(n_states, n_actions)), **arguments)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("solver", ["auto", "value_iteration", "newton"])
def test_no_deterministic_policy_is_better(seed, solver):
    mdp = random_mdp(seed)
    model = ValueIteration(env=mdp, solver=solver).learn(1000)
    dynamics = mdp.transitions.toarray().reshape(2, 3, 3)
    states = np.arange(3)
    best = np.max(
        [
            np.linalg.solve(np.eye(3) - 0.9 * dynamics[list(actions), states], mdp.rewards[list(actions), states])
            for actions in itertools.product(range(2), repeat=3)
        ],
        axis=0,
    )
    assert model.converged
    np.testing.assert_allclose(model.values, best, atol=1e-9)
    np.testing.assert_allclose(model.q_values, (mdp.rewards + 0.9 * dynamics @ best).T, atol=1e-9)
    np.testing.assert_array_equal(model.predict(states, deterministic=True)[0], model.q_values.argmax(axis=1))


@pytest.mark.parametrize("temperature", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("gamma", [0.9, 0.999])
@pytest.mark.parametrize("solver", ["auto", "value_iteration", "newton"])
def test_values_are_those_of_the_policy_and_it_is_optimal(temperature, gamma, solver):
    env = gym.make("FrozenLake-v1", map_name="8x8")
    model = planner(temperature, env, gamma=gamma, solver=solver).learn(50_000)
    dynamics, rewards = dense(env)
    policy = table_of(model).T
    entropy = -np.sum(policy * np.log(policy, where=policy > 0, out=np.zeros_like(policy)), axis=0)
    terminal = dynamics.sum(axis=(0, 2)) == 0.0
    earned = (policy * rewards).sum(axis=0) + temperature * entropy * ~terminal
    following = np.einsum("as,ast->st", policy, dynamics)
    evaluated = np.linalg.solve(np.eye(64) - gamma * following, earned)
    q = rewards + gamma * dynamics @ evaluated
    backup = q.max(axis=0) if temperature == 0.0 else temperature * logsumexp(q / temperature, axis=0)
    scale = max(1.0, np.abs(evaluated).max())
    np.testing.assert_allclose(evaluated[~terminal], backup[~terminal], atol=1e-8 * scale)
    np.testing.assert_allclose(model.values, evaluated, atol=1e-8 * scale)
    assert model.converged
    assert model.solution.residual <= 1e-9 * scale
    if temperature > 0.0:
        softmax = np.exp((q - backup) / temperature)
        np.testing.assert_allclose(policy[:, ~terminal], softmax[:, ~terminal], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 0.3])
@pytest.mark.parametrize(
    "arguments", [{}, {"gamma": 0.9999}, {"horizon": 30}, {"gamma": 1.0, "horizon": 7}, {"gamma": 0.0}], ids=str
)
def test_it_finds_what_solve_finds(temperature, arguments):
    model = planner(temperature, "FrozenLake-v1", **arguments).learn(100)
    solution = solve(model.mdp, temperature)
    assert model.converged
    scale = max(1.0, np.abs(solution.values).max())
    np.testing.assert_allclose(model.values, solution.values, atol=1e-9 * scale)
    np.testing.assert_allclose(model.q_values.swapaxes(-1, -2), solution.q_values, atol=1e-9 * scale)
    np.testing.assert_allclose(table_of(model).swapaxes(-1, -2), solution.policy, atol=1e-7)
    np.testing.assert_allclose(model.solution.policy, np.swapaxes(table_of(model), -1, -2))


def test_undiscounted_problem_with_a_goal():
    optimal = {}
    for temperature, solver in itertools.product([0.0, 0.3], ["auto", "newton", "value_iteration"]):
        model = planner(temperature, CLIFF, gamma=1.0, solver=solver).learn(5000)
        assert model.converged
        optimal[temperature, solver] = model.values
        if temperature == 0.0:
            assert model.values[36] == pytest.approx(-13.0)
        else:
            np.testing.assert_allclose(model.values, solve(model.mdp, temperature).values, atol=1e-8)
    np.testing.assert_allclose(optimal[0.3, "auto"], optimal[0.3, "value_iteration"], atol=1e-8)


@pytest.mark.parametrize("solver", ["newton", "value_iteration"])
def test_infinite_values_are_refused_in_words(solver):
    model = SoftValueIteration(env=CLIFF, temperature=1.0, gamma=1.0, solver=solver)
    with pytest.raises(DivergenceError, match=r"lower the temperature below 0\.721"):
        model.learn(10_000)
    np.testing.assert_allclose(table_of(model), 0.25)  # nothing of it is kept
    with pytest.raises(ValueError, match="not planned yet"):
        _ = model.values
    model.temperature = 0.3
    assert model.learn(5000).converged


@pytest.mark.parametrize("temperature", [0.0, 0.25])
def test_horizon_against_a_recursion_over_outcomes(temperature):
    env = gym.make("FrozenLake-v1")
    outcomes, gamma, horizon = env.unwrapped.P, 0.95, 9

    @lru_cache(None)
    def action_values(time, state):
        return tuple(
            sum(p * (r + (0.0 if over else gamma * value(time + 1, after))) for p, after, r, over in outcomes[state][a])
            for a in range(4)
        )

    @lru_cache(None)
    def value(time, state):
        if time == horizon:
            return 0.0
        q = np.array(action_values(time, state))
        return q.max() if temperature == 0.0 else temperature * logsumexp(q / temperature)

    model = planner(temperature, env, gamma=gamma, horizon=horizon).learn(100)
    assert model.num_timesteps == horizon
    acting = [s for s in range(16) if not outcomes[s][0][0][3]]
    for time, state in itertools.product(range(horizon), acting):
        assert model.values[time, state] == pytest.approx(value(time, state), abs=1e-12)
        assert model.q_values[time, state] == pytest.approx(action_values(time, state), abs=1e-12)
    assert (model.values[horizon] == 0.0).all()


def test_soft_values_tend_to_hard_ones_as_the_temperature_falls():
    hard = ValueIteration(env="FrozenLake-v1").learn(100)
    gaps = []
    for temperature in (0.1, 1e-2, 1e-3, 1e-4):
        soft = SoftValueIteration(env="FrozenLake-v1", temperature=temperature).learn(200)
        assert soft.converged
        gap = soft.values - hard.values
        assert (gap >= -1e-9).all()
        assert gap.max() <= temperature * np.log(4) / (1.0 - 0.99) + 1e-9  # the entropy of every step, for ever
        gaps.append(gap.max())
    assert gaps == sorted(gaps, reverse=True)
    best = hard.q_values >= hard.q_values.max(axis=1, keepdims=True) - 1e-3
    assert (table_of(soft) * best).sum(axis=1).min() > 0.99


def test_high_temperature_leaves_all_actions_alike_where_nothing_ends():
    mdp, gaps = random_mdp(n_states=20, n_actions=6), []
    for temperature in (10.0, 1e3, 1e5):
        model = SoftValueIteration(env=mdp, temperature=temperature).learn(100)
        gaps.append(np.abs(table_of(model) - 1 / 6).max())
    assert gaps[-1] < 1e-4
    assert gaps == sorted(gaps, reverse=True)


def test_high_temperature_avoids_the_end_where_there_is_one():
    hot = SoftValueIteration(env="FrozenLake-v1", temperature=1e6).learn(100)
    no_rewards = hot.mdp.replace(rewards=np.zeros((4, 16)))
    curious = SoftValueIteration(env=no_rewards, temperature=1.0).learn(100)
    np.testing.assert_allclose(table_of(hot), table_of(curious), atol=1e-5)
    assert table_of(hot)[6, 0] > 0.45  # between two holes: left and right slip past them
    wandering = occupancy(hot.mdp, np.full((4, 16), 0.25)).sum()
    assert hot.occupancy.sum() > 1.2 * wandering


def test_occupancy_is_state_major_and_gives_the_return():
    mdp = random_mdp(5, n_states=4, n_actions=3)
    model = SoftValueIteration(env=mdp, temperature=0.5).learn(300)
    policy = table_of(model)
    dynamics = mdp.transitions.toarray().reshape(3, 4, 4)
    visits = np.linalg.solve(np.eye(4) - 0.9 * np.einsum("sa,ast->ts", policy, dynamics), mdp.initial)
    np.testing.assert_allclose(model.occupancy, visits[:, None] * policy, atol=1e-9)
    assert model.occupancy.sum() == pytest.approx(10.0)
    limited = SoftValueIteration(env=mdp, temperature=0.5, horizon=6, gamma=1.0).learn(300)
    assert limited.occupancy.shape == (4, 3)
    assert limited.occupancy.sum() == pytest.approx(6.0)


def within(returns, expected, deviations=4.5):
    error = np.std(returns) / np.sqrt(len(returns))
    return abs(np.mean(returns) - expected) <= deviations * error


def expected_return(model):
    """Undiscounted, of the policy as it is."""
    return float((model.occupancy * model.mdp.rewards.T).sum())


@pytest.mark.parametrize("temperature", [0.0, 0.002])
def test_predicted_return_of_frozen_lake_with_its_time_limit(temperature):
    model = planner(temperature, "FrozenLake-v1", gamma=1.0, horizon=100, seed=0).learn(100)
    env = make_vec_env("FrozenLake-v1", 8, seed=0)
    returns, _ = evaluate_policy(model, env, 1500, deterministic=temperature == 0.0, return_episode_rewards=True)
    assert within(returns, expected_return(model))
    if temperature == 0.0:
        assert expected_return(model) == pytest.approx(model.mdp.initial @ model.values[0])


@pytest.mark.parametrize(("env_id", "temperature"), [(TAXI, 0.1), (CLIFF, 0.3)])
def test_predicted_return_of_undiscounted_problems(env_id, temperature):
    model = SoftValueIteration(env=env_id, temperature=temperature, gamma=1.0, seed=1).learn(100)
    env = make_vec_env(env_id, 8, seed=1)
    returns, _ = evaluate_policy(model, env, 1000, deterministic=False, return_episode_rewards=True)
    assert within(returns, expected_return(model))
    demonstrations = collect(model, env, n_episodes=1000, seed=2, deterministic=False)
    assert within([episode.rewards.sum() for episode in demonstrations], expected_return(model))


def test_best_policies_of_deterministic_problems():
    cliff = ValueIteration(env=CLIFF).learn(100)
    assert evaluate_policy(cliff, cliff.get_env(), 2)[0] == -13.0
    taxi = ValueIteration(env=TAXI, gamma=0.999).learn(100)
    returns, _ = evaluate_policy(taxi, make_vec_env(TAXI, 8, seed=0), 300, return_episode_rewards=True)
    starts = taxi.mdp.initial
    undiscounted = ValueIteration(env=TAXI, gamma=1.0).learn(100)
    assert within(returns, starts @ undiscounted.values)


def take_or_wait(horizon):
    """Waiting earns 1 and ends the episode with probability 0.2; taking earns 5 and ends it."""

    def outcomes(state, action):
        return [(1.0, 0, 5.0, True)] if action == 1 else [(0.8, 0, 1.0, False), (0.2, 0, 1.0, True)]

    return TabularMDP.from_function(outcomes, 1, 2, gamma=1.0, horizon=horizon)


def test_time_dependent_policy_keeps_time_in_every_environment():
    horizon = 4
    mdp = take_or_wait(horizon).replace(rewards=np.array([[1.5], [5.0]]))  # waiting: 1.5 + 0.8 * 5 > 5
    model = ValueIteration(env=mdp, seed=0).learn(10)
    plan = [0, 0, 0, 1]  # the prize is taken at the end
    np.testing.assert_array_equal(model.policy.log_probabilities.argmax(-1)[:, 0], plan)
    env = make_vec_env(mdp.to_env, 3, seed=0)  # ends at different times
    demonstrations = collect(model, env, n_episodes=60, seed=0)
    assert {len(episode) for episode in demonstrations} == {1, 2, 3, 4}
    assert all(list(episode.actions) == plan[: len(episode)] for episode in demonstrations)
    returns, lengths = evaluate_policy(model, env, 60, return_episode_rewards=True)
    assert len(set(lengths)) == 4
    assert all(total == {4: 9.5}.get(length, 1.5 * length) for total, length in zip(returns, lengths, strict=True))


def test_unfinished_induction_says_what_it_has_not_reached():
    model = ValueIteration(env="FrozenLake-v1", horizon=10).learn(4)
    assert not model.converged
    assert np.isnan(model.values[:6]).all()
    np.testing.assert_allclose(model.values[6:], solve(model.mdp).values[6:])
    np.testing.assert_allclose(table_of(model)[:6], 0.25)
    model.learn(100)
    assert model.num_timesteps == 6
    np.testing.assert_allclose(model.values, solve(model.mdp).values)
    np.testing.assert_allclose(table_of(model).swapaxes(-1, -2), solve(model.mdp).policy)


def test_actions_that_do_not_exist_are_not_taken():
    mdp = random_mdp(2, n_states=6, n_actions=3)
    available = np.array([[1, 1, 0, 1, 1, 0], [1, 0, 1, 0, 1, 1], [0, 1, 1, 1, 0, 1]], dtype=bool)
    limited = mdp.replace(available=available)
    model = SoftValueIteration(env=limited, temperature=0.4)
    np.testing.assert_allclose(table_of(model).T, np.where(available, 0.5, 0.0))
    for arguments in ({}, {"horizon": 5}):
        model = SoftValueIteration(env=limited, temperature=0.4, **arguments).learn(100)
        policy = table_of(model).reshape(-1, 6, 3)
        assert (policy.swapaxes(-1, -2)[:, ~available] == 0.0).all()
        assert evaluate_policy(model, make_vec_env(limited.replace(horizon=5).to_env, 2), 20, deterministic=False)
        hard = ValueIteration(env=limited, **arguments).learn(100)
        assert available[hard.solution.actions, np.arange(6)].all()


def test_newton_takes_over_where_sweeps_are_slow():
    few = SoftValueIteration(env="FrozenLake-v1", temperature=1.0, gamma=0.9999).learn(60)
    assert few.converged
    assert few.solution.solver == "newton"
    mixing = random_mdp(n_states=30, n_actions=3, gamma=0.9999)
    model = SoftValueIteration(env=mixing, temperature=1.0).learn(60)
    assert model.converged
    assert model.solution.solver == "value_iteration"
    sweeps = SoftValueIteration(env="FrozenLake-v1", temperature=1.0, gamma=0.9999, solver="value_iteration").learn(60)
    assert not sweeps.converged
    assert sweeps.num_timesteps == 60


def test_slow_sweeps_are_not_taken_for_converged_ones():
    """A small change says nothing about the way that is left until it is known how fast changes shrink."""
    mdp = TabularMDP(np.array([[1.0 - 1e-6]]), [[-1.0]], ending=[[1e-6]], gamma=1.0)
    steps = UndiscountedSweeps(mdp, Bellman.of(mdp, 0.0), np.array([-1e6 + 1000.0]), tolerance=1e-6)
    for _ in range(5):
        steps.step()
        assert steps.residual == pytest.approx(1e-3, rel=1e-2)
        assert not steps.converged  # 1000 away from the value
