"""The losses of DQN and QR-DQN, against loops over samples and actions."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.dqn.policies import DQNPolicy

from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.imitation import imitation_loss

SPACE = spaces.Discrete(4)


@pytest.fixture(params=[DQNPolicy, QRDQNPolicy], ids=lambda policy_class: policy_class.__name__)
def policy(request, make_policy):
    kwargs = {"n_quantiles": 5} if request.param is QRDQNPolicy else {}
    return make_policy(request.param, SPACE, **kwargs)


def q_values(policy, observations):
    if isinstance(policy, DQNPolicy):
        return policy.q_net.q_net(observations).detach().numpy()
    raw = policy.quantile_net.quantile_net(observations).detach().numpy()  # quantile-major: 5 rows of 4 actions
    return np.stack([raw[:, action::4].mean(axis=1) for action in range(4)], axis=1)


def test_q_values_are_those_the_policy_acts_on(policy, observations):
    greedy, _ = policy.predict(observations.numpy(), deterministic=True)
    np.testing.assert_array_equal(q_values(policy, observations).argmax(axis=1), greedy)


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_cross_entropy(policy, observations, sample, temperature):
    actions, q = sample(SPACE), q_values(policy, observations)
    weights = np.exp(q / temperature)
    expected = np.mean([-np.log(weights[i, a] / weights[i].sum()) for i, a in enumerate(actions)])
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch, temperature=temperature).item() == pytest.approx(expected, rel=1e-4)
    if temperature == 1.0:
        assert imitation_loss(policy, batch).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("margin", [0.8, 3.0])
def test_large_margin(policy, observations, sample, margin):
    actions, q = sample(SPACE), q_values(policy, observations)
    expected = np.mean(
        [max(q[i, b] + (0.0 if b == a else margin) for b in range(4)) - q[i, a] for i, a in enumerate(actions)]
    )
    batch = ImitationBatch(observations, actions[:, None])
    assert imitation_loss(policy, batch, mode="margin", margin=margin).item() == pytest.approx(expected, rel=1e-4)
    if margin == 0.8:
        assert imitation_loss(policy, batch, mode="margin").item() == pytest.approx(expected, rel=1e-4)


def test_large_margin_is_satisfied_by_a_clear_winner(policy, observations):
    actions = th.as_tensor(q_values(policy, observations).argmax(axis=1))
    q = np.sort(q_values(policy, observations), axis=1)
    gap = float((q[:, -1] - q[:, -2]).min())
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch, mode="margin", margin=0.99 * gap).item() == pytest.approx(0.0, abs=1e-6)
    assert imitation_loss(policy, batch, mode="margin", margin=1.5 * gap).item() > 1e-6


@pytest.mark.parametrize("mode", ["cross_entropy", "margin"])
def test_weighted_mean(policy, observations, sample, mode):
    actions, weights = sample(SPACE), th.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0])
    each = [
        imitation_loss(policy, ImitationBatch(observations[i, None], actions[i, None]), mode=mode).item()
        for i in range(7)
    ]
    weighted = imitation_loss(policy, ImitationBatch(observations, actions, weights=weights), mode=mode).item()
    assert weighted == pytest.approx(np.average(each, weights=weights), rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "mse"}, "mode='mse' is no imitation loss of .*; use 'cross_entropy' or 'margin'"),
        ({"temperature": 0.0}, "temperature=0.0 is not positive"),
        ({"margin": -0.8}, "margin=-0.8 is not positive"),
        ({"temperature": float("nan")}, "temperature=nan is not positive"),
    ],
)
def test_bad_options_are_refused(policy, observations, sample, options, message):
    with pytest.raises(ValueError, match=message):
        imitation_loss(policy, ImitationBatch(observations, sample(SPACE)), **options)
