"""Demonstrations as off-policy data of the score-function estimator."""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl.algorithms.importance_weights import (
    effective_sample_size,
    log_mixture,
    log_products,
    weighted_returns_to_go,
    weights_of,
)
from gym_ilrl.algorithms.trajectories import Trajectories
from gym_ilrl.data import rearrange
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.distribution import action_distribution
from gym_ilrl.supervised.fit import Fit, FitOptions
from gym_ilrl.supervised.training_set import TrainingSet, labels_of

PROPOSALS = ("cloned", "empirical", "fusion")


@dataclass(frozen=True)
class WeightOptions:
    """How demonstrations are weighted; :class:`~gym_ilrl.algorithms.reinforce.REINFORCE` documents each field."""

    clip: float | None
    self_normalize: bool
    weigh_future: bool
    gamma: float


class Sample(NamedTuple):
    """Trajectories with what the estimator needs of each of their ``n`` steps.

    :param trajectories: which step belongs to which, ``N`` of them
    :param log_prob: of the actions under the policy, with its graph, ``(n,)``
    :param log_proposal: of the actions under what drew the demonstrations, ``(n,)``
    :param returns: discounted, to go, ``(n,)``
    :param baseline: ``(n,)``
    """

    trajectories: Trajectories
    log_prob: th.Tensor
    log_proposal: th.Tensor
    returns: th.Tensor
    baseline: th.Tensor

    def log_ratios(self) -> th.Tensor:
        """Return the logarithms of the products of ratios up to each step, ``(N, T)``."""
        return log_products(self.trajectories.padded(self.log_prob.detach() - self.log_proposal))

    def credits(self, weights: th.Tensor, options: WeightOptions) -> th.Tensor:
        """Return what each step's score is multiplied by, ``(n,)``.

        :param weights: ``(N, T)``
        """
        ids, positions = self.trajectories.ids, self.trajectories.positions
        at_step = weights[ids, positions]
        if not options.weigh_future:
            return at_step * (self.returns - self.baseline)
        returns = self.trajectories.padded(self.returns)
        rewards = returns - options.gamma * th.nn.functional.pad(returns, (0, 1))[:, 1:]  # r_t = G_t - gamma G_{t+1}
        weighted = weighted_returns_to_go(rewards, weights, options.gamma)
        return weighted[ids, positions] - at_step * self.baseline

    def objective(self, credits: th.Tensor, discounts: th.Tensor) -> th.Tensor:
        """Return what has the estimate of the gradient of the return as its gradient."""
        return (discounts * credits * self.log_prob).sum() / len(self.trajectories.clock)


def weighted_credits(sample: Sample, options: WeightOptions) -> tuple[th.Tensor, th.Tensor]:
    """Weigh trajectories of another policy by the ratio of this one's likelihood to theirs.

    :return: ``(n,)``, and the logarithms of the weights, neither normalised nor clipped, ``(N, T)``
    """
    log_weights = sample.log_ratios()
    weights = weights_of(log_weights, options.self_normalize, options.clip)
    return sample.credits(weights, options), log_weights


def fused_credits(
    demonstrated: Sample, rollout: Sample, options: WeightOptions
) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    r"""Weigh demonstrations and rollout as if one half of both together had been drawn by each policy.

    :return: for the demonstrations, for the rollout, and the logarithms of the demonstrations' weights
    """
    both = [log_mixture(sample.log_ratios()) for sample in (demonstrated, rollout)]
    longest = max(log_weights.shape[1] for log_weights in both)
    means = [_extended(log_weights, longest).exp().mean(dim=0) for log_weights in both]
    normaliser = (0.5 * (means[0] + means[1])).log() if options.self_normalize else th.zeros_like(means[0])
    weights = [
        weights_of(log_weights - normaliser[: log_weights.shape[1]], False, options.clip) for log_weights in both
    ]
    return demonstrated.credits(weights[0], options), rollout.credits(weights[1], options), both[0]


def _extended(log_weights: th.Tensor, length: int) -> th.Tensor:
    return th.cat((log_weights, log_weights[:, -1:].expand(-1, length - log_weights.shape[1])), dim=1)


class WeightedDemonstrations:
    """Demonstrations on the training device, and the policy that is taken to have drawn them.

    :param demonstrations: with rewards
    :param policy: decides the device and the layout of the observations
    :param clone: an untrained policy that is fitted to them here, or None: the proposal is the empirical one
    :param n_epochs: of that fit
    :param vec_normalize: normalises observations and rewards, if the environment has one
    :param generator: of the fit's order, and of the choice of episodes
    """

    def __init__(
        self,
        demonstrations: Demonstrations,
        policy: ActorCriticPolicy,
        clone: ActorCriticPolicy | None,
        n_epochs: int,
        vec_normalize: VecNormalize | None,
        generator: th.Generator,
    ) -> None:
        self._demonstrations, self._clone, self._vec_normalize = demonstrations, clone, vec_normalize
        self._generator = generator
        self._offsets = th.tensor(demonstrations.offsets, device=policy.device)
        self._labels = TrainingSet(policy, vec_normalize)
        self._labels.extend(labels_of(demonstrations))
        self._log_proposal = th.zeros(len(self._labels), device=policy.device)
        self._has_warned = False
        if clone is not None:
            fit_by_likelihood(clone, self._labels, n_epochs, generator)
            with th.no_grad():  # now: normalised observations move on, and what was likely then was so for good
                self._log_proposal = log_likelihood(
                    clone, self._labels.batch(th.arange(len(self._labels), device=policy.device))
                )

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def was_made_for(self, vec_normalize: VecNormalize | None, proposal: str) -> bool:
        """Tell whether this is what would be made again."""
        return self._vec_normalize is vec_normalize and (self._clone is None) == (proposal == "empirical")

    def draw(self, policy: ActorCriticPolicy, gamma: float, n_episodes: int | None) -> tuple[Sample, ImitationBatch]:
        """Draw episodes without replacement.

        :param policy: whose likelihood is to be computed
        :param gamma: of the returns
        :param n_episodes: how many, or None: all
        :return: the sample, without baseline, and its observations and actions
        """
        self._labels.normalise()
        chosen = th.arange(len(self))
        if n_episodes is not None and n_episodes < len(self):
            chosen = th.randperm(len(self), generator=self._generator)[:n_episodes].sort().values
        chosen = chosen.to(self._offsets.device)
        lengths = self._offsets.diff()[chosen]
        offsets = th.nn.functional.pad(lengths.cumsum(0), (1, 0))
        trajectories = Trajectories(offsets, th.zeros_like(chosen))
        rows = self._offsets[chosen][trajectories.ids] + trajectories.positions
        batch = self._labels.batch(rows)
        log_prob = log_likelihood(policy, batch)
        returns = self._returns(gamma).to(log_prob)[rows]
        return Sample(trajectories, log_prob, self._log_proposal[rows], returns, th.zeros_like(returns)), batch

    def log_proposal(self, observations: th.Tensor | dict[str, th.Tensor], actions: th.Tensor) -> th.Tensor:
        """Return the cloned policy's log-likelihood of a rollout's actions.

        :param actions: in the policy's own encoding
        """
        assert self._clone is not None, "only the fused proposal asks"
        with th.no_grad():
            return self._clone.get_distribution(observations).log_prob(actions)

    def effective_share(self, log_weights: th.Tensor) -> float:
        """Return the effective sample size as a share of the number of trajectories, averaged over the time steps.

        Warns, once, when hardly any trajectory counts.
        """
        size, n_trajectories = float(effective_sample_size(log_weights).mean()), len(log_weights)
        if n_trajectories > 1 and size < max(1.5, 0.1 * n_trajectories) and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the importance weights of the demonstrations have degenerated: of {n_trajectories} trajectories "
                f"{size:.1f} count; start from a cloned policy (callbacks.Pretrain), use proposal='fusion', shorter "
                "demonstrations or a lower clip, or an objective without importance weights (callbacks.HybridObjective)"
            )
        return size / n_trajectories

    def _returns(self, gamma: float) -> th.Tensor:
        demonstrations = self._demonstrations
        returns = demonstrations.discounted_returns_to_go(gamma)
        if self._vec_normalize is not None and self._vec_normalize.norm_reward:
            rewards = self._vec_normalize.normalize_reward(np.asarray(demonstrations.rewards, dtype=np.float64))
            returns = rearrange.returns_to_go(np.asarray(rewards, dtype=np.float64), demonstrations.offsets, gamma)
        return th.tensor(returns)


def fit_by_likelihood(policy: ActorCriticPolicy, labels: TrainingSet, n_epochs: int, generator: th.Generator) -> None:
    """Clone what is in ``labels`` by maximum likelihood, with BC's defaults."""
    options = FitOptions(
        batch_size=64,
        ent_coef=0.0,
        max_grad_norm=None,
        validation_fraction=0.0,
        patience=None,
        log_std="clamp",
        log_std_bounds=(-2.0, 0.5),
        class_weight=None,
        sequence_length=None,
        loss_kwargs={},
    )
    fit = Fit(policy, labels, options, generator)
    for _ in range(n_epochs * fit.updates_per_epoch):
        fit.update()
    fit.finish()


def log_likelihood(policy: ActorCriticPolicy, batch: ImitationBatch) -> th.Tensor:
    """Return ``log pi(a|s)`` of each demonstrated action, ``(B,)``."""
    return action_distribution(policy, batch).log_prob(encode_actions(policy, batch.actions))
