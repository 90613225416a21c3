"""The likelihood of actor-critic policies, against formulas written out in numpy from the outputs of the network."""

import math

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, MultiInputActorCriticPolicy

from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.imitation import imitation_loss

BOX = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([4.0, 10.0], np.float32))


def network(policy, observations):
    """Return the last hidden layer and the outputs of the actor, multiplied out by hand."""
    state = {name: value.double().numpy() for name, value in policy.state_dict().items()}
    hidden = observations.double().numpy()
    hidden = np.tanh(hidden @ state["mlp_extractor.policy_net.0.weight"].T + state["mlp_extractor.policy_net.0.bias"])
    return hidden, hidden @ state["action_net.weight"].T + state["action_net.bias"]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def gaussian_log_density(x, mean, std):
    return (-((x - mean) ** 2) / (2 * std**2) - np.log(std) - 0.5 * math.log(2 * math.pi)).sum(axis=1)


def test_gaussian(make_policy, observations, sample):
    policy, actions = make_policy(ActorCriticPolicy, BOX), sample(BOX)
    _, mean = network(policy, observations)
    std = np.exp(policy.log_std.detach().double().numpy())
    nll = -gaussian_log_density(actions.double().numpy(), mean, std).mean()
    entropy = (0.5 * np.log(2 * math.pi * math.e * std**2)).sum()
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)
    assert imitation_loss(policy, batch, ent_coef=0.3).item() == pytest.approx(nll - 0.3 * entropy, rel=1e-5)


@pytest.mark.parametrize("full_std", [True, False])
@pytest.mark.parametrize("use_expln", [True, False])
def test_state_dependent_gaussian(make_policy, observations, sample, full_std, use_expln):
    policy = make_policy(ActorCriticPolicy, BOX, use_sde=True, full_std=full_std, use_expln=use_expln)
    actions = sample(BOX)
    hidden, mean = network(policy, observations)
    log_std = policy.log_std.detach().double().numpy()
    std = np.where(log_std > 0, np.log1p(np.maximum(log_std, 0)) + 1, np.exp(log_std)) if use_expln else np.exp(log_std)
    std_of_actions = np.sqrt(hidden**2 @ np.broadcast_to(std, (8, 2)) ** 2 + 1e-6)
    nll = -gaussian_log_density(actions.double().numpy(), mean, std_of_actions).mean()
    entropy = (0.5 * np.log(2 * math.pi * math.e * std_of_actions**2)).sum(axis=1).mean()
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-4)
    assert imitation_loss(policy, batch, ent_coef=0.3).item() == pytest.approx(nll - 0.3 * entropy, rel=1e-4)


def test_squashed_state_dependent_gaussian_bounds_actions_and_deviation(make_policy, observations, sample):
    policy, actions = make_policy(ActorCriticPolicy, BOX, use_sde=True, squash_output=True), sample(BOX)
    policy.log_std.data[:, 0] -= 6.0  # the first action's deviation is below the floor, the second's is not
    actions[0, 0] = 4.0  # at its bound
    hidden, mean = network(policy, observations)
    scaled = 2 * (actions.double().numpy() - [-2.0, 0.0]) / [6.0, 10.0] - 1
    bounded = np.clip(scaled, -0.999, 0.999)
    std = np.sqrt(hidden**2 @ np.exp(policy.log_std.detach().double().numpy()) ** 2 + 1e-6)
    assert (std[:, 0] < math.exp(-1)).all()
    assert (std[:, 1] > math.exp(-1)).all()
    log_density = gaussian_log_density(np.arctanh(bounded), mean, np.maximum(std, math.exp(-1)))
    nll = -(log_density - np.log(1 - bounded**2).sum(axis=1)).mean()
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-4)
    with pytest.raises(ValueError, match=r"no closed form.*set ent_coef=0"):
        imitation_loss(policy, batch, ent_coef=0.1)


@pytest.mark.parametrize("start", [0, -3, 5])
@pytest.mark.parametrize("as_column", [False, True])
def test_categorical(make_policy, observations, sample, start, as_column):
    space = spaces.Discrete(4, start=start)
    policy, actions = make_policy(ActorCriticPolicy, space), sample(space)
    probabilities = softmax(network(policy, observations)[1])
    nll = -np.log(probabilities[np.arange(7), actions.numpy() - start]).mean()
    entropy = -(probabilities * np.log(probabilities)).sum(axis=1).mean()
    batch = ImitationBatch(observations, actions[:, None] if as_column else actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)
    assert imitation_loss(policy, batch, ent_coef=0.3).item() == pytest.approx(nll - 0.3 * entropy, rel=1e-5)


def test_multi_categorical(make_policy, observations, sample):
    space = spaces.MultiDiscrete([2, 5, 3], start=[0, 4, -1])
    policy, actions = make_policy(ActorCriticPolicy, space), sample(space)
    outputs = network(policy, observations)[1]
    nll, entropy = 0.0, 0.0
    for column, (first, size, start) in enumerate([(0, 2, 0), (2, 5, 4), (7, 3, -1)]):
        probabilities = softmax(outputs[:, first : first + size])
        nll -= np.log(probabilities[np.arange(7), actions.numpy()[:, column] - start]).mean()
        entropy -= (probabilities * np.log(probabilities)).sum(axis=1).mean()
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)
    assert imitation_loss(policy, batch, ent_coef=0.3).item() == pytest.approx(nll - 0.3 * entropy, rel=1e-5)


def test_bernoulli(make_policy, observations, sample):
    space = spaces.MultiBinary(3)
    policy, actions = make_policy(ActorCriticPolicy, space), sample(space)
    assert actions.dtype == th.int8
    p, a = 1 / (1 + np.exp(-network(policy, observations)[1])), actions.numpy()
    nll = -(a * np.log(p) + (1 - a) * np.log(1 - p)).sum(axis=1).mean()
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(axis=1).mean()
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)
    assert imitation_loss(policy, batch, ent_coef=0.3).item() == pytest.approx(nll - 0.3 * entropy, rel=1e-5)


def test_box_of_two_dimensions_is_its_flattened_self(make_policy, observations, sample):
    space = spaces.Box(-1.0, 1.0, (2, 3), np.float64)
    actions = sample(space)
    batch = ImitationBatch(observations, actions)
    flat = ImitationBatch(observations, actions.reshape(7, 6).float())
    policy = make_policy(ActorCriticPolicy, space)
    _, mean = network(policy, observations)
    std = np.exp(policy.log_std.detach().double().numpy())
    nll = -gaussian_log_density(actions.reshape(7, 6).numpy(), mean, std).mean()
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)
    assert imitation_loss(policy, flat).item() == pytest.approx(nll, rel=1e-5)


def test_weights_and_padding_choose_the_samples(make_policy, observations, sample):
    policy, actions = make_policy(ActorCriticPolicy, BOX), sample(BOX)
    each = [imitation_loss(policy, ImitationBatch(observations[i, None], actions[i, None])).item() for i in range(7)]
    weights = th.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0])
    weighted = ImitationBatch(observations, actions, weights=weights)
    assert imitation_loss(policy, weighted).item() == pytest.approx(np.average(each, weights=weights), rel=1e-5)
    valid = th.tensor([True, True, False, True, False, True, True])
    padded = ImitationBatch(observations, actions, valid=valid)
    assert imitation_loss(policy, padded).item() == pytest.approx(np.mean(np.array(each)[valid]), rel=1e-5)
    both = np.average(each, weights=weights * valid)
    assert imitation_loss(policy, weighted._replace(valid=valid)).item() == pytest.approx(both, rel=1e-5)


def test_the_distribution_a_subclass_makes_of_its_outputs_is_the_one_that_counts(make_policy, observations, sample):
    class Hotter(ActorCriticPolicy):
        def get_distribution(self, obs):
            distribution = super().get_distribution(obs)
            return distribution.proba_distribution(distribution.distribution.logits / 10.0)

    space = spaces.Discrete(4)
    policy, actions = make_policy(Hotter, space), sample(space)
    probabilities = softmax(network(policy, observations)[1] / 10.0)
    nll = -np.log(probabilities[np.arange(7), actions.numpy()]).mean()
    assert imitation_loss(policy, ImitationBatch(observations, actions)).item() == pytest.approx(nll, rel=1e-5)


def test_dict_observations_and_their_own_extractor(make_policy, sample):
    inner = {"near": spaces.Box(-1, 1, (2,), np.float32), "which": spaces.Discrete(3)}
    policy = make_policy(
        MultiInputActorCriticPolicy, BOX, spaces.Dict(inner), share_features_extractor=False, net_arch=[]
    )
    near, which, actions = th.randn(7, 2), th.tensor([0, 1, 2, 2, 1, 0, 0]), sample(BOX)
    features = np.concatenate([near.numpy(), np.eye(3)[which]], axis=1)
    mean = features @ policy.action_net.weight.detach().numpy().T + policy.action_net.bias.detach().numpy()
    nll = -gaussian_log_density(actions.numpy(), mean, np.exp(policy.log_std.detach().numpy())).mean()
    batch = ImitationBatch({"near": near, "which": which[:, None]}, actions)
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)


@pytest.mark.parametrize(
    "space", [spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)], ids=lambda s: type(s).__name__
)
def test_masked_actions_have_no_probability(make_policy, observations, sample, space):
    policy, actions = make_policy(MaskableActorCriticPolicy, space), sample(space)
    sizes = {spaces.Discrete: [4], spaces.MultiDiscrete: [2, 3], spaces.MultiBinary: [2, 2]}[type(space)]
    columns = actions.numpy().reshape(7, -1)
    masks = np.random.default_rng(0).random((7, sum(sizes))) < 0.5
    first, nll, entropy = 0, 0.0, 0.0
    outputs = network(policy, observations)[1]
    for column, size in enumerate(sizes):
        chosen = columns[:, column]
        masks[np.arange(7), first + chosen] = True
        allowed = masks[:, first : first + size]
        weights = np.exp(outputs[:, first : first + size]) * allowed
        p = weights / weights.sum(axis=1, keepdims=True)
        nll -= np.log(p[np.arange(7), chosen]).mean()
        entropy -= (p * np.log(np.where(allowed, p, 1))).sum(axis=1).mean()
        first += size
    assert not masks.all()
    batch = ImitationBatch(observations, actions, action_masks=th.as_tensor(masks))
    assert imitation_loss(policy, batch).item() == pytest.approx(nll, rel=1e-5)
    assert imitation_loss(policy, batch, ent_coef=0.3).item() == pytest.approx(nll - 0.3 * entropy, rel=1e-5)

    forbidden = masks.copy()
    forbidden[3, columns[3, 0]] = False
    with pytest.raises(ValueError, match=r"1 of 7 demonstrated actions are forbidden by their own action masks"):
        imitation_loss(policy, batch._replace(action_masks=th.as_tensor(forbidden)))
    with pytest.raises(ValueError, match=r"MaskableActorCriticPolicy needs action masks.*infos\['action_masks'\]"):
        imitation_loss(policy, batch._replace(action_masks=None))
