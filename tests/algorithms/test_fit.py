"""The fit against solutions in closed form."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from algorithm_helpers import AnySpaceEnv
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor

from gym_ilrl import BC, Demonstrations
from gym_ilrl.supervised.fit import Fit, balanced_weights, held_out_labels

LINEAR = {"net_arch": [], "features_extractor_class": FlattenExtractor}
RNG = np.random.default_rng(0)


def one_step_episodes(observations, actions, observation_space, action_space):
    """Return one episode a pair: no order is in them."""
    doubled = [np.stack([observation, observation]) for observation in observations]
    spaces_ = (observation_space, action_space)
    return Demonstrations.from_arrays(doubled, [np.array([action]) for action in actions], spaces_)


@pytest.fixture(scope="module")
def counted():
    """Three states, in which two actions were shown a known number of times."""
    counts = np.array([[30, 10], [5, 15], [12, 12]])
    states, actions = np.repeat(np.arange(6) // 2, counts.ravel()), np.repeat(np.arange(6) % 2, counts.ravel())
    return counts, one_step_episodes(states, actions, spaces.Discrete(3), spaces.Discrete(2))


def probabilities(model, states):
    with th.no_grad():
        return model.policy.get_distribution(th.as_tensor(states)).distribution.probs.numpy()


def test_tabular_policy_becomes_the_frequencies(counted):
    counts, demos = counted
    model = BC(demonstrations=demos, batch_size=84, learning_rate=0.05, policy_kwargs=LINEAR, seed=0).learn(600)
    frequencies = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(model, np.arange(3)), frequencies, atol=1e-3)


def test_balanced_classes_are_reweighted_frequencies(counted):
    counts, demos = counted
    options = {"class_weight": "balanced", "batch_size": 84, "learning_rate": 0.05, "policy_kwargs": LINEAR}
    model = BC(demonstrations=demos, seed=0, **options).learn(600)
    weighted = counts / counts.sum(axis=0)
    expected = weighted / weighted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(model, np.arange(3)), expected, atol=1e-3)


def test_weights_of_unseen_and_shifted_actions():
    weights = balanced_weights(th.tensor([5, 5, 5, 7]), spaces.Discrete(4, start=5))
    np.testing.assert_allclose(weights, [4 / (2 * 3), 0, 4 / (2 * 1), 0])


@pytest.fixture(scope="module")
def linear_expert():
    """Actions linear in the observation, with noise: (observations, actions, demonstrations)."""
    observations = RNG.normal(size=(400, 3)).astype(np.float32)
    noise = RNG.normal(size=(400, 2)) * [0.1, 0.4]
    actions = (observations @ [[0.5, -1.0], [0.2, 0.3], [-0.7, 0.1]] + [0.3, -0.2] + noise).astype(np.float32)
    box = spaces.Box(-9, 9, (3,), np.float32), spaces.Box(-9, 9, (2,), np.float32)
    return observations, actions, one_step_episodes(observations, actions, *box)


def least_squares(observations, actions, ridge=0.0):
    design = np.column_stack([observations, np.ones(len(observations))]).astype(np.float64)
    solution = np.linalg.solve(design.T @ design + ridge * np.eye(design.shape[1]), design.T @ actions)
    return solution, np.sqrt(np.mean((actions - design @ solution) ** 2, axis=0))


def weights_of(model):
    layer = model.policy.action_net
    return np.vstack([layer.weight.detach().numpy().T, layer.bias.detach().numpy()])


@pytest.mark.parametrize("log_std", ["fit", "residual"])
def test_gaussian_policy_is_least_squares(linear_expert, log_std):
    observations, actions, demos = linear_expert
    options = {"batch_size": 400, "learning_rate": lambda progress: 0.03 * progress, "policy_kwargs": LINEAR}
    model = BC(demonstrations=demos, log_std=log_std, log_std_bounds=(-5, 1), seed=0, **options).learn(1500)
    solution, deviation = least_squares(observations, actions)
    np.testing.assert_allclose(weights_of(model), solution, atol=5e-3)
    np.testing.assert_allclose(model.policy.log_std.detach().exp().numpy(), deviation, rtol=0.01)


def test_deviation_is_kept_within_its_bounds(linear_expert):
    _, _, demos = linear_expert
    for mode in ("clamp", "residual"):
        options = {"log_std": mode, "log_std_bounds": (-1.5, -1.2), "learning_rate": 0.03, "policy_kwargs": LINEAR}
        model = BC(demonstrations=demos, seed=0, batch_size=400, **options).learn(400)
        np.testing.assert_allclose(model.policy.log_std.detach().numpy(), [-1.5, -1.2], atol=1e-6)


def test_l2_is_ridge_regression(linear_expert):
    """Half the squared error over sigma = 1 plus l2/2 |theta|^2, averaged over n labels: ridge with n * l2."""
    observations, actions, demos = linear_expert
    options = {"log_std": "clamp", "log_std_bounds": (0.0, 0.0), "batch_size": 400, "policy_kwargs": LINEAR}
    rate = {"learning_rate": lambda progress: 0.03 * progress}
    model = BC(demonstrations=demos, l2_coef=0.5, seed=0, **options, **rate).learn(1500)
    solution, _ = least_squares(observations, actions, ridge=400 * 0.5)
    np.testing.assert_allclose(weights_of(model), solution, atol=5e-3)


def test_first_update_is_one_step_of_the_gradient(linear_expert):
    """With SGD: theta - lr * grad, the gradient of the Gaussian's negative log-likelihood written out by hand."""
    observations, actions, demos = linear_expert
    kwargs = {**LINEAR, "optimizer_class": th.optim.SGD}
    model = BC(demonstrations=demos, batch_size=400, learning_rate=0.1, policy_kwargs=kwargs, seed=0)
    before, design = weights_of(model), np.column_stack([observations, np.ones(400)])
    gradient = design.T @ (design @ before - actions) / 400  # sigma is 1
    model.learn(1)
    np.testing.assert_allclose(weights_of(model), before - 0.1 * gradient, atol=1e-5)


def test_gradient_is_clipped(linear_expert):
    _, _, demos = linear_expert
    kwargs = {**LINEAR, "optimizer_class": th.optim.SGD}
    model = BC(demonstrations=demos, learning_rate=1.0, max_grad_norm=0.01, policy_kwargs=kwargs)
    before = th.nn.utils.parameters_to_vector(model.policy.parameters()).clone()
    model.learn(1)
    moved = th.nn.utils.parameters_to_vector(model.policy.parameters()) - before
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_entropy_bonus_flattens_the_policy(counted):
    _, demos = counted
    options = {"batch_size": 84, "learning_rate": 0.05, "policy_kwargs": LINEAR, "seed": 0}
    peaks = [probabilities(BC(demonstrations=demos, ent_coef=c, **options).learn(300), [0]).max() for c in (0, 0.2, 2)]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[-1] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("fraction", "n", "expected"), [(0.5, 4, [1, 3]), (0.25, 8, [3, 7]), (0.1, 20, [9, 19])])
def test_whole_episodes_are_held_out(fraction, n, expected):
    lengths = RNG.integers(1, 6, size=n)
    starts = np.zeros(lengths.sum(), dtype=bool)
    starts[np.cumsum(lengths) - lengths] = True
    held_out = held_out_labels(th.as_tensor(starts), fraction).numpy()
    episode = np.repeat(np.arange(n), lengths)
    np.testing.assert_array_equal(held_out, np.isin(episode, expected))


def test_labels_held_out_are_never_trained_on():
    """Every second episode says the opposite in another state: the policy must not have heard of it."""
    observations, actions = np.tile([0, 1], 50), np.tile([0, 1], 50)
    demos = one_step_episodes(observations, actions, spaces.Discrete(2), spaces.Discrete(2))
    model = BC(demonstrations=demos, validation_fraction=0.5, learning_rate=0.1, policy_kwargs=LINEAR, seed=0)
    weights = model.policy.action_net.weight[:, 1].detach().clone()  # of the state that only held-out labels are in
    model.learn(50)
    assert th.equal(model.policy.action_net.weight[:, 1], weights)


def test_best_parameters_on_the_labels_held_out_are_kept():
    """The training labels contradict the validation ones: every epoch is worse, so the first one has to come back."""
    demos = one_step_episodes(np.zeros(40, dtype=int), np.tile([0, 1], 20), spaces.Discrete(2), spaces.Discrete(2))
    options = {"validation_fraction": 0.5, "batch_size": 20, "learning_rate": 0.05, "policy_kwargs": LINEAR}
    after_one_epoch = BC(demonstrations=demos, seed=0, **options).learn(1)
    model = BC(demonstrations=demos, seed=0, patience=4, **options).learn(1000)
    assert model.num_timesteps == 1 + 4
    assert th.equal(model.policy.action_net.weight, after_one_epoch.policy.action_net.weight)


def test_small_progress_counts_for_the_best_but_not_for_patience():
    """Adam moves a parameter by the learning rate an update while its gradient keeps its sign."""
    demos = one_step_episodes(np.zeros(40, dtype=int), np.zeros(40, dtype=int), spaces.Discrete(1), spaces.Discrete(2))
    slow = {"learning_rate": 1e-6, "batch_size": 20, "validation_fraction": 0.5, "policy_kwargs": LINEAR}
    model = BC(demonstrations=demos, patience=3, seed=0, **slow)
    before = model.policy.action_net.weight.detach().clone()
    model.learn(1000)
    assert model.num_timesteps == 4  # one epoch to compare with, three without progress worth the name
    moved = (model.policy.action_net.weight - before).abs()
    np.testing.assert_allclose(moved.detach().numpy(), 4e-6, rtol=0.05)  # and yet the last one was the best


def test_batch_larger_than_the_data_is_all_of_it(counted):
    _, demos = counted
    kwargs = {"policy_kwargs": LINEAR, "seed": 0, "learning_rate": 0.01}
    everything, more = (BC(demonstrations=demos, batch_size=size, **kwargs).learn(20) for size in (84, 10_000))
    th.testing.assert_close(everything.policy.action_net.weight, more.policy.action_net.weight)


def test_every_label_is_seen_once_an_epoch(linear_expert):
    _, _, demos = linear_expert
    model = BC(demonstrations=demos)
    fit = Fit(
        model.policy, model._labelled_demonstrations(), replace(model._fit_options(), batch_size=48), th.Generator()
    )
    seen = [fit._minibatches.draw().actions for _ in range(25)]
    assert {len(batch) for batch in seen} == {48}
    _, counts = np.unique(th.cat(seen).numpy(), axis=0, return_counts=True)
    np.testing.assert_array_equal(counts, 3)  # 25 * 48 = 3 * 400


def test_critic_is_left_alone(linear_expert):
    _, _, demos = linear_expert
    model = BC(demonstrations=demos, l2_coef=0.1)
    before = model.policy.value_net.weight.detach().clone()
    model.learn(20)
    assert th.equal(model.policy.value_net.weight, before)


def test_environment_is_not_stepped():
    env = AnySpaceEnv(spaces.Discrete(2), spaces.Discrete(2))
    demos = one_step_episodes([0, 1], [0, 1], env.observation_space, env.action_space)
    BC(env=gym.Wrapper(env), demonstrations=demos).learn(50)
    assert env.n_steps == 0
