"""The planned expert of tabular environments against the exact value of its own policy and of all others."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

import gym_ilrl
from gym_ilrl.envs.tabular import TabularDynamics, TabularEnv
from gym_ilrl.experts.registry import expert
from gym_ilrl.experts.tabular import TabularExpert

N_ACTIONS, N_STATES = 3, 5


def process(seed):
    """A terminal state, endings without arrival, and an action that does not exist in some state."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(N_STATES, 0.5), size=(N_ACTIONS, N_STATES))
    ending = rng.random((N_ACTIONS, N_STATES)) * (rng.random((N_ACTIONS, N_STATES)) < 0.5)
    probabilities *= 1.0 - ending[..., None]
    probabilities[2, 1], ending[2, 1] = 0.0, 0.0
    reward = rng.normal(size=(N_ACTIONS, N_STATES))
    reward[2, 1] = 100.0  # of the action that does not exist
    terminal = np.arange(N_STATES) == 4
    return TabularEnv(TabularDynamics(1, probabilities.reshape(-1, N_STATES), reward, terminal=terminal, ending=ending))


def value_of(env, actions, gamma):
    """``(I - gamma P)^-1 r`` of a deterministic policy, with nothing after the terminal state."""
    rows = np.array(actions) * N_STATES + np.arange(N_STATES)
    going = env.transition_matrix.toarray()[rows] * ~env.terminal * ~env.terminal[:, None]
    paid = env.reward.ravel()[rows] * ~env.terminal
    return np.linalg.solve(np.eye(N_STATES) - gamma * going, paid)


@pytest.mark.parametrize("seed", range(5))
def test_no_policy_is_better(seed):
    env = gym.wrappers.TimeLimit(process(seed), 20)
    planned = TabularExpert(env)
    assert planned.gamma == 1 - 1 / 1000  # the spec, not the wrapper, tells the time limit
    actions, _ = planned.predict(np.arange(N_STATES))
    assert actions[1] != 2  # which does not exist there
    np.testing.assert_allclose(value_of(env.unwrapped, actions, planned.gamma), planned.values, atol=1e-8)
    for others in itertools.product(range(N_ACTIONS), repeat=N_STATES):
        if others[1] != 2:
            assert (value_of(env.unwrapped, others, planned.gamma) <= planned.values + 1e-8).all()


@pytest.mark.parametrize("name", ["ObjectWorld", "BinaryWorld", "RiskyPath"])
def test_it_earns_far_more_than_random_actions(name):
    env_id = f"ilrl/{name}-v0"
    env = gym.make(env_id)
    planned = gym_ilrl.collect(expert(env_id), env_id, n_episodes=30, seed=0).returns()
    env.action_space.seed(0)
    drawn = []
    for seed in range(30):
        env.reset(seed=seed)
        rewards = [env.step(env.action_space.sample())[1] for _ in range(env.spec.max_episode_steps)]
        drawn.append(sum(rewards))
    error = np.hypot(planned.std(), np.std(drawn)) / np.sqrt(30)
    assert planned.mean() - np.mean(drawn) > 4 * error


def test_the_time_limit_is_the_planning_horizon():
    assert expert("ilrl/ObjectWorld-v0").gamma == 1 - 1 / 50
    assert expert("ilrl/ObjectWorld-v0", max_episode_steps=8).gamma == 1 - 1 / 8


def test_planned_anew_for_the_layout():
    env = gym.make("ilrl/BinaryWorld-v0", layout_seed=3)
    states = np.arange(256)
    made = expert("ilrl/BinaryWorld-v0")
    assert (made.predict(states)[0] != expert(env).predict(states)[0]).any()
    np.testing.assert_array_equal(made.bind(env).predict(states)[0], expert(env).predict(states)[0])


def test_it_refuses_another_environment():
    with pytest.raises(TypeError, match="publishes its model"):
        TabularExpert(gym.make("FrozenLake-v1"))
