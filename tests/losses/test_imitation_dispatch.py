"""One function for every policy: dispatch, options, and the encoding of actions."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.imitation import imitation_loss, loss_options

BOX = spaces.Box(-2.0, 4.0, (2,), np.float32)


def test_users_register_their_own_policy(make_policy, observations, sample):
    class MyPolicy(ActorCriticPolicy):
        pass

    policy, batch = make_policy(MyPolicy, BOX), ImitationBatch(observations, sample(BOX))
    assert loss_options(policy) == {"ent_coef"}
    assert imitation_loss(policy, batch).item() > 0.0

    @imitation_loss.register
    def my_loss(policy: MyPolicy, batch: ImitationBatch, scale: float = 1.0) -> th.Tensor:
        return -scale * batch.mean(th.ones(len(batch.actions)))

    assert imitation_loss(policy, batch, scale=3.0).item() == -3.0
    assert loss_options(policy) == {"scale"}


def test_unknown_policies_are_refused(observations):
    with pytest.raises(TypeError, match=r"no imitation loss is registered for Linear; .*@imitation_loss\.register"):
        imitation_loss(th.nn.Linear(1, 1), ImitationBatch(observations, observations))


def test_options_of_each_kind(make_policy):
    assert loss_options(make_policy(SACPolicy, BOX)) == {"mode"}
    assert loss_options(make_policy(TD3Policy, BOX)) == frozenset()
    assert loss_options(make_policy(DQNPolicy, spaces.Discrete(2))) == {"mode", "temperature", "margin"}


def test_images_go_through_the_features_extractor(make_policy):
    image = spaces.Box(0, 255, (1, 36, 36), np.uint8)
    policy = make_policy(ActorCriticCnnPolicy, spaces.Discrete(3), image, net_arch=[])
    observations = th.randint(0, 256, (4, 1, 36, 36), dtype=th.uint8)
    actions = th.tensor([0, 2, 1, 1])
    logits = policy.action_net(policy.features_extractor(observations.float() / 255.0))
    expected = -th.log_softmax(logits, dim=1)[range(4), actions].mean().item()
    assert imitation_loss(policy, ImitationBatch(observations, actions)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("space", "actions", "encoded"),
    [
        (spaces.Discrete(3), th.tensor([0, 2], dtype=th.int32), th.tensor([0, 2])),
        (spaces.Discrete(3), th.tensor([[0.0], [2.0]]), th.tensor([0, 2])),
        (spaces.Discrete(3, start=-1), th.tensor([[-1], [1]]), th.tensor([0, 2])),
        (spaces.MultiDiscrete([2, 3]), th.tensor([[1, 2]], dtype=th.int8), th.tensor([[1, 2]])),
        (spaces.MultiDiscrete([2, 3], start=[5, -1]), th.tensor([[5, 1]]), th.tensor([[0, 2]])),
        (spaces.MultiBinary(3), th.tensor([[1, 0, 1]], dtype=th.int8), th.tensor([[1.0, 0.0, 1.0]])),
        (BOX, th.tensor([[4.0, -1.0]], dtype=th.float64), th.tensor([[4.0, -1.0]])),
        (
            spaces.Box(-1, 1, (2, 2), np.float32),
            th.tensor([[[1.0, 2.0], [3.0, 4.0]]]),
            th.tensor([[1.0, 2.0, 3.0, 4.0]]),
        ),
    ],
)
def test_encoding(make_policy, space, actions, encoded):
    result = encode_actions(make_policy(ActorCriticPolicy, space), actions)
    assert result.dtype == encoded.dtype
    assert result.tolist() == encoded.tolist()


def test_encoding_scales_to_a_squashed_policy_as_sb3_does(make_policy):
    space = spaces.Box(np.array([[-2.0, 0.0], [1.0, -7.0]]), np.array([[4.0, 10.0], [2.0, 7.0]]), dtype=np.float64)
    policy = make_policy(SACPolicy, space)
    space.seed(0)
    actions = np.stack([space.low, space.high, *(space.sample() for _ in range(5))])
    encoded = encode_actions(policy, th.as_tensor(actions))
    np.testing.assert_allclose(encoded, policy.scale_action(actions).reshape(7, 4), rtol=1e-5, atol=1e-6)
    assert encoded[0].tolist() == [-1.0] * 4
    assert encoded[1].tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("space", "shape"),
    [(spaces.Discrete(3), (7, 2)), (BOX, (7, 1)), (BOX, (7,)), (spaces.MultiBinary(3), (7, 2)), (BOX, ())],
)
def test_actions_of_another_shape_are_refused(make_policy, space, shape):
    with pytest.raises(ValueError, match=r"expected actions of shape \(batch.*and was given"):
        encode_actions(make_policy(ActorCriticPolicy, space), th.zeros(shape))


@pytest.mark.parametrize(
    ("policy_class", "space", "options"),
    [
        (ActorCriticPolicy, BOX, {"ent_coef": 0.1}),
        (ActorCriticPolicy, spaces.MultiDiscrete([2, 3]), {}),
        (SACPolicy, BOX, {}),
        (TD3Policy, BOX, {}),
        (DQNPolicy, spaces.Discrete(3, start=1), {"mode": "margin"}),
    ],
)
def test_everything_stays_on_the_device_of_the_policy(make_policy, observations, sample, policy_class, space, options):
    policy = make_policy(policy_class, space).to("meta")  # mixing it with the CPU is an error, as with a GPU
    weights, valid = th.ones(7, device="meta"), th.ones(7, dtype=th.bool, device="meta")
    batch = ImitationBatch(observations.to("meta"), sample(space).to("meta"), weights=weights, valid=valid)
    loss = imitation_loss(policy, batch, **options)
    assert loss.device.type == "meta"
    assert loss.shape == ()
