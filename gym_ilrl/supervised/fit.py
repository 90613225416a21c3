"""Maximum likelihood on a training set, one minibatch at a time: the inside of BC and of every DAgger round."""

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.actor import actor_optimizer, actor_parameters
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.imitation import imitation_loss
from gym_ilrl.losses.kinds import has_free_deviation
from gym_ilrl.supervised.minibatches import Minibatches
from gym_ilrl.supervised.training_set import TrainingSet


@dataclass(frozen=True)
class FitOptions:
    """How a policy is fitted; :class:`~gym_ilrl.algorithms.bc.BC` documents each field as its own argument."""

    batch_size: int
    ent_coef: float
    max_grad_norm: float | None
    validation_fraction: float
    patience: int | None
    log_std: str
    log_std_bounds: tuple[float, float]
    class_weight: str | None
    sequence_length: int | None
    loss_kwargs: dict[str, Any]


class Fit:
    """Fits a policy's actor to a training set.

    :param policy: any SB3 policy with an imitation loss
    :param training_set: the labels
    :param options: how
    :param generator: decides the order of the labels
    :param optimizer: of the actor's parameters; by default the policy's own, which may hold the critic's too
    :raises ValueError: if labels are to be held out and there is one episode only
    """

    tolerance = 1e-3  # an epoch that lowers the loss by less than this share of it has not lowered it

    def __init__(
        self,
        policy: BasePolicy,
        training_set: TrainingSet,
        options: FitOptions,
        generator: th.Generator,
        optimizer: th.optim.Optimizer | None = None,
    ) -> None:
        self._policy, self._options = policy, options
        self.optimizer, self._parameters = optimizer or actor_optimizer(policy), actor_parameters(policy)
        self._optimised = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        held_out = held_out_labels(training_set.episode_starts, options.validation_fraction)
        training, validation = th.nonzero(~held_out).flatten(), th.nonzero(held_out).flatten()
        cut = (options.batch_size, generator, options.sequence_length)
        self._minibatches = Minibatches(training_set, training, *cut)
        self._validation = Minibatches(training_set, validation, *cut) if len(validation) else None
        self._class_weights = (
            balanced_weights(training_set.actions[training], policy.action_space) if options.class_weight else None
        )
        self._log_std = cast(th.nn.Parameter, policy.log_std) if has_free_deviation(policy) else None
        self.n_updates = 0
        self.validation_loss: float | None = None
        self._sum, self._count = th.zeros((), device=policy.device), 0  # of the losses since the last mean_loss()
        self._epoch_sum = th.zeros((), device=policy.device)
        self._best_loss = self._loss_to_beat = float("inf")
        self._epochs_without_progress = 0
        self._best_state: dict[str, Any] | None = None

    @property
    def updates_per_epoch(self) -> int:
        """Number of updates that see every label about once."""
        return self._minibatches.per_epoch

    @property
    def has_converged(self) -> bool:
        """True once ``patience`` epochs in a row have not lowered the loss."""
        patience = self._options.patience
        return patience is not None and self._epochs_without_progress >= patience

    def update(self) -> None:
        """Take one optimiser step on one minibatch."""
        if not self._policy.training:
            self._policy.set_training_mode(True)
        loss = self._loss(self._minibatches.draw())
        for parameter in self._optimised:  # zero_grad() takes longer to report its call to the profiler
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        if self._options.log_std == "residual" and self._log_std is not None:
            self._log_std.grad = None
        if self._options.max_grad_norm is not None:
            th.nn.utils.clip_grad_norm_(self._parameters, self._options.max_grad_norm)
        self.optimizer.step()
        if self._options.log_std == "clamp" and self._log_std is not None:
            self._log_std.data.clamp_(*self._options.log_std_bounds)
        self._record(loss.detach())

    def metrics(self) -> dict[str, float]:
        """Return what is worth logging since the last call."""
        metrics = {"imitation/epochs": self.n_updates / self.updates_per_epoch}
        loss = self.mean_loss()
        if loss is not None:
            metrics["imitation/loss"] = loss
        if self.validation_loss is not None:
            metrics["imitation/validation_loss"] = self.validation_loss
        log_std = getattr(self._policy, "log_std", None)
        if log_std is not None:
            metrics["train/std"] = log_std.detach().exp().mean().item()
        return metrics

    def mean_loss(self) -> float | None:
        """Return the mean training loss since the last call, or None if there was no update."""
        if self._count == 0:
            return None
        mean = self._sum.item() / self._count
        self._sum.zero_()
        self._count = 0
        return mean

    def finish(self) -> None:
        """Return to the best parameters on the labels held out, and set the deviation if it is not fitted."""
        self._policy.set_training_mode(False)
        if self._best_state is not None:
            self._policy.load_state_dict(self._best_state)
        if self._options.log_std == "residual":
            self._set_log_std_from_residual()

    def _loss(self, batch: ImitationBatch) -> th.Tensor:
        if self._class_weights is not None:
            classes = encode_actions(self._policy, batch.actions)
            batch = batch._replace(weights=self._class_weights[classes])
        entropy_bonus = {"ent_coef": self._options.ent_coef} if self._options.ent_coef else {}
        return imitation_loss(self._policy, batch, **entropy_bonus, **self._options.loss_kwargs)

    def _record(self, loss: th.Tensor) -> None:
        self._sum += loss
        self._epoch_sum += loss
        self._count += 1
        self.n_updates += 1
        if self.n_updates % self.updates_per_epoch == 0:
            self._end_epoch(self._epoch_sum.item() / self.updates_per_epoch)
            self._epoch_sum.zero_()

    def _end_epoch(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ValueError(f"the imitation loss became {loss}; lower learning_rate, or set max_grad_norm")
        if self._validation is not None:
            loss = self.validation_loss = self._evaluate(self._validation)
        if loss < self._loss_to_beat:
            self._loss_to_beat, self._epochs_without_progress = loss - self.tolerance * abs(loss), 0
        else:
            self._epochs_without_progress += 1
        if self._validation is not None and loss < self._best_loss:
            self._best_loss, self._best_state = loss, deepcopy(self._policy.state_dict())

    def _evaluate(self, minibatches: Minibatches) -> float:
        self._policy.set_training_mode(False)
        total, count = 0.0, 0
        with th.no_grad():
            for batch, size in minibatches.in_order():
                total += size * self._loss(batch).item()
                count += size
        return total / count

    def _set_log_std_from_residual(self) -> None:
        """Maximum likelihood of the deviation alone: the root mean squared residual of the mean, per dimension."""
        policy = cast(ActorCriticPolicy, self._policy)
        squares, count = th.zeros_like(policy.log_std), 0
        with th.no_grad():
            for batch, size in self._minibatches.in_order():
                mean = policy.get_distribution(batch.observations).distribution.mean  # type: ignore[union-attr]
                squares += ((batch.actions.reshape(size, -1) - mean) ** 2).sum(dim=0)
                count += size
            log_std = 0.5 * (squares / count).clamp(min=1e-12).log()
            policy.log_std.data.copy_(log_std.clamp(*self._options.log_std_bounds))


def can_hold_out(episode_starts: th.Tensor, fraction: float) -> bool:
    """Tell whether there are episodes enough for :func:`held_out_labels`."""
    n_episodes = max(1, int(episode_starts.sum()))
    return 0 < math.floor(n_episodes * fraction) < n_episodes


def held_out_labels(episode_starts: th.Tensor, fraction: float) -> th.Tensor:
    """Hold whole episodes out, evenly spread: episode ``j`` is held out where ``floor((j + 1) f) > floor(j f)``.

    An episode keeps its side when later ones are added, so a label that was trained on never becomes a validation one.

    :param episode_starts: of shape ``(n,)``
    :param fraction: of the episodes, in ``[0, 1)``
    :return: true for each label held out, of shape ``(n,)``
    :raises ValueError: if that leaves no episode on one of the two sides
    """
    if fraction == 0:
        return th.zeros_like(episode_starts)
    episodes = (th.cumsum(episode_starts, dim=0) - 1).clamp(min=0).double()
    held_out = th.floor((episodes + 1) * fraction) > th.floor(episodes * fraction)
    if not held_out.any() or held_out.all():
        n_episodes = int(episodes[-1]) + 1
        raise ValueError(
            f"validation_fraction={fraction} of {n_episodes} episode(s) holds out none or all of them; "
            "give more demonstrations, another fraction, or validation_fraction=0"
        )
    return held_out


def balanced_weights(actions: th.Tensor, action_space: spaces.Space[Any]) -> th.Tensor:
    """Return the weight of each discrete action: n / (number of actions seen * count), mean 1 over the labels."""
    if not isinstance(action_space, spaces.Discrete):
        raise ValueError(f"class_weight='balanced' needs a Discrete action space, not {action_space}")
    counts = th.bincount(actions.long().flatten() - int(action_space.start), minlength=int(action_space.n))
    weights = th.where(counts > 0, actions.numel() / (counts.clamp(min=1) * (counts > 0).sum()), 0.0)
    return weights.float()
