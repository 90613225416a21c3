"""From the actions of an environment to what a policy's distribution or actor speaks of."""

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import get_action_dim


def encode_actions(policy: BasePolicy, actions: th.Tensor) -> th.Tensor:
    """Turn actions in the scale of the environment into the policy's own.

    This is the one place where actions are scaled to the ``[-1, 1]`` of a squashed policy.

    :param policy: the policy that is to imitate them
    :param actions: ``(B, *action_shape)``; ``(B,)`` or ``(B, 1)`` for a ``Discrete`` space
    :return: int64 ``(B,)`` counted from zero for ``Discrete``, int64 ``(B, n)`` counted from zero for
        ``MultiDiscrete``, float32 ``(B, n)`` for ``MultiBinary`` and ``Box``, scaled if ``policy.squash_output``
    :raises ValueError: if the shape of the actions does not fit the action space
    """
    space = policy.action_space
    if actions.shape[1:] != space.shape:
        # a column (B, 1) of Discrete actions would broadcast their log-likelihood to (B, B)
        actions = _reshape(actions, space)
    if isinstance(space, spaces.Discrete):
        indices = actions.long()
        return indices - int(space.start) if space.start else indices  # SB3's distributions count from zero
    flat = actions if actions.ndim == 2 else actions.reshape(len(actions), -1)
    if isinstance(space, spaces.MultiDiscrete):
        return flat.long() - th.as_tensor(space.start, device=flat.device)
    flat = flat.to(th.float32)
    return scale_actions(space, flat) if policy.squash_output and isinstance(space, spaces.Box) else flat


def _reshape(actions: th.Tensor, space: spaces.Space[Any]) -> th.Tensor:
    if actions.ndim == 0 or actions.numel() != len(actions) * get_action_dim(space):
        raise ValueError(
            f"expected actions of shape (batch, *{space.shape}) for the action space {space} and was given "
            f"{tuple(actions.shape)}; give one action per observation, in the shape that the environment takes"
        )
    return actions.reshape(len(actions), *(space.shape or ()))


def scale_actions(space: spaces.Box, actions: th.Tensor) -> th.Tensor:
    """Rescale actions from ``[low, high]`` to ``[-1, 1]``: SB3's ``BasePolicy.scale_action`` on tensors.

    :param space: a bounded space
    :param actions: ``(B, action_dim)``, flat
    :return: ``(B, action_dim)``
    """
    low = th.as_tensor(space.low, dtype=actions.dtype, device=actions.device).reshape(-1)
    high = th.as_tensor(space.high, dtype=actions.dtype, device=actions.device).reshape(-1)
    return 2.0 * (actions - low) / (high - low) - 1.0
