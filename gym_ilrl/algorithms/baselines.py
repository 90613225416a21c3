"""Baselines of the score-function estimator: what is subtracted from a return without moving its mean.

``E[grad log pi(a|s) b] = 0`` for every ``b`` that does not depend on ``a``. Where a baseline is estimated from the
batch it is subtracted from, a trajectory's own part is left out (Kool et al. 2019), so that this holds exactly for
independent trajectories.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch as th
from torch import nn

from gym_ilrl.algorithms.trajectories import Trajectories


class Baseline(NamedTuple):
    """A baseline.

    :param on_rollout: ``(n,)``, for each step of the rollout it was estimated from
    :param by_time: its value at given times of an episode, for trajectories that are not part of that rollout
    """

    on_rollout: th.Tensor
    by_time: Callable[[th.Tensor], th.Tensor]


def constant(rollout: Trajectories, value: float = 0.0) -> Baseline:
    """Return the same number everywhere."""
    return Baseline(
        th.full_like(rollout.ids, value, dtype=th.float32), lambda times: th.full_like(times, value, dtype=th.float32)
    )


def mean_return(returns: th.Tensor, rollout: Trajectories) -> Baseline:
    """Return the mean over the *other* trajectories at the same time of the episode.

    Peters and Schaal 2008, section 3.2 (time-variant baseline). Times that no other trajectory reached get the mean
    over all steps of the others; a single trajectory has nothing to be compared with, and gets zero.

    :param returns: ``(n,)``
    """
    times, ids = rollout.times, rollout.ids
    zeros = returns.new_zeros(int(times.max()) + 1)
    total, count = zeros.index_add(0, times, returns), zeros.index_add(0, times, th.ones_like(returns))
    elsewhere = (returns.sum() - rollout.sums(returns)) / (len(returns) - rollout.lengths).clamp(min=1)
    others = count[times] - 1
    on_rollout = th.where(others > 0, (total[times] - returns) / others.clamp(min=1), elsewhere[ids])
    means = th.where(count > 0, total / count.clamp(min=1), returns.mean())

    def by_time(at: th.Tensor) -> th.Tensor:
        return th.where(at < len(means), means[at.clamp(max=len(means) - 1)], returns.mean())

    return Baseline(on_rollout, by_time)


def least_variance(returns: th.Tensor, rollout: Trajectories, scores: th.Tensor) -> Baseline:
    r"""Return the constant of least variance, the optimal control variate.

    With :math:`S = \sum_t s_t` and :math:`g = \sum_t s_t R_t` over a trajectory, the variance of
    :math:`\sum_t s_t (R_t - b)` is least at :math:`b = E[S \cdot g] / E[S \cdot S]`, which for one step is the familiar
    :math:`E[s^2 R] / E[s^2]` (Greensmith et al. 2004; Peters and Schaal 2008, section 3.2).

    :param returns: ``(n,)``
    :param scores: ``(n, d)``, the gradients of the steps' log-likelihoods
    """
    score, gradient = rollout.sums(scores), rollout.sums(scores * returns[:, None])
    weighted, squares = (score * gradient).sum(dim=1), score.square().sum(dim=1)
    rest = squares.sum() - squares
    left_out = th.where(rest > 0, (weighted.sum() - weighted) / rest.clamp(min=th.finfo(rest.dtype).tiny), 0.0)
    overall = float(weighted.sum() / squares.sum()) if squares.sum() > 0 else 0.0
    return constant(rollout, overall)._replace(on_rollout=left_out[rollout.ids])


class LastLayer:
    """What a linear layer took in and gave out in its last call."""

    def __init__(self) -> None:
        self.inputs, self.outputs = th.empty(0), th.empty(0)

    def scores(self, log_prob: th.Tensor) -> th.Tensor:
        """Return the gradient of each sample's log-likelihood with respect to the layer's weights and bias.

        :param log_prob: ``(B,)``, computed from the outputs; its graph is kept
        :return: ``(B, n_outputs * (n_inputs + 1))``
        """
        (outer,) = th.autograd.grad(log_prob.sum(), self.outputs, retain_graph=True)
        inputs = self.inputs.detach()
        inputs = th.cat((inputs, inputs.new_ones(len(inputs), 1)), dim=1)
        return (outer[:, :, None] * inputs[:, None, :]).flatten(start_dim=1)


@contextmanager
def watched(layer: nn.Module) -> Iterator[LastLayer]:
    """Keep what ``layer`` takes in and gives out."""
    seen = LastLayer()

    def keep(_: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        seen.inputs, seen.outputs = inputs[0], outputs

    handle = layer.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def silenced(critic: nn.Module) -> Iterator[None]:
    """Let a critic that nobody trains say zero."""
    handle = critic.register_forward_hook(_zeros)
    try:
        yield
    finally:
        handle.remove()


def _zeros(_: nn.Module, __: tuple[Any, ...], outputs: th.Tensor) -> th.Tensor:
    return th.zeros_like(outputs)
