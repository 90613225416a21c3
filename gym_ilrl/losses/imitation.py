"""The imitation loss of every Stable-Baselines3 and sb3-contrib policy: one function, dispatched on its class."""

import functools
import inspect
from collections.abc import Iterable
from typing import Any

import torch as th
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from gym_ilrl.arguments import require
from gym_ilrl.losses.actor import refuse_gradient_free, unwrap
from gym_ilrl.losses.actor_critic import actor_critic_loss, maskable_loss
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.compat import CROSSQ_POLICIES
from gym_ilrl.losses.q_values import dqn_loss, qrdqn_loss
from gym_ilrl.losses.squashed import deterministic_loss, squashed_gaussian_loss


@functools.singledispatch
def imitation_loss(policy: Any, batch: ImitationBatch, **options: Any) -> th.Tensor:
    """Return how badly ``policy`` imitates the demonstrated actions of ``batch``; only its actor receives gradient.

    ==================================== ==================================================== ==========================
    Policy of                            Loss                                                 Options
    ==================================== ==================================================== ==========================
    PPO, A2C, TRPO, RecurrentPPO,        negative log-likelihood                              ``ent_coef``
    MaskablePPO
    SAC, TQC, CrossQ                     squared error of ``tanh(mean)``, or likelihood       ``mode``
    TD3, DDPG                            squared error
    DQN, QR-DQN                          cross entropy, or large margin                       ``mode``, ``temperature``,
                                                                                              ``margin``
    ==================================== ==================================================== ==========================

    A policy class of your own inherits the loss of the class it extends, or gets one::

        @imitation_loss.register
        def my_loss(policy: MyPolicy, batch: ImitationBatch, *, my_option: float = 1.0) -> th.Tensor: ...

    :param policy: an SB3 or sb3-contrib policy, compiled or not
    :param batch: demonstrations
    :param options: see the function of the policy: :func:`~gym_ilrl.losses.actor_critic.actor_critic_loss`,
        :func:`~gym_ilrl.losses.squashed.squashed_gaussian_loss`, :func:`~gym_ilrl.losses.q_values.dqn_loss`
    :return: scalar: the mean over the samples, weighted by ``batch.weights``
    :raises TypeError: if no loss is registered for the class of the policy, or it has no gradient (ARS)
    """
    inner = unwrap(policy)
    if inner is not policy:
        return imitation_loss(inner, batch, **options)
    refuse_gradient_free(policy)
    raise TypeError(
        f"no imitation loss is registered for {type(policy).__name__}; register a function (policy, batch) -> scalar "
        "tensor with @imitation_loss.register"
    )


imitation_loss.register(ActorCriticPolicy, actor_critic_loss)  # PPO, A2C, TRPO, RecurrentPPO
imitation_loss.register(MaskableActorCriticPolicy, maskable_loss)
imitation_loss.register(TD3Policy, deterministic_loss)
imitation_loss.register(DQNPolicy, dqn_loss)
imitation_loss.register(QRDQNPolicy, qrdqn_loss)
imitation_loss.register(SACPolicy, squashed_gaussian_loss)
imitation_loss.register(TQCPolicy, squashed_gaussian_loss)
for _crossq_policy in CROSSQ_POLICIES:
    imitation_loss.register(_crossq_policy, squashed_gaussian_loss)


def loss_options(policy: Any) -> frozenset[str]:
    """Return the names of the options that :func:`imitation_loss` takes for ``policy``.

    :param policy: an SB3 or sb3-contrib policy, compiled or not
    """
    signature = inspect.signature(imitation_loss.dispatch(type(unwrap(policy))))
    options = list(signature.parameters.values())[2:]  # after policy and batch
    return frozenset(option.name for option in options if option.kind is not inspect.Parameter.VAR_KEYWORD)


def require_loss_options(policy: Any, options: Iterable[str]) -> None:
    """Refuse what :func:`imitation_loss` does not take for ``policy``.

    :param policy: an SB3 or sb3-contrib policy, compiled or not
    :param options: the names of what was given as ``loss_kwargs``
    :raises ValueError: naming the first one, and those that there are
    """
    known = ", ".join(sorted(loss_options(policy))) or "none"
    for name in options:
        expected = f"among the options of the loss of {type(unwrap(policy)).__name__}: {known}"
        require(name in loss_options(policy), "loss_kwargs", name, expected)
