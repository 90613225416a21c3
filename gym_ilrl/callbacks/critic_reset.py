"""A critic that forgets."""

import functools
import math
from collections.abc import Iterator
from typing import Any, cast

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from gym_ilrl.losses.actor import actor_parameters, unwrap
from gym_ilrl.losses.values import has_action_values


def reset_critic(model: BaseAlgorithm) -> None:
    """Draw the critic's parameters anew, as the algorithm drew them; its targets follow, its optimizer forgets.

    What it shares with the actor is left. Value functions of states are orthogonal if the policy's ``ortho_init`` is
    on. The global random stream goes on from where it was.

    :param model: an actor-critic algorithm
    """
    policy = unwrap(model.policy)
    with th.random.fork_rng(devices=[policy.device] if policy.device.type == "cuda" else []):
        reset = [parameter for module in _critic_modules(policy) for parameter in _reset(policy, module)]
    target = getattr(policy, "critic_target", None)
    if target is not None:
        target.load_state_dict(cast(Any, policy).critic.state_dict())
    for owner in (policy, getattr(policy, "critic", None)):
        optimizer = getattr(owner, "optimizer", None)
        if isinstance(optimizer, th.optim.Optimizer):
            for parameter in reset:
                optimizer.state.pop(parameter, None)


def _critic_modules(policy: nn.Module) -> list[nn.Module]:
    """Return the modules with parameters of their own that only estimate values."""
    acting = {id(parameter) for parameter in actor_parameters(policy)}
    root = cast(Any, policy).critic if has_action_values(policy) else policy
    found = []
    for module in root.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(id(parameter) in acting for parameter in own):
            found.append(module)
    return found


def _reset(policy: nn.Module, module: nn.Module) -> Iterator[nn.Parameter]:
    if hasattr(module, "reset_parameters"):
        cast(Any, module).reset_parameters()
    if not has_action_values(policy) and getattr(policy, "ortho_init", False):
        gain = 1.0 if module is policy.value_net else math.sqrt(2)
        module.apply(functools.partial(ActorCriticPolicy.init_weights, gain=gain))
    yield from module.parameters(recurse=False)
