"""A mixture of tabular policies: one component from the start of an episode to its end."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.evaluation import evaluate_policy

from gym_ilrl.policies.tabular_mixture import TabularMixturePolicy

STATES, ACTIONS = spaces.Discrete(4), spaces.Discrete(3)
POLICIES = [np.zeros(4, dtype=int), np.full(4, 1), np.array([2, 2, 0, 1])]
WEIGHTS = [0.2, 0.5, 0.3]


def mixture(horizon=None, policies=POLICIES, weights=WEIGHTS, observations=STATES, actions=ACTIONS, **arguments):
    policy = TabularMixturePolicy(observations, actions, horizon=horizon)
    policy.set_mixture(policies, weights, **arguments)
    return policy


def test_components_are_drawn_as_often_as_they_weigh_and_kept():
    th.manual_seed(0)
    policy = mixture()
    n = 20_000
    observations = np.random.default_rng(0).integers(4, size=n)
    actions, state = policy.predict(observations)
    component, time = state
    shares = np.bincount(component, minlength=3) / n
    np.testing.assert_allclose(shares, WEIGHTS, atol=4 * np.sqrt(0.25 / n))
    np.testing.assert_array_equal(actions, np.stack(POLICIES)[component, observations])
    assert (time == 1).all()
    for _ in range(3):
        observations = (observations + 1) % 4
        actions, state = policy.predict(observations, state, np.zeros(n, dtype=bool))
        np.testing.assert_array_equal(state[0], component)
        np.testing.assert_array_equal(actions, np.stack(POLICIES)[component, observations])


def test_a_new_episode_draws_anew_and_counts_from_zero():
    th.manual_seed(1)
    policy = mixture()
    n = 4000
    _, state = policy.predict(np.zeros(n, dtype=int))
    kept = (state[0].copy(), state[1].copy())
    starts = np.arange(n) % 2 == 0
    _, (component, time) = policy.predict(np.zeros(n, dtype=int), state, starts)
    np.testing.assert_array_equal(state, kept)  # the caller's memory is not written to
    np.testing.assert_array_equal(component[~starts], kept[0][~starts])
    same = (component[starts] == kept[0][starts]).mean()
    assert same == pytest.approx(np.square(WEIGHTS).sum(), abs=0.05)
    np.testing.assert_array_equal(time, np.where(starts, 1, 2))


def test_deterministic_follows_the_one_that_stands_alone():
    observations = np.arange(4)
    assert mixture().predict(observations, deterministic=True)[0].tolist() == POLICIES[1].tolist()
    policy = mixture(alone=2)
    actions, state = policy.predict(observations, deterministic=True)
    assert actions.tolist() == POLICIES[2].tolist()
    assert state[0].tolist() == [-1] * 4
    actions, state = policy.predict(observations, state)  # drawn when it is needed
    assert (state[0] >= 0).all()
    np.testing.assert_array_equal(actions, np.stack(POLICIES)[state[0], observations])


def test_actions_of_each_time_and_of_the_last_one_beyond_the_horizon():
    by_time = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 2, 2]])
    policy = mixture(3, [by_time, np.zeros(4, dtype=int)], [1.0, 0.0])
    for deterministic in (False, True):
        state, taken = None, []
        for _ in range(5):
            action, state = policy.predict(2, state, deterministic=deterministic)
            taken.append(int(action))
        assert taken == [0, 1, 2, 2, 2]
    policy = mixture(3, [by_time, np.zeros(4, dtype=int)], [0.0, 1.0])
    state = None
    for _ in range(3):
        action, state = policy.predict(np.array([1, 3]), state)
        assert action.tolist() == [0, 0]


def test_spaces_that_begin_elsewhere():
    policy = mixture(observations=spaces.Discrete(4, start=-2), actions=spaces.Discrete(3, start=5))
    actions, (component, _) = policy.predict(np.array([-2, -1, 0, 1]))
    np.testing.assert_array_equal(actions, np.stack(POLICIES)[component, np.arange(4)] + 5)
    assert policy.predict(0, deterministic=True)[0] == 6
    with pytest.raises(ValueError, match="expected an observation"):
        policy.predict(2)


def test_without_a_mixture_it_is_the_uniform_table():
    th.manual_seed(0)
    policy = TabularMixturePolicy(STATES, ACTIONS)
    assert policy.n_components == 0
    actions, state = policy.predict(np.zeros(3000, dtype=int))
    np.testing.assert_allclose(np.bincount(actions) / 3000, 1 / 3, atol=0.04)
    assert state[1].tolist() == [1] * 3000


def test_draws_are_repeated_by_the_seed():
    policy = mixture()
    drawn = []
    for seed in (3, 3, 4):
        th.manual_seed(seed)
        drawn.append(policy.predict(np.zeros(50, dtype=int))[0].tolist())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("horizon", [None, 2])
def test_saved_and_loaded(tmp_path, horizon):
    policy = mixture(horizon, alone=0)
    policy.save(str(tmp_path / "policy.pth"))
    loaded = TabularMixturePolicy.load(str(tmp_path / "policy.pth"))
    assert loaded.n_components == 3
    for name, value in policy.state_dict().items():
        assert th.equal(value, loaded.state_dict()[name])
    fewer = mixture(horizon, POLICIES[:1], [1.0])
    fewer.load_state_dict(policy.state_dict())
    assert fewer.component_weights.tolist() == WEIGHTS


@pytest.mark.parametrize(
    ("policies", "weights", "alone", "message"),
    [
        (POLICIES, [0.5, 0.5], None, "weights must be 3 numbers"),
        (POLICIES, [0.5, 0.7, -0.2], None, "at least 0"),
        (POLICIES, [0.5, 0.5, 0.5], None, "sum to 1"),
        ([np.zeros(3, dtype=int)], [1.0], None, r"the shape of policies\[0\] must be \(4,\)"),
        ([np.array([0, 1, 2, 3])], [1.0], None, r"policies\[0\] must be actions"),
        ([np.zeros(4)], [1.0], None, "whole numbers in 0 ... 2"),
        (POLICIES, WEIGHTS, 3, "alone must be the index of one of 3"),
    ],
)
def test_what_is_no_mixture_is_refused(policies, weights, alone, message):
    with pytest.raises(ValueError, match=message):
        mixture(policies=policies, weights=weights, alone=alone)


def test_memory_of_another_batch_is_refused():
    policy = mixture()
    _, state = policy.predict(np.arange(4))
    with pytest.raises(ValueError, match="the shapes in state"):
        policy.predict(np.arange(3), state)
    with pytest.raises(ValueError, match="component and time"):
        policy.predict(np.arange(4), state[1:])


def test_evaluate_policy_keeps_components_within_episodes():
    env = gym.make("ilrl/GridMaze-v0", size=3, layout="open", slip=0.0, max_episode_steps=10)
    n = env.observation_space.n
    right_then_down = np.where(np.arange(n) % 3 < 2, 2, 1)
    policy = TabularMixturePolicy(env.observation_space, env.action_space)
    policy.set_mixture([right_then_down, np.zeros(n, dtype=int)], [0.5, 0.5])
    th.manual_seed(0)
    returns, lengths = evaluate_policy(policy, env, 60, deterministic=False, return_episode_rewards=True, warn=False)
    assert set(zip(returns, lengths, strict=True)) == {(1.0, 4), (0.0, 10)}
