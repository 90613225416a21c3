"""The table as an SB3 policy."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.utils import set_random_seed

from gym_ilrl.policies.tabular import TabularPolicy

N_STATES, N_ACTIONS, HORIZON = 5, 3, 4


def random_log_policy(*times, seed=0):
    """Action-major, without regularities."""
    table = np.random.default_rng(seed).dirichlet(np.ones(N_ACTIONS), size=(*times, N_STATES))
    return np.log(np.swapaxes(table, -1, -2))


def make(horizon=None, start=0, first_action=0):
    spaces_ = spaces.Discrete(N_STATES, start=start), spaces.Discrete(N_ACTIONS, start=first_action)
    return TabularPolicy(*spaces_, horizon=horizon)


def test_table_is_uniform_to_begin_with():
    np.testing.assert_allclose(make().log_probabilities.exp(), 1 / 3)
    assert make().log_probabilities.shape == (N_STATES, N_ACTIONS)
    assert make(HORIZON).log_probabilities.shape == (HORIZON, N_STATES, N_ACTIONS)
    assert make().log_probabilities.dtype == th.float64
    assert not make().log_probabilities.requires_grad


@pytest.mark.parametrize(("start", "first_action"), [(0, 0), (7, -2)])
def test_actions_and_states_are_those_of_the_spaces(start, first_action):
    policy = make(start=start, first_action=first_action)
    log_policy = random_log_policy()
    policy.set_log_probabilities(log_policy)
    states = np.arange(N_STATES)
    actions, state = policy.predict(states + start, deterministic=True)
    np.testing.assert_array_equal(actions, log_policy.argmax(axis=0) + first_action)
    assert state is None
    for one in (states[2] + start, int(states[2] + start), np.array(states[2] + start)):
        action, _ = policy.predict(one, deterministic=True)
        assert np.shape(action) == ()
        assert action == actions[2]
        assert policy.action_space.contains(action)
    column, _ = policy.predict(states[:, None] + start, deterministic=True)
    np.testing.assert_array_equal(column, actions)


def test_draws_have_the_probabilities_of_the_table():
    policy = make()
    log_policy = random_log_policy()
    log_policy[:, 0] = [-np.inf, 0.0, -np.inf]
    log_policy[:, 1] = [np.log(0.5), -1e100, np.log(0.5)]
    policy.set_log_probabilities(log_policy)
    set_random_seed(0)
    n = 40_000
    for state in range(N_STATES):
        drawn, _ = policy.predict(np.full(n, state))
        shares = np.bincount(drawn, minlength=N_ACTIONS) / n
        expected = np.exp(log_policy[:, state])
        assert (shares[expected == 0.0] == 0.0).all()
        assert (np.abs(shares - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)).all()


def test_draws_are_repeated_by_the_seed_of_sb3():
    policy = make()
    runs = []
    for _ in range(2):
        set_random_seed(3)
        runs.append([policy.predict(np.arange(N_STATES))[0] for _ in range(20)])
    np.testing.assert_array_equal(*runs)
    assert len(np.unique(runs[0])) == N_ACTIONS


def test_lowest_of_equal_actions_is_taken():
    policy = make(first_action=2)
    policy.set_log_probabilities(np.log(np.array([[0.2], [0.4], [0.4]]) * np.ones(N_STATES)))
    assert (policy.predict(np.arange(N_STATES), deterministic=True)[0] == 3).all()
    assert make().predict(4, deterministic=True)[0] == 0


def test_time_is_the_memory_of_a_policy_with_a_horizon():
    policy = make(HORIZON)
    log_policy = random_log_policy(HORIZON)
    policy.set_log_probabilities(log_policy)
    best = log_policy.argmax(axis=1)
    states = np.array([0, 3])
    starts = [[True, True], [False, False], [False, True], [False, False], [False, False], [False, False], [True, 0]]
    times = [[0, 0], [1, 1], [2, 0], [3, 1], [3, 2], [3, 3], [0, 3]]  # after the horizon: the last row
    memory = None
    for start, time in zip(starts, times, strict=True):
        actions, memory = policy.predict(states, memory, np.array(start, dtype=bool), deterministic=True)
        np.testing.assert_array_equal(actions, best[time, states])
    actions, memory = policy.predict(states, deterministic=True)  # without memory an episode begins
    np.testing.assert_array_equal(actions, best[0, states])
    actions, memory = policy.predict(states, memory, deterministic=True)  # without episode_start it goes on
    np.testing.assert_array_equal(actions, best[1, states])
    action, memory = policy.predict(3, deterministic=True)
    assert action == best[0, 3]
    assert policy.predict(3, memory, deterministic=True)[0] == best[1, 3]


def test_memory_of_another_number_of_episodes_is_refused():
    _, memory = make(HORIZON).predict(np.arange(3))
    with pytest.raises(ValueError, match=r"the shape of the time in state must be \(2,\)"):
        make(HORIZON).predict(np.arange(2), memory)


def test_memory_is_given_back_without_a_horizon():
    memory = (np.zeros(2),)
    assert make().predict(np.arange(2), memory)[1] is memory


@pytest.mark.parametrize(
    "observation",
    [5, -1, np.array([0, 5]), np.array([[0, 1]]), 1.0, np.array([True]), "0", (1, {}), np.zeros((2, 1, 1), dtype=int)],
    ids=str,
)
def test_observations_outside_of_the_space_are_refused(observation):
    with pytest.raises(ValueError, match=r"expected an observation of Discrete\(5\)|inhomogeneous"):
        make().predict(observation)


@pytest.mark.parametrize(("start", "outside"), [(2, 1), (2, 7), (-1, 4), (-1, -2)])
def test_start_moves_the_bounds(start, outside):
    policy = make(start=start)
    policy.predict(np.arange(start, start + N_STATES))
    with pytest.raises(ValueError, match="expected an observation"):
        policy.predict(outside)


def test_table_is_set_as_planning_gives_it():
    policy, log_policy = make(HORIZON), random_log_policy(HORIZON)
    policy.set_log_probabilities(log_policy)
    for t in range(HORIZON):
        np.testing.assert_array_equal(policy.log_probabilities[t].numpy(), log_policy[t].T)
    policy.set_log_probabilities(log_policy[0], time=2)
    np.testing.assert_array_equal(policy.log_probabilities[2].numpy(), log_policy[0].T)
    np.testing.assert_array_equal(policy.log_probabilities[1].numpy(), log_policy[1].T)
    policy.set_log_probabilities(log_policy[3])  # repeated over time
    assert all(th.equal(policy.log_probabilities[t], th.as_tensor(log_policy[3].T)) for t in range(HORIZON))


def test_table_does_not_share_memory_with_what_it_was_set_to():
    policy, log_policy = make(), random_log_policy()
    before = log_policy.copy()
    policy.set_log_probabilities(log_policy)
    policy.log_probabilities.fill_(0.0)
    np.testing.assert_array_equal(log_policy, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"log_policy": random_log_policy().T}, r"shape of log_policy must be \(3, 5\), not \(5, 3\)"),
        ({"log_policy": random_log_policy(HORIZON)}, "shape of log_policy"),
        ({"log_policy": random_log_policy() + 0.1}, "must sum to 1, and those of state 0 sum to 1.1"),
        ({"log_policy": np.where(np.arange(N_STATES) == 3, np.nan, random_log_policy())}, "state 3 sum to nan"),
        ({"log_policy": random_log_policy(), "time": 0}, "time must be one of the no times"),
    ],
)
def test_what_is_no_policy_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        make().set_log_probabilities(**arguments)


def test_time_outside_of_the_horizon_is_refused():
    with pytest.raises(ValueError, match="time must be one of the 4 times"):
        make(HORIZON).set_log_probabilities(random_log_policy(), time=HORIZON)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((spaces.Box(0, 1), spaces.Discrete(2)), "observation_space must be Discrete"),
        ((spaces.Discrete(2), spaces.MultiDiscrete([2, 2])), "action_space must be Discrete"),
        ((spaces.Discrete(2), spaces.Discrete(2), None, 0), "horizon must be a whole number"),
        ((spaces.Discrete(2), spaces.Discrete(2), None, 2.5), "horizon must be a whole number"),
    ],
)
def test_other_spaces_and_horizons_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        TabularPolicy(*arguments)


@pytest.mark.parametrize("horizon", [None, HORIZON])
def test_saved_policy_is_loaded(horizon, tmp_path):
    policy = make(horizon, start=3, first_action=1)
    policy.set_log_probabilities(random_log_policy(*() if horizon is None else (horizon,)))
    policy.save(tmp_path / "policy")
    loaded = TabularPolicy.load(tmp_path / "policy")
    assert th.equal(loaded.log_probabilities, policy.log_probabilities)
    assert loaded.device.type == "cpu"
    assert (loaded.horizon, loaded.observation_space, loaded.action_space) == (
        horizon,
        policy.observation_space,
        policy.action_space,
    )
    other = make(horizon, start=3, first_action=1)
    other.load_state_dict(policy.state_dict())
    assert th.equal(other.log_probabilities, policy.log_probabilities)


def test_tensors_are_answered_by_tensors():
    policy = make(start=1)
    policy.set_log_probabilities(random_log_policy())
    actions = policy._predict(th.arange(1, 6), deterministic=True)
    np.testing.assert_array_equal(actions.numpy(), random_log_policy().argmax(axis=0))
