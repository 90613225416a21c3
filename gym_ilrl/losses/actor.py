"""The actor of a policy: the parameters that imitation trains, and the optimizer that holds them."""

import functools
from typing import cast

import torch as th
from sb3_contrib.ars.policies import ARSPolicy
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy
from torch import nn


def unwrap(policy: nn.Module) -> BasePolicy:
    """Return the policy inside ``th.compile(policy)``, or the policy itself."""
    return cast(BasePolicy, getattr(policy, "_orig_mod", policy))


def refuse_gradient_free(policy: nn.Module) -> None:
    """Refuse a policy that is not trained by gradients.

    :raises TypeError: for the policies of ARS
    """
    if isinstance(policy, ARSPolicy):
        raise TypeError(
            f"{type(policy).__name__} cannot imitate by gradient: ARS perturbs its weights at random and has neither "
            "optimizer nor gradient; clone into the policy of another algorithm, PPO's for instance"
        )


def actor_optimizer(policy: nn.Module) -> th.optim.Optimizer:
    """Return the optimizer that trains the actor of ``policy``.

    It may hold the value function too, as PPO's does.

    :param policy: an SB3 or sb3-contrib policy, compiled or not
    :raises TypeError: if the policy has none
    """
    policy = unwrap(policy)
    refuse_gradient_free(policy)
    for owner in (getattr(policy, "actor", None), policy):
        optimizer = getattr(owner, "optimizer", None)
        if isinstance(optimizer, th.optim.Optimizer):
            return optimizer
    raise TypeError(
        f"{type(policy).__name__} has neither 'actor.optimizer' nor 'optimizer'; expected the torch optimizer of its "
        "actor under one of these names"
    )


def actor_parameters(policy: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of the policy that act, and none that only estimate values.

    These are what the imitation loss can reach. (The squared error of a squashed Gaussian does not reach the
    standard deviation, which is the actor's all the same.)

    :param policy: an SB3 or sb3-contrib policy, compiled or not
    :return: those that require a gradient, each once, in the policy's order
    :raises TypeError: if the policy has no known actor
    """
    policy = unwrap(policy)
    refuse_gradient_free(policy)
    return [parameter for parameter in _actor_parameters(policy) if parameter.requires_grad]


def copy_actor_to_target(policy: nn.Module) -> None:
    """Bring the target of an actor, or of a Q network that acts, to where supervised learning has moved the original.

    :param policy: an SB3 or sb3-contrib policy, compiled or not; one without such a target is left as it is
    """
    policy = unwrap(policy)
    for name in ("actor", "q_net", "quantile_net"):
        target = getattr(policy, f"{name}_target", None)
        if target is not None:
            target.load_state_dict(getattr(policy, name).state_dict())


@functools.singledispatch
def _actor_parameters(policy: nn.Module) -> list[nn.Parameter]:
    actor = getattr(policy, "actor", None)  # SAC, TQC, CrossQ, TD3
    if not isinstance(actor, nn.Module):
        raise TypeError(f"{type(policy).__name__} has no actor that is known; expected a module named 'actor'")
    return list(actor.parameters())


@_actor_parameters.register(ActorCriticPolicy)
@_actor_parameters.register(MaskableActorCriticPolicy)
def _(policy: ActorCriticPolicy | MaskableActorCriticPolicy) -> list[nn.Parameter]:
    critic_modules = [policy.value_net, getattr(policy.mlp_extractor, "value_net", None)]
    critic_modules += [getattr(policy, name, None) for name in ("lstm_critic", "critic")]  # of recurrent policies
    if not policy.share_features_extractor:
        critic_modules.append(policy.vf_features_extractor)
    critic = {id(parameter) for module in critic_modules if module is not None for parameter in module.parameters()}
    return [parameter for parameter in policy.parameters() if id(parameter) not in critic]


@_actor_parameters.register
def _(policy: DQNPolicy) -> list[nn.Parameter]:
    return list(policy.q_net.parameters())


@_actor_parameters.register
def _(policy: QRDQNPolicy) -> list[nn.Parameter]:
    return list(policy.quantile_net.parameters())
