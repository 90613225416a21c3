"""Networks of features as rewards, tables of what they give, and the gradient that reaches them through planning."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from scipy import sparse
from torch import nn

from gym_ilrl.irl.features import features_of
from gym_ilrl.planning import TabularMDP
from gym_ilrl.rewards import LinearReward, RewardModel, RewardNetwork, differentiable
from gym_ilrl.rewards.model import inputs_of, learned_module

SPACES = spaces.Discrete(5), spaces.Discrete(2)


@pytest.fixture
def process():
    dynamics = np.random.default_rng(0).dirichlet(np.ones(5), size=(5, 2))
    return TabularMDP.from_arrays(dynamics, np.zeros((5, 2)), gamma=0.9)


@pytest.fixture
def features(process):
    return features_of(process, np.random.default_rng(1).normal(size=(5, 3)), "states")


def test_a_network_sees_features_with_mean_0_and_deviation_1():
    rows = np.random.default_rng(0).normal(size=(50, 3)) * [1e3, 1.0, 0.0] + [5.0, -2.0, 7.0]
    network = RewardNetwork(3, (8,))
    network.standardise(rows)
    seen = []
    network.layers[0].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    assert network(th.as_tensor(rows, dtype=th.float32)).shape == (50,)
    seen = seen[0].numpy()
    np.testing.assert_allclose(seen[:, :2].mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(seen[:, :2].std(axis=0), 1.0, atol=1e-4)
    np.testing.assert_allclose(seen[:, 2], 0.0, atol=1e-6)  # a constant says nothing, and is no NaN


def test_rounding_of_a_constant_is_no_variation():
    rows = np.full((10, 1), 0.1)
    rows[0] += 1e-16
    network = RewardNetwork(1)
    network.standardise(rows)
    assert network.deviation == 1.0


def test_the_standard_is_saved_with_the_network():
    network, other = RewardNetwork(2, ()), RewardNetwork(2, ())
    network.standardise(np.array([[1.0, 2.0], [3.0, 8.0]]))
    other.load_state_dict(network.state_dict())
    row = th.tensor([[2.0, -1.0]])
    assert other(row) == network(row)
    assert len(network.layers) == 1  # no hidden layer: linear
    with pytest.raises(ValueError, match="net_arch must be a whole number"):
        RewardNetwork(2, (4, 0))


@pytest.mark.parametrize("given", ["array", "sparse", None])
def test_a_table_is_what_the_network_gives_for_each_state(process, given):
    array = np.random.default_rng(1).normal(size=(5, 3))
    of = features_of(process, {"array": array, "sparse": sparse.csr_matrix(array), None: None}[given], "states")
    rows = np.eye(5) if given is None else array
    np.testing.assert_array_equal(inputs_of(of), rows)
    network = RewardNetwork(rows.shape[1], (4,))
    model = RewardModel(*SPACES, network, True, 0.9)
    expected = [network(th.as_tensor(row[None], dtype=th.float32)).item() for row in rows]
    np.testing.assert_allclose(model.tabulate(of), expected, rtol=1e-6)


def test_tables_of_actions_are_action_major(process):
    array = np.random.default_rng(1).normal(size=(5, 2, 1))
    model = RewardModel(*SPACES, nn.Linear(1, 1).double(), False, 0.9)
    table = model.tabulate(features_of(process, array, "actions"))
    weight, bias = (parameter.item() for parameter in model.learned.parameters())
    np.testing.assert_allclose(table, weight * array[:, :, 0].T + bias)


def test_what_is_left_out_in_training_counts_in_the_table(features):
    module = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 1))
    model = RewardModel(*SPACES, module, True, 0.9)
    module.train()
    first = model.tabulate(features)
    np.testing.assert_array_equal(model.tabulate(features), first)
    assert module.training
    assert int(module[1].num_batches_tracked) == 0


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(4, 1), "must take features of shape"),
        (nn.Linear(3, 2), r"the shape of the module's rewards must be \(5,\) or \(5, 1\)"),
    ],
)
def test_modules_that_are_no_reward_are_refused(features, module, message):
    with pytest.raises(ValueError, match=message):
        RewardModel(*SPACES, module, True, 0.9).tabulate(features)


def test_modules_without_anything_to_learn_are_refused():
    frozen = nn.Linear(3, 1).requires_grad_(False)
    for module in (nn.Identity(), frozen):
        with pytest.raises(ValueError, match="parameters that require gradients"):
            learned_module(module, True, 3, ())
    assert isinstance(learned_module("network", True, 3, ()), RewardNetwork)
    assert isinstance(learned_module("linear", False, 3, ()), LinearReward)


def test_too_many_states_to_tell_apart_one_by_one():
    n = 5000
    ways = (np.arange(n)[:, None, None] + 1) % n
    many = TabularMDP.from_successors(ways, np.ones((n, 1, 1)), np.zeros((n, 1)), gamma=0.9)
    with pytest.raises(ValueError, match="5000 states or actions apart one by one would be too large"):
        inputs_of(features_of(many, None, "states"))


@pytest.mark.parametrize("dtype", [th.float32, th.float64])
def test_the_gradient_of_planning_reaches_what_computed_the_rewards(dtype):
    target = np.array([1.0, -2.0, 0.5])

    def objective(rewards):
        assert rewards.dtype == np.float64
        return float(np.exp(rewards) @ target), np.exp(rewards) * target

    inputs = th.as_tensor(np.random.default_rng(0).normal(size=(3, 2)), dtype=dtype)
    weights = th.tensor([0.3, -0.2], dtype=dtype, requires_grad=True)

    def loss_at(point):
        return objective((inputs.double() @ th.as_tensor(point)).numpy())[0]

    loss = 3.0 * differentiable(objective, inputs @ weights)
    loss.backward()
    assert loss.dtype == dtype
    step = 1e-6
    point = weights.detach().double().numpy()
    differences = [(loss_at(point + step * way) - loss_at(point - step * way)) / (2 * step) for way in np.eye(2)]
    np.testing.assert_allclose(weights.grad, 3.0 * np.array(differences), rtol=1e-5)
    np.testing.assert_allclose(loss.item(), 3.0 * loss_at(point), rtol=1e-6)
