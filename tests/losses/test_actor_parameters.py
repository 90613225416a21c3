"""Which parameters imitation trains, held against what autograd reaches."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.ars.policies import ARSPolicy
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from gym_ilrl.losses.actor import actor_optimizer, actor_parameters, unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.compat import CROSSQ_POLICIES
from gym_ilrl.losses.imitation import imitation_loss

BOX, DISCRETE = spaces.Box(-2.0, 4.0, (2,), np.float32), spaces.Discrete(3)


class Extractor(BaseFeaturesExtractor):
    """A features extractor that has parameters to share."""

    def __init__(self, observation_space):
        super().__init__(observation_space, features_dim=6)
        self.layer = th.nn.Linear(5, 6)

    def forward(self, observations):
        return th.tanh(self.layer(observations))


LIKELIHOOD = {"mode": "likelihood"}
RECURRENT = {"lstm_hidden_size": 4}
CASES = [
    (ActorCriticPolicy, BOX, {}, {"ent_coef": 0.1}),
    (ActorCriticPolicy, DISCRETE, {"share_features_extractor": False}, {}),
    (ActorCriticPolicy, spaces.MultiDiscrete([2, 3]), {}, {"ent_coef": 0.1}),
    (ActorCriticPolicy, spaces.MultiBinary(2), {}, {}),
    (ActorCriticPolicy, BOX, {"use_sde": True}, {}),
    (ActorCriticPolicy, BOX, {"use_sde": True, "squash_output": True}, {}),
    (ActorCriticPolicy, BOX, {"net_arch": []}, {}),
    (MaskableActorCriticPolicy, DISCRETE, {}, {}),
    (MaskableActorCriticPolicy, DISCRETE, {"share_features_extractor": False}, {}),
    (RecurrentActorCriticPolicy, BOX, RECURRENT, {}),
    (RecurrentActorCriticPolicy, BOX, {**RECURRENT, "share_features_extractor": False}, {}),
    (RecurrentActorCriticPolicy, BOX, {**RECURRENT, "shared_lstm": True, "enable_critic_lstm": False}, {}),
    (RecurrentActorCriticPolicy, BOX, {**RECURRENT, "enable_critic_lstm": False}, {}),
    *[(policy_class, BOX, {}, LIKELIHOOD) for policy_class in (SACPolicy, TQCPolicy, *CROSSQ_POLICIES)],
    (SACPolicy, BOX, {"share_features_extractor": True}, LIKELIHOOD),
    (SACPolicy, BOX, {"use_sde": True}, LIKELIHOOD),
    (TD3Policy, BOX, {}, {}),
    (TD3Policy, BOX, {"share_features_extractor": True}, {}),
    (DQNPolicy, DISCRETE, {}, {}),
    (QRDQNPolicy, DISCRETE, {"n_quantiles": 4}, {"mode": "margin"}),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].__name__}-{type(case[1]).__name__}-{'-'.join(case[2])}")
def case(request, make_policy, observations, sample):
    policy_class, space, kwargs, options = request.param
    policy = make_policy(policy_class, space, features_extractor_class=Extractor, **kwargs)
    if isinstance(policy, (SACPolicy, TQCPolicy)) and not kwargs:
        policy.actor.log_std.bias.data.zero_()  # above its floor, where it receives a gradient
    masks = th.ones(7, 3, dtype=th.bool)
    return policy, ImitationBatch(observations, sample(space), action_masks=masks), options


def names(policy, parameters):
    name_of = {id(parameter): name for name, parameter in policy.named_parameters(remove_duplicate=False)}
    return {name_of[id(parameter)] for parameter in parameters}


def test_gradient_reaches_the_actor_and_nothing_else(case):
    policy, batch, options = case
    everything = list(policy.parameters())
    loss = imitation_loss(policy, batch, **options)
    gradients = th.autograd.grad(loss, everything, allow_unused=True)
    reached = [p for p, gradient in zip(everything, gradients, strict=True) if gradient is not None]
    assert names(policy, actor_parameters(policy)) == names(policy, reached)
    assert len(actor_parameters(policy)) == len({id(p) for p in actor_parameters(policy)})


def test_the_optimizer_holds_every_parameter_of_the_actor(case):
    policy, _, _ = case
    held = {id(p) for group in actor_optimizer(policy).param_groups for p in group["params"]}
    assert {id(p) for p in actor_parameters(policy)} <= held


def test_gradient_is_the_slope_of_the_loss(case):
    policy, batch, options = case
    policy.set_training_mode(False)
    parameters = actor_parameters(policy)
    if getattr(policy, "use_sde", False):  # PPO's gSDE stops the gradient from its deviation to the features
        parameters = [*policy.action_net.parameters(), policy.log_std]
    gradients = th.autograd.grad(imitation_loss(policy, batch, **options), parameters)
    generator = th.Generator().manual_seed(5)
    direction = [th.randn(p.shape, generator=generator) for p in parameters]
    length = th.cat([d.flatten() for d in direction]).norm()
    direction = [d / length for d in direction]
    slope = sum((g * d).sum().item() for g, d in zip(gradients, direction, strict=True))

    def moved(step):
        with th.no_grad():
            for parameter, change in zip(parameters, direction, strict=True):
                parameter += step * change
            loss = imitation_loss(policy, batch, **options).item()
            for parameter, change in zip(parameters, direction, strict=True):
                parameter -= step * change
        return loss

    assert (moved(5e-3) - moved(-5e-3)) / 1e-2 == pytest.approx(slope, rel=2e-2, abs=2e-3)


def test_frozen_parameters_are_left_out(make_policy):
    policy = make_policy(ActorCriticPolicy, BOX)
    policy.log_std.requires_grad_(False)
    assert names(policy, actor_parameters(policy)) == {
        "mlp_extractor.policy_net.0.weight",
        "mlp_extractor.policy_net.0.bias",
        "action_net.weight",
        "action_net.bias",
    }


def test_compiled_policies_are_unwrapped(make_policy, observations, sample):
    policy, actions = make_policy(SACPolicy, BOX), sample(BOX)
    compiled = th.compile(policy, backend="eager")
    assert unwrap(compiled) is policy
    assert unwrap(policy) is policy
    assert actor_optimizer(compiled) is policy.actor.optimizer
    assert names(policy, actor_parameters(compiled)) == names(policy, policy.actor.parameters())
    batch = ImitationBatch(observations, actions)
    assert imitation_loss(compiled, batch).item() == imitation_loss(policy, batch).item()


@pytest.mark.parametrize("function", [actor_parameters, actor_optimizer, imitation_loss])
def test_ars_is_refused(observations, sample, function):
    policy = ARSPolicy(spaces.Box(-1.0, 1.0, (5,), np.float32), BOX, net_arch=[4])
    batch = (ImitationBatch(observations, sample(BOX)),) if function is imitation_loss else ()
    with pytest.raises(TypeError, match=r"ARSPolicy cannot imitate by gradient: ARS .* neither optimizer nor gradient"):
        function(policy, *batch)


def test_a_module_without_actor_or_optimizer_is_refused():
    with pytest.raises(TypeError, match="Linear has no actor that is known"):
        actor_parameters(th.nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"Linear has neither 'actor\.optimizer' nor 'optimizer'"):
        actor_optimizer(th.nn.Linear(1, 1))
