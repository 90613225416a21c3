"""The policy of a table of Q-values: which actions it draws, and what of it is saved."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from scipy.special import softmax
from stable_baselines3.common.utils import set_random_seed

from gym_ilrl.policies.tabular_q import TabularQPolicy

SPACES = spaces.Discrete(4), spaces.Discrete(3)
Q_VALUES = np.array([[1.0, 3.0, 2.0], [0.0, 5.0, 5.0], [-700.0, -700.5, -701.0], [2.0, 2.0, 2.0]])


def make(epsilon=0.0, given_spaces=SPACES, **kwargs):
    policy = TabularQPolicy(*given_spaces, **kwargs)
    policy.set_q_values(Q_VALUES)
    policy.epsilon.fill_(epsilon)
    return policy


def frequencies(policy, n=30_000):
    set_random_seed(0)
    return np.stack([np.bincount(policy.predict(np.full(n, state))[0], minlength=3) / n for state in range(4)])


GREEDY = np.array([[0, 1, 0], [0, 0.5, 0.5], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize(
    ("epsilon", "temperature", "expected"),
    [
        (0.0, 0.0, GREEDY),
        (0.3, 0.0, 0.7 * GREEDY + 0.1),
        (1.0, 0.0, np.full((4, 3), 1 / 3)),
        (0.0, 0.5, softmax(Q_VALUES / 0.5, axis=1)),
        (0.3, 0.5, 0.7 * softmax(Q_VALUES / 0.5, axis=1) + 0.1),
        (0.0, 1e-6, GREEDY),
    ],
)
def test_draws_and_log_probabilities(epsilon, temperature, expected):
    policy = make(epsilon, temperature=temperature)
    np.testing.assert_allclose(policy.log_probabilities.exp(), expected, atol=1e-12)
    drawn = frequencies(policy)
    np.testing.assert_allclose(drawn, expected, atol=0.012)  # four standard deviations
    assert (drawn[expected == 0] == 0).all()


@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 0.0), (1.0, 0.0), (0.5, 1e3)])
def test_deterministic_actions_are_greedy_and_the_lowest_of_several(epsilon, temperature):
    policy = make(epsilon, temperature=temperature)
    actions, state = policy.predict(np.arange(4), deterministic=True)
    assert actions.tolist() == [1, 1, 0, 0]
    assert state is None
    assert policy.predict(1, deterministic=True)[0].shape == ()
    column, _ = policy.predict(np.arange(4)[:, None], deterministic=True)
    assert column.tolist() == [1, 1, 0, 0]


def test_states_and_actions_are_numbered_as_in_their_spaces():
    policy = make(given_spaces=(spaces.Discrete(4, start=-2), spaces.Discrete(3, start=5)))
    assert policy.predict(np.array([-2, 0]), deterministic=True)[0].tolist() == [6, 5]
    assert {int(policy.predict(-1)[0]) for _ in range(50)} == {6, 7}
    for wrong in (2, -3, np.array([0.5]), np.zeros((2, 2), dtype=int)):
        with pytest.raises(ValueError, match="expected an observation of Discrete"):
            policy.predict(wrong)


def test_two_tables_act_by_their_mean():
    policy = make(n_tables=2)
    policy.q_tables.data[1] += th.tensor([[4.0, 0.0, 0.0]], dtype=th.float64)
    np.testing.assert_allclose(policy.q_values, Q_VALUES + [2.0, 0.0, 0.0])
    assert policy.predict(np.arange(4), deterministic=True)[0].tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(frequencies(policy)[0], [0.5, 0.5, 0.0], atol=0.012)


def test_tables_begin_at_the_initial_value():
    policy = TabularQPolicy(*SPACES, n_tables=2, initial_q_value=1.5)
    assert policy.q_tables.shape == (2, 4, 3)
    assert policy.q_tables.dtype == th.float64
    assert (policy.q_tables == 1.5).all()
    assert not policy.q_tables.requires_grad


def test_a_saved_policy_is_the_same(tmp_path):
    policy = make(epsilon=0.25, n_tables=2, temperature=0.7)
    policy.visits[1, 2, 0] = 9
    policy.save(tmp_path / "policy")
    loaded = TabularQPolicy.load(tmp_path / "policy")
    assert loaded.state_dict().keys() == {"q_tables", "visits", "epsilon"}
    for name, value in policy.state_dict().items():
        assert th.equal(loaded.state_dict()[name], value)
    assert th.equal(loaded.log_probabilities, policy.log_probabilities)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_tables": 3}, "n_tables must be 1 or 2, not 3"),
        ({"initial_q_value": np.nan}, "initial_q_value must be a finite number"),
        ({"temperature": -1.0}, "temperature must be a number of at least 0"),
    ],
)
def test_arguments_outside_their_range_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TabularQPolicy(*SPACES, **kwargs)


def test_other_spaces_and_tables_are_refused():
    with pytest.raises(ValueError, match="observation_space must be Discrete"):
        TabularQPolicy(spaces.Box(0, 1, (2,)), SPACES[1])
    with pytest.raises(ValueError, match=r"shape of q_values must be \(4, 3\), not \(3, 4\)"):
        make().set_q_values(Q_VALUES.T)
    with pytest.raises(ValueError, match="NaN or infinite"):
        make().set_q_values(np.where(Q_VALUES == 3, np.nan, Q_VALUES))
    with pytest.raises(ValueError, match="use set_q_values"):
        make().set_log_probabilities(np.log(np.full((3, 4), 1 / 3)))
    with pytest.raises(TypeError, match="horizon"):
        TabularQPolicy(*SPACES, horizon=3)
