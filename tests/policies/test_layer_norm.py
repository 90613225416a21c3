"""SAC with an ensemble of LayerNorm critics, against ten separate networks and against SAC's own losses."""

import copy

import numpy as np
import pytest
import torch as th
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.envs import IdentityEnvBox
from stable_baselines3.common.evaluation import evaluate_policy
from torch import nn

from gym_ilrl.losses import ImitationBatch, actor_parameters
from gym_ilrl.losses.imitation import imitation_loss
from gym_ilrl.policies import LayerNormCnnPolicy, LayerNormMultiInputPolicy, LayerNormSACPolicy
from gym_ilrl.policies.stacked import StackedMlp

th.set_num_threads(1)

OBSERVATIONS, ACTIONS = spaces.Box(-1.0, 1.0, (3,), np.float32), spaces.Box(-2.0, 2.0, (2,), np.float32)


def make_policy(**kwargs):
    th.manual_seed(0)
    policy = LayerNormSACPolicy(OBSERVATIONS, ACTIONS, lambda _: 1e-3, net_arch=[8, 6], **kwargs)
    for network in (policy.critic, policy.critic_target):
        randomise(network)
    return policy


def randomise(network):
    for parameter in network.parameters():
        parameter.data.copy_(0.5 * th.randn(parameter.shape))


def separate_networks(stacked: StackedMlp) -> list[nn.Sequential]:
    """Ordinary torch networks with the same weights."""
    networks = []
    for k in range(len(stacked.weights[0])):
        layers = []
        for weight, bias in zip(stacked.weights, stacked.biases, strict=True):
            linear = nn.Linear(*weight.shape[1:])
            linear.weight.data, linear.bias.data = weight.data[k].T.clone(), bias.data[k, 0].clone()
            layers.append(linear)
            if len(layers) < 3 * len(stacked.norm_weights):
                norm = nn.LayerNorm(weight.shape[2])
                depth = len(layers) // 3
                norm.weight.data = stacked.norm_weights[depth].data[k, 0].clone()
                norm.bias.data = stacked.norm_biases[depth].data[k, 0].clone()
                layers += [norm, nn.ReLU()]
        networks.append(nn.Sequential(*layers))
    return networks


@pytest.fixture
def batch():
    generator = th.Generator().manual_seed(1)
    return th.randn(7, 3, generator=generator), 2 * th.rand(7, 2, generator=generator) - 1


def test_ensemble_equals_separate_networks(batch):
    critic = make_policy(n_critics=4).critic
    networks = separate_networks(critic.ensemble)
    assert [type(layer) for layer in networks[0]] == 2 * [nn.Linear, nn.LayerNorm, nn.ReLU] + [nn.Linear]
    values = critic(*batch)
    assert len(values) == 4
    for value, network in zip(values, networks, strict=True):
        th.testing.assert_close(value, network(th.cat(batch, dim=1)), rtol=1e-5, atol=1e-6)
    th.testing.assert_close(critic.q1_forward(*batch), values[0])


def test_gradients_equal_those_of_separate_networks(batch):
    critic = make_policy(n_critics=4).critic
    networks = separate_networks(critic.ensemble)
    target = th.randn(7, 1)
    sum(F.mse_loss(value, target) for value in critic(*batch)).backward()
    sum(F.mse_loss(network(th.cat(batch, dim=1)), target) for network in networks).backward()
    stacked = critic.ensemble
    for k, network in enumerate(networks):
        linears = [layer for layer in network if isinstance(layer, nn.Linear)]
        norms = [layer for layer in network if isinstance(layer, nn.LayerNorm)]
        for depth, linear in enumerate(linears):
            th.testing.assert_close(stacked.weights[depth].grad[k], linear.weight.grad.T, rtol=1e-4, atol=1e-6)
            th.testing.assert_close(stacked.biases[depth].grad[k, 0], linear.bias.grad, rtol=1e-4, atol=1e-6)
        for depth, norm in enumerate(norms):
            th.testing.assert_close(stacked.norm_weights[depth].grad[k, 0], norm.weight.grad, rtol=1e-4, atol=1e-6)
            th.testing.assert_close(stacked.norm_biases[depth].grad[k, 0], norm.bias.grad, rtol=1e-4, atol=1e-6)


def test_batched_and_one_by_one_agree(batch):
    """What a GPU computes in one product, and a CPU network by network."""
    stacked = make_policy(n_critics=4).critic.ensemble
    inputs = th.cat(batch, dim=1)
    stacks = [*stacked.weights, *stacked.biases, *stacked.norm_weights, *stacked.norm_biases]
    th.testing.assert_close(stacked._evaluate(inputs, stacks), stacked(inputs), rtol=1e-5, atol=1e-6)


def test_critics_begin_different_and_as_sb3_initialises_them():
    th.manual_seed(0)
    stacked = StackedMlp(2, 400, [300], nn.ReLU)
    weight = stacked.weights[0].data
    assert not th.equal(weight[0], weight[1])
    like = nn.Linear(400, 300).weight.data
    assert weight.std().item() == pytest.approx(like.std().item(), rel=0.02)
    assert weight.abs().max().item() == pytest.approx(like.abs().max().item(), rel=0.01)


def test_target_is_two_members_drawn_at_random(batch):
    policy = make_policy(n_critics=5, n_target_critics=2)
    every = th.stack([network(th.cat(batch, dim=1)) for network in separate_networks(policy.critic_target.ensemble)])
    pairs = set()
    for _ in range(60):
        drawn = policy.critic_target(*batch)
        assert len(drawn) == 2
        members = [int((every - value).abs().flatten(1).amax(dim=1).argmin()) for value in drawn]
        for value, member in zip(drawn, members, strict=True):
            th.testing.assert_close(value, every[member], rtol=1e-5, atol=1e-6)
        pairs.add(frozenset(members))
    assert len(pairs) == 10  # all of the 5 choose 2, and never one member twice
    assert all(len(pair) == 2 for pair in pairs)


def test_the_draw_follows_the_seed(batch):
    policy = make_policy(n_critics=5)
    th.manual_seed(3)
    first = [policy.critic_target(*batch) for _ in range(5)]
    th.manual_seed(3)
    again = [policy.critic_target(*batch) for _ in range(5)]
    assert all(th.equal(th.cat(left), th.cat(right)) for left, right in zip(first, again, strict=True))


@pytest.mark.parametrize("actor_value", ["mean", "min"])
def test_what_the_actor_climbs(batch, actor_value):
    """SAC's expression gives its actor the mean of the members, and its critic all of them."""
    policy = make_policy(n_critics=4, actor_value=actor_value)
    every = th.cat([network(th.cat(batch, dim=1)) for network in separate_networks(policy.critic.ensemble)], dim=1)
    observations, actions = batch
    climbed = th.cat(policy.critic(observations, actions.requires_grad_()), dim=1).min(dim=1).values
    expected = every.mean(dim=1) if actor_value == "mean" else every.amin(dim=1)
    th.testing.assert_close(climbed, expected, rtol=1e-5, atol=1e-6)
    assert len(policy.critic(observations, actions.detach())) == 4


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n_critics": 2, "n_target_critics": 3}, "n_target_critics must be at most n_critics=2, not 3"),
        ({"n_critics": 0}, "n_critics must be a whole number"),
        ({"n_target_critics": 1.5}, "n_target_critics must be a whole number"),
        ({"actor_value": "max"}, "actor_value must be 'mean' or 'min', not 'max'"),
    ],
)
def test_bad_options_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_policy(**kwargs)


def make_model(policy=LayerNormSACPolicy, env="Pendulum-v1", **kwargs):
    policy_kwargs = {"net_arch": [16], "n_critics": 3, **kwargs.pop("policy_kwargs", {})}
    return SAC(
        policy, env, policy_kwargs=policy_kwargs, learning_starts=20, batch_size=16, seed=0, device="cpu", **kwargs
    )


def test_sac_learns():
    model = SAC(
        LayerNormSACPolicy,
        IdentityEnvBox(eps=0.5),
        policy_kwargs={"net_arch": [32], "n_critics": 4},
        learning_rate=3e-3,
        learning_starts=100,
        gamma=0.5,
        seed=0,
    )
    model.learn(800)
    mean, _ = evaluate_policy(model, model.get_env(), n_eval_episodes=5, warn=False)
    assert mean > 80.0  # of 100; uniform actions get 44, always the middle 50


def test_training_moves_the_target_towards_the_critic():
    model = make_model(tau=1.0).learn(22)
    for online, target in zip(model.critic.parameters(), model.critic_target.parameters(), strict=True):
        assert th.equal(online, target)


def test_same_seed_same_run():
    first, second = (make_model().learn(40) for _ in range(2))
    for left, right in zip(first.policy.parameters(), second.policy.parameters(), strict=True):
        assert th.equal(left, right)


def test_save_and_load_give_the_same_predictions_values_and_target(tmp_path, batch):
    model = make_model(policy_kwargs={"n_target_critics": 1, "actor_value": "min"}).learn(30)
    model.save(tmp_path / "model")
    loaded = SAC.load(tmp_path / "model", env=model.get_env(), device="cpu")
    observations = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        model.predict(observations, deterministic=True)[0], loaded.predict(observations, deterministic=True)[0]
    )
    values = (batch[0], batch[1][:, :1])
    assert th.equal(th.cat(model.critic(*values)), th.cat(loaded.critic(*values)))
    assert len(loaded.critic_target(*values)) == 1
    assert not loaded.critic.mean_for_actor
    loaded.learn(30, reset_num_timesteps=False)


def test_constructor_parameters_remake_the_policy():
    policy = make_policy(n_critics=4, n_target_critics=3, actor_value="min")
    again = LayerNormSACPolicy(**policy._get_constructor_parameters())
    again.load_state_dict(policy.state_dict())
    assert (again.critic_target.n_drawn, again.critic.mean_for_actor, again.critic.n_critics) == (3, False, 4)
    assert copy.deepcopy(policy).critic_target.n_drawn == 3


@pytest.mark.parametrize("share", [False, True])
def test_images(share):
    space = spaces.Box(0, 255, (3, 36, 36), np.uint8)
    policy = LayerNormCnnPolicy(
        space, ACTIONS, lambda _: 1e-3, net_arch=[8], n_critics=3, share_features_extractor=share
    )
    images = th.as_tensor(np.stack([space.sample() for _ in range(2)]))
    values = policy.critic(images, th.zeros(2, 2))
    assert [tuple(value.shape) for value in values] == 3 * [(2, 1)]
    sum(value.sum() for value in values).backward()
    extractor = next(policy.critic.features_extractor.parameters())
    assert (extractor.grad is None) == share  # a shared one is trained by the actor's loss alone, as in SB3
    with th.no_grad():
        assert not policy.critic(images, th.zeros(2, 2))[0].requires_grad


def test_dictionaries():
    space = spaces.Dict({"a": OBSERVATIONS, "b": OBSERVATIONS})
    policy = LayerNormMultiInputPolicy(space, ACTIONS, lambda _: 1e-3, net_arch=[8], n_critics=3)
    observations = {key: th.zeros(2, 3) for key in "ab"}
    assert len(policy.critic(observations, th.zeros(2, 2))) == 3


def test_imitation_loss_reaches_the_actor_alone(batch):
    policy = make_policy()
    imitation_loss(policy, ImitationBatch(batch[0], batch[1])).backward()
    assert all(parameter.grad is None for parameter in policy.critic.parameters())
    assert any(parameter.grad is not None for parameter in actor_parameters(policy))
