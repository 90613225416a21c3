"""Imitation loss of the actor-critic policies of PPO, A2C, TRPO, RecurrentPPO and MaskablePPO: the likelihood."""

from typing import cast

import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common import distributions
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from gym_ilrl.losses import likelihood
from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.distribution import action_distribution, required_masks
from gym_ilrl.losses.squashed import bounded_nll


def actor_critic_loss(
    policy: ActorCriticPolicy | MaskableActorCriticPolicy, batch: ImitationBatch, *, ent_coef: float = 0.0
) -> th.Tensor:
    """``mean(-log pi(a | s)) - ent_coef * mean(H(pi(. | s)))``.

    A squashed policy (gSDE with ``squash_output``) gets the bounded likelihood of
    :func:`gym_ilrl.losses.squashed.bounded_nll`: the plain one of actions at their bounds destroys it.

    :param policy: an actor-critic policy, recurrent ones included
    :param batch: demonstrations
    :param ent_coef: weight of the entropy bonus, which keeps the policy from becoming deterministic
    :return: scalar
    :raises ValueError: if ``ent_coef`` is not zero and the entropy has no closed form, as for squashed policies
    """
    actions = encode_actions(policy, batch.actions)
    if has_plain_head(policy):
        nll, entropy = _terms_from_outputs(cast(ActorCriticPolicy, policy), batch, actions, bool(ent_coef))
    else:
        distribution = action_distribution(policy, batch)
        nll = bounded_nll(distribution, actions) if policy.squash_output else -distribution.log_prob(actions)
        entropy = distribution.entropy() if ent_coef else None
    if not ent_coef:
        return batch.mean(nll)
    if entropy is None:
        raise ValueError(
            f"the entropy of this {type(policy).__name__} has no closed form, because its actions are squashed, and "
            f"ent_coef is {ent_coef}; set ent_coef=0"
        )
    return batch.mean(nll) - ent_coef * batch.mean(entropy)


def maskable_loss(policy: MaskableActorCriticPolicy, batch: ImitationBatch, *, ent_coef: float = 0.0) -> th.Tensor:
    """:func:`actor_critic_loss` given the action masks of the demonstrations.

    :raises ValueError: if the batch has no masks, or a mask forbids the demonstrated action
    """
    masks = required_masks(policy, batch).flatten(start_dim=1)
    actions = encode_actions(policy, batch.actions).reshape(len(masks), -1).long()
    # one mask column for each value of each action dimension; a binary one has two values
    space, n_dims = policy.action_space, actions.shape[1]
    sizes = space.nvec if isinstance(space, spaces.MultiDiscrete) else np.full(n_dims, masks.shape[1] // n_dims)
    first_columns = th.as_tensor(np.cumsum(sizes) - sizes, device=masks.device)
    allowed = masks.gather(1, actions + first_columns).bool().all(dim=1)
    if not bool(allowed.all()):
        raise ValueError(
            f"{int((~allowed).sum())} of {len(allowed)} demonstrated actions are forbidden by their own action masks; "
            "record each mask with the observation it belongs to, before the action is taken"
        )
    return actor_critic_loss(policy, batch, ent_coef=ent_coef)


def has_plain_head(policy: BasePolicy) -> bool:
    """Tell whether the outputs of ``action_net`` are the parameters of the distribution, exactly as in SB3's own class.

    Then the likelihood needs no distribution object, whose construction and validation cost more than the network.
    """
    return (
        isinstance(policy, ActorCriticPolicy)
        and type(policy).get_distribution is ActorCriticPolicy.get_distribution
        and type(policy)._get_action_dist_from_latent is ActorCriticPolicy._get_action_dist_from_latent
        and type(policy.action_dist)
        in (
            distributions.DiagGaussianDistribution,
            distributions.CategoricalDistribution,
            distributions.MultiCategoricalDistribution,
            distributions.BernoulliDistribution,
        )
    )


def _terms_from_outputs(
    policy: ActorCriticPolicy, batch: ImitationBatch, actions: th.Tensor, with_entropy: bool
) -> tuple[th.Tensor, th.Tensor | None]:
    """Return the negative log-likelihood and, if asked for, the entropy of each sample, both ``(B,)``."""
    features = BasePolicy.extract_features(policy, batch.observations, policy.pi_features_extractor)
    outputs = policy.action_net(policy.mlp_extractor.forward_actor(features))
    head = policy.action_dist
    if isinstance(head, distributions.DiagGaussianDistribution):
        nll = likelihood.gaussian_nll(outputs, policy.log_std, actions)
        return nll, likelihood.gaussian_entropy(outputs, policy.log_std) if with_entropy else None
    if isinstance(head, distributions.CategoricalDistribution):
        nll = likelihood.categorical_nll(outputs, actions)
        return nll, likelihood.categorical_entropy(outputs) if with_entropy else None
    if isinstance(head, distributions.MultiCategoricalDistribution):
        nll = likelihood.multi_categorical_nll(outputs, actions, head.action_dims)
        return nll, likelihood.multi_categorical_entropy(outputs, head.action_dims) if with_entropy else None
    nll = likelihood.bernoulli_nll(outputs, actions)
    return nll, likelihood.bernoulli_entropy(outputs) if with_entropy else None
