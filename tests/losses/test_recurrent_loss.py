"""The likelihood of recurrent policies, against one sequence at a time, step by step."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import kl_divergence

from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.distribution import action_distribution
from gym_ilrl.losses.imitation import imitation_loss

SPACES = [spaces.Discrete(4), spaces.Box(-2.0, 2.0, (2,), np.float32)]


@pytest.fixture(params=SPACES, ids=["Discrete", "Box"])
def space(request):
    return request.param


@pytest.fixture
def policy(make_policy, space):
    return make_policy(RecurrentActorCriticPolicy, space, lstm_hidden_size=6, n_lstm_layers=2)


def draw(space, n_sequences, length):
    space.seed(0)
    observations = th.randn(n_sequences, length, 5, generator=th.Generator().manual_seed(3))
    actions = th.as_tensor(np.array([[space.sample() for _ in range(length)] for _ in range(n_sequences)]))
    return observations, actions


def nll_step_by_step(policy, observations, actions, starts):
    """Return the loss of each step of one sequence, the memory reset by hand at its episode starts."""
    losses = []
    state = (th.zeros(2, 1, 6), th.zeros(2, 1, 6))
    for observation, action, start in zip(observations, actions, starts, strict=True):
        if start:
            state = (th.zeros(2, 1, 6), th.zeros(2, 1, 6))
        latent, state = policy.lstm_actor(observation[None, None], state)
        outputs = policy.action_net(policy.mlp_extractor.policy_net(latent[0]))[0]
        if isinstance(policy.action_space, spaces.Discrete):
            losses.append(-th.log_softmax(outputs, dim=0)[action])
        else:
            losses.append(-th.distributions.Normal(outputs, policy.log_std.exp()).log_prob(action).sum())
    return th.stack(losses)


def test_sequences_with_episodes_that_start_inside(policy, space):
    observations, actions = draw(space, 3, 6)
    starts = th.tensor([[1, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 1, 0]], dtype=th.bool)
    expected = th.stack([nll_step_by_step(policy, *row) for row in zip(observations, actions, starts, strict=True)])
    batch = ImitationBatch(
        observations.flatten(0, 1), actions.flatten(0, 1), episode_starts=starts.flatten(), n_sequences=3
    )
    assert imitation_loss(policy, batch).item() == pytest.approx(expected.mean().item(), rel=1e-5)
    without = imitation_loss(policy, batch._replace(episode_starts=None)).item()
    assert without != pytest.approx(expected.mean().item(), rel=1e-3)


def test_padding_counts_for_nothing(policy, space):
    lengths = [6, 2, 4]
    observations, actions = draw(space, 3, 6)
    starts = th.zeros(3, 6)
    starts[:, 0] = 1.0
    valid = th.arange(6) < th.tensor(lengths)[:, None]
    each = [nll_step_by_step(policy, observations[i, :n], actions[i, :n], starts[i, :n]) for i, n in enumerate(lengths)]
    expected = th.cat(each).mean().item()
    observations[~valid] = 100.0  # what is in the padding must not matter
    starts[~valid] = 1.0
    batch = ImitationBatch(
        observations.flatten(0, 1),
        actions.flatten(0, 1),
        episode_starts=starts.flatten(),
        valid=valid.flatten(),
        n_sequences=3,
    )
    assert imitation_loss(policy, batch).item() == pytest.approx(expected, rel=1e-5)
    weights = th.rand(3, 6, generator=th.Generator().manual_seed(0))
    weighted = th.cat([w[:n] * loss for w, n, loss in zip(weights, lengths, each, strict=True)]).sum()
    expected = (weighted / weights[valid].sum()).item()
    assert imitation_loss(policy, batch._replace(weights=weights.flatten())).item() == pytest.approx(expected, rel=1e-5)


def test_whole_sequences_run_in_one_call_of_the_lstm(policy, space):
    calls = []
    policy.lstm_actor.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0].shape[0]))
    observations, actions = draw(space, 2, 6)
    starts = th.zeros(2, 6)
    starts[:, 0] = 1.0
    valid = th.ones(2, 6, dtype=th.bool)
    starts[1, 5], valid[1, 5] = 1.0, False
    batch = ImitationBatch(observations.flatten(0, 1), actions.flatten(0, 1), n_sequences=2)
    imitation_loss(policy, batch._replace(episode_starts=starts.flatten(), valid=valid.flatten()))
    assert calls == [6]
    assert starts[:, 0].tolist() == [1.0, 1.0]  # the caller's are left as they were


def test_unequal_sequences_are_refused(policy, space):
    observations, actions = draw(space, 1, 7)
    with pytest.raises(ValueError, match="expected 3 sequences of equal length and was given 7 samples; pad"):
        imitation_loss(policy, ImitationBatch(observations[0], actions[0], n_sequences=3))


def test_distribution_of_a_batch_serves_divergences(policy, space):
    observations, actions = draw(space, 2, 4)
    batch = ImitationBatch(observations.flatten(0, 1), actions.flatten(0, 1), n_sequences=2)
    log_prob = action_distribution(policy, batch).log_prob(batch.actions)
    assert -log_prob.mean().item() == pytest.approx(imitation_loss(policy, batch).item(), rel=1e-5)
    first = action_distribution(policy, batch)
    assert kl_divergence(first, first).abs().max().item() == pytest.approx(0.0, abs=1e-6)


def test_policies_without_distribution_are_refused(observations):
    with pytest.raises(TypeError, match="Linear has no action distribution that is known; expected an actor-critic"):
        action_distribution(th.nn.Linear(1, 1), ImitationBatch(observations, observations))
