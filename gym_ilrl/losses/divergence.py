"""How far a policy's action distributions have moved from another's, from the numbers that define them."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, cast

import torch as th
import torch.nn.functional as F
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3.common import distributions
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy

from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.actor_critic import has_plain_head
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.compat import CROSSQ_POLICIES
from gym_ilrl.losses.distribution import action_distribution


class Gaussians(NamedTuple):
    """Diagonal Gaussians, before any squashing, which changes no divergence.

    The mean is ``(B, d)``, the logarithm of the deviation that or ``(d,)``, the same for all.
    """

    mean: th.Tensor
    log_std: th.Tensor

    def divergence_to(self, other: Gaussians) -> th.Tensor:
        """Return the divergence of each from its counterpart, ``(B,)``."""
        squares = (other.mean - self.mean).square() + th.exp(2.0 * self.log_std)
        precision = th.exp(-2.0 * other.log_std)
        log_ratio = (other.log_std - (self.log_std + 0.5)).sum(dim=-1)
        # one kernel for the product and its sum, where the deviation is the same for all
        weighted = th.mv(squares, precision) if precision.ndim == 1 else (squares * precision).sum(dim=1)
        return th.add(log_ratio, weighted, alpha=0.5)

    def rows(self, indices: th.Tensor) -> Gaussians:
        """Return some of them."""
        log_std = self.log_std if self.log_std.ndim == 1 else self.log_std.index_select(0, indices)
        return Gaussians(self.mean.index_select(0, indices), log_std)


class Categoricals(NamedTuple):
    """A categorical distribution for each action dimension: logarithms of probabilities, each ``(B, n)``."""

    log_probs: tuple[th.Tensor, ...]

    def divergence_to(self, other: Categoricals) -> th.Tensor:
        """Return the divergence of each from its counterpart, ``(B,)``."""
        pairs = zip(self.log_probs, other.log_probs, strict=True)
        return cast(th.Tensor, sum((own.exp() * (own - theirs)).sum(dim=1) for own, theirs in pairs))

    def rows(self, indices: th.Tensor) -> Categoricals:
        """Return some of them."""
        return Categoricals(tuple(each.index_select(0, indices) for each in self.log_probs))


class Bernoullis(NamedTuple):
    """A binary distribution for each action dimension: logits ``(B, n)``."""

    logits: th.Tensor

    def divergence_to(self, other: Bernoullis) -> th.Tensor:
        """Return the divergence of each from its counterpart, ``(B,)``."""
        p = self.logits.sigmoid()
        ones = p * (F.logsigmoid(self.logits) - F.logsigmoid(other.logits))
        return (ones + (1.0 - p) * (F.logsigmoid(-self.logits) - F.logsigmoid(-other.logits))).sum(dim=1)

    def rows(self, indices: th.Tensor) -> Bernoullis:
        """Return some of them."""
        return Bernoullis(self.logits.index_select(0, indices))


class Points(NamedTuple):
    """Actions of a policy without a distribution, ``(B, d)``: their mean squared difference stands for the divergence.

    It is that of Gaussians of equal deviation, up to a factor.
    """

    actions: th.Tensor

    def divergence_to(self, other: Points) -> th.Tensor:
        """Return the divergence of each from its counterpart, ``(B,)``."""
        return (other.actions - self.actions).square().mean(dim=1)

    def rows(self, indices: th.Tensor) -> Points:
        """Return some of them."""
        return Points(self.actions.index_select(0, indices))


ActionDistributions = Gaussians | Categoricals | Bernoullis | Points


@functools.singledispatch
def action_distributions(policy: Any, batch: ImitationBatch) -> ActionDistributions:
    """Return the numbers that define the policy's distributions of actions given the observations of ``batch``.

    ``p.divergence_to(q)`` is :math:`KL(p || q)` of each, ``(B,)``.

    :param policy: with a distribution or deterministic actor, compiled or not
    :param batch: its actions are not read
    :raises TypeError: for policies that have neither (DQN's, QR-DQN's)
    """
    inner = unwrap(policy)
    if inner is not policy:
        return action_distributions(inner, batch)
    raise TypeError(
        f"{type(policy).__name__} has no distribution of actions to measure a divergence by; expected an actor-critic "
        "policy, or that of SAC, TD3 and their kin"
    )


@action_distributions.register(ActorCriticPolicy)
@action_distributions.register(MaskableActorCriticPolicy)
def _(policy: ActorCriticPolicy | MaskableActorCriticPolicy, batch: ImitationBatch) -> ActionDistributions:
    if not has_plain_head(policy):
        return _numbers_of(action_distribution(policy, batch))
    features = BasePolicy.extract_features(cast(BasePolicy, policy), batch.observations, policy.pi_features_extractor)
    outputs: th.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))
    head: Any = policy.action_dist
    if isinstance(head, distributions.DiagGaussianDistribution):
        return Gaussians(outputs, cast(ActorCriticPolicy, policy).log_std)
    if isinstance(head, distributions.BernoulliDistribution):
        return Bernoullis(outputs)
    sizes = head.action_dims if isinstance(head, distributions.MultiCategoricalDistribution) else [outputs.shape[1]]
    return Categoricals(tuple(F.log_softmax(each, dim=1) for each in th.split(outputs, sizes, dim=1)))


def _squashed(policy: SACPolicy, batch: ImitationBatch) -> ActionDistributions:
    mean, log_std, noise_features = policy.actor.get_action_dist_params(batch.observations)
    if not noise_features:
        return Gaussians(mean, log_std)
    return _numbers_of(policy.actor.action_dist.proba_distribution(mean, log_std, **noise_features))


action_distributions.register(SACPolicy, _squashed)
action_distributions.register(TQCPolicy, _squashed)
for _crossq_policy in CROSSQ_POLICIES:
    action_distributions.register(_crossq_policy, _squashed)


@action_distributions.register
def _(policy: TD3Policy, batch: ImitationBatch) -> Points:
    return Points(policy.actor(batch.observations))


def _numbers_of(head: Any) -> ActionDistributions:
    distribution = head.distributions if hasattr(head, "distributions") else head.distribution  # several, with masks
    if isinstance(distribution, th.distributions.Normal):
        return Gaussians(distribution.mean, distribution.stddev.log())
    if isinstance(distribution, th.distributions.Bernoulli):
        return Bernoullis(distribution.logits)
    each = distribution if isinstance(distribution, list) else [distribution]
    return Categoricals(tuple(one.logits for one in each))
