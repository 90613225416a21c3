"""The estimator against the exact gradient, by enumerating every trajectory of a small process."""

import itertools
import math

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env

from gym_ilrl import REINFORCE
from gym_ilrl.algorithms.trajectories import Trajectories
from gym_ilrl.algorithms.weighted_demonstrations import Sample, WeightOptions, fused_credits, weighted_credits

REWARDS = np.array([[11.0, 8.0], [10.0, 13.0], [9.0, 14.5]])  # [state, action]; a large constant in them
HORIZON = 2
GAMMA = 0.7
PATHS = list(itertools.product([0, 1], repeat=HORIZON))


class TwoSteps(gym.Env):
    """State 0, then state 1 or 2 by the first action; over after the second."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = 0
        return 0, {}

    def step(self, action):
        reward, is_over = REWARDS[self.state, action], self.state > 0
        self.state = 1 + int(action)
        return self.state, float(reward), is_over, False, {}


def states_of(path):
    return [0, 1 + path[0]]


def rewards_of(path):
    return [REWARDS[state, action] for state, action in zip(states_of(path), path, strict=True)]


def build(n_envs=2, **kwargs):

    model = REINFORCE(
        "MlpPolicy",
        make_vec_env(TwoSteps, n_envs),
        learning_rate=0.0,
        n_steps=HORIZON,
        max_grad_norm=1e9,
        policy_kwargs={"net_arch": []},
        seed=0,
        **kwargs,
    )
    th.manual_seed(1)
    for parameter in model.policy.parameters():
        th.nn.init.normal_(parameter, std=0.7)
    model._setup_learn(1)
    return model


def actor(model):
    return list(model.policy.action_net.parameters())


def log_probs(policy, path):
    distribution = policy.get_distribution(th.tensor(states_of(path)))
    return distribution.log_prob(th.tensor(path))


def exact_gradient(model, gamma):
    """d/d theta of sum over paths of p(path) R(path)."""
    returns = [sum(gamma**t * r for t, r in enumerate(rewards_of(path))) for path in PATHS]
    value = sum(log_probs(model.policy, p).sum().exp() * g for p, g in zip(PATHS, returns, strict=True))
    return flat(th.autograd.grad(value, actor(model)))


def flat(tensors):
    return th.cat([tensor.flatten() for tensor in tensors])


def fill(model, paths):
    """What ``collect_rollouts`` would leave if each environment went its path."""
    buffer, n_envs = model.rollout_buffer, len(paths)
    buffer.reset()
    with th.no_grad():
        for t in range(HORIZON):
            states = np.array([states_of(path)[t] for path in paths])
            values = model.policy.predict_values(th.as_tensor(states)).flatten()
            values = values if model.baseline == "value" else th.zeros(n_envs)
            actions = np.array([[path[t]] for path in paths])
            rewards = np.array([rewards_of(path)[t] for path in paths])
            buffer.add(states, actions, rewards, np.full(n_envs, t == 0), values, th.zeros(n_envs))
    buffer.compute_returns_and_advantage(th.zeros(n_envs), np.ones(n_envs, dtype=bool))


def gradients(model):
    """Every pair of paths: its probability, and the ascent direction that train() computes, times the horizon."""
    for paths in itertools.product(PATHS, repeat=2):
        fill(model, paths)
        model.train()
        probability = math.exp(sum(log_probs(model.policy, path).sum().item() for path in paths))
        yield probability, -HORIZON * flat([parameter.grad for parameter in actor(model)])


def moments(model):
    pairs = list(gradients(model))
    assert sum(probability for probability, _ in pairs) == pytest.approx(1)
    mean = sum(probability * gradient for probability, gradient in pairs)
    variance = sum(probability * float((gradient - mean).square().sum()) for probability, gradient in pairs)
    return mean, variance


@pytest.mark.parametrize("baseline", ["none", "mean", "value", "optimal"])
@pytest.mark.parametrize(
    ("gamma", "options"),
    [(1.0, {}), (GAMMA, {"discount_from_start": True}), (1.0, {"causal": False}), (GAMMA, {"causal": False})],
    ids=["undiscounted", "discounted", "whole returns", "whole discounted returns"],
)
def test_unbiased(baseline, gamma, options):
    model = build(baseline=baseline, gamma=gamma, **options)
    mean, _ = moments(model)
    assert th.allclose(mean, exact_gradient(model, gamma), atol=1e-4)


def test_without_the_first_discount_every_time_counts_the_same():
    """sum_t grad log pi G_t, in expectation; not the gradient of the discounted return."""
    model = build(baseline="none", gamma=GAMMA)
    expected = 0
    for path in PATHS:
        log_prob = log_probs(model.policy, path)
        rewards = rewards_of(path)
        credit = th.tensor([rewards[0] + GAMMA * rewards[1], rewards[1]])
        gradient = flat(th.autograd.grad((credit * log_prob).sum(), actor(model)))
        expected = expected + log_prob.sum().exp().item() * gradient
    mean, _ = moments(model)
    assert th.allclose(mean, expected, atol=1e-4)
    assert not th.allclose(mean, exact_gradient(model, GAMMA), atol=1e-2)


def test_variance_falls():
    variance = {name: moments(build(baseline=name, gamma=1.0))[1] for name in ("none", "mean", "optimal")}
    variance["whole"] = moments(build(baseline="none", gamma=1.0, causal=False))[1]
    model = build(baseline="value", gamma=1.0)
    with th.no_grad():  # a critic that knows: V of each state under the policy
        pi = model.policy.get_distribution(th.arange(3)).distribution.probs.numpy()
        last = (pi * REWARDS).sum(axis=1)
        first = (pi[0] * (REWARDS[0] + last[1:])).sum()
        model.policy.value_net.weight.copy_(th.tensor([[first, last[1], last[2]]]))
        model.policy.value_net.bias.zero_()
    variance["value"] = moments(model)[1]
    assert variance["none"] < variance["whole"]
    assert variance["mean"] < 0.2 * variance["none"]  # a constant of 10 is most of the rewards
    assert variance["optimal"] < variance["none"]
    assert variance["value"] < 0.02 * variance["none"]


# ---------------------------------------------------------------- importance weights

Q = th.tensor([[0.3, 0.7], [0.6, 0.4], [0.25, 0.75]]).log()  # the demonstrator's log-likelihood, [state, action]


def log_q(path):
    return Q[states_of(path), list(path)]


def sample(policy, path, gamma, baseline):
    rewards = rewards_of(path)
    returns = th.tensor([rewards[0] + gamma * rewards[1], rewards[1]], dtype=th.float32)
    trajectories = Trajectories(th.tensor([0, HORIZON]), th.tensor([0]))
    return Sample(trajectories, log_probs(policy, path), log_q(path), returns, th.full((HORIZON,), baseline))


def plain_options(gamma, weigh_future):
    return WeightOptions(clip=None, self_normalize=False, weigh_future=weigh_future, gamma=gamma)


def discounts(gamma):
    return gamma ** th.arange(HORIZON).float()


@pytest.mark.parametrize("gamma", [1.0, GAMMA])
@pytest.mark.parametrize("baseline", [0.0, 12.0])
def test_importance_weighted_gradient_is_exact_when_the_proposal_is_known(gamma, baseline):
    model = build()
    options, mean = plain_options(gamma, weigh_future=True), 0
    for path in PATHS:
        drawn = sample(model.policy, path, gamma, baseline)
        credits, _ = weighted_credits(drawn, options)
        gradient = flat(th.autograd.grad(drawn.objective(credits, discounts(gamma)), actor(model)))
        mean = mean + float(log_q(path).sum().exp()) * gradient
    assert th.allclose(mean, exact_gradient(model, gamma), atol=1e-4)


def test_prefix_weights_value_the_actions_as_the_demonstrator_goes_on():
    """sum_t E_prefix~pi[grad log pi Q^q]: the demonstrator's rewards to go."""
    model = build()
    options, mean = plain_options(1.0, weigh_future=False), 0
    for path in PATHS:
        drawn = sample(model.policy, path, 1.0, 0.0)
        credits, _ = weighted_credits(drawn, options)
        gradient = flat(th.autograd.grad(drawn.objective(credits, discounts(1.0)), actor(model)))
        mean = mean + float(log_q(path).sum().exp()) * gradient
    all_states = model.policy.get_distribution(th.arange(3)).distribution
    log_pi, pi = all_states.logits, all_states.probs.detach()
    q_values = th.tensor(REWARDS, dtype=th.float32)
    afterwards = (Q.exp() * q_values).sum(dim=1)  # the demonstrator acts on
    at_start = q_values[0] + afterwards[1:]
    objective = (pi[0] * log_pi[0] * at_start).sum()
    objective = objective + (pi[0][:, None] * pi[1:] * log_pi[1:] * q_values[1:]).sum()
    assert th.allclose(mean, flat(th.autograd.grad(objective, actor(model))), atol=1e-4)


def test_fused_estimate_is_exact_too_and_bounds_the_weights():
    model = build()
    options, mean = plain_options(1.0, weigh_future=True), 0
    for demonstrated, own in itertools.product(PATHS, repeat=2):
        first, second = (sample(model.policy, path, 1.0, 3.0) for path in (demonstrated, own))
        credits, own_credits, log_weights = fused_credits(first, second, options)
        objective = 0.5 * (first.objective(credits, discounts(1.0)) + second.objective(own_credits, discounts(1.0)))
        probability = (log_q(demonstrated).sum() + second.log_prob.sum()).exp().item()
        mean = mean + probability * flat(th.autograd.grad(objective, actor(model)))
        assert float(log_weights.exp().max()) <= 2
    assert th.allclose(mean, exact_gradient(model, 1.0), atol=1e-4)
