r"""Importance weights of trajectories that another policy drew: per-decision, self-normalised, clipped.

``N`` trajectories are the rows of ``(N, T)`` tensors, padded behind their ends. A trajectory that has ended keeps its
last weight: it is still one of the ``N`` drawn.
"""

import math

import torch as th


def log_products(log_ratios: th.Tensor) -> th.Tensor:
    r"""Return :math:`\sum_{t' \le t} \log \pi(a_{t'}|s_{t'}) - \log q(a_{t'}|s_{t'})`.

    :param log_ratios: ``(N, T)``, zero behind the ends
    """
    return log_ratios.cumsum(dim=1)


def log_mixture(log_ratios: th.Tensor) -> th.Tensor:
    r"""Turn :math:`\log(\pi / q)` into :math:`\log(\pi / (\tfrac12 \pi + \tfrac12 q))`, at most :math:`\log 2`.

    The balance heuristic (Veach and Guibas 1995; the fused proposal of Levine and Koltun 2013, section 3).
    """
    return math.log(2.0) + th.nn.functional.logsigmoid(log_ratios)


def weights_of(log_weights: th.Tensor, self_normalize: bool, clip: float | None) -> th.Tensor:
    """Return the weights, self-normalised to mean one at each time step, then clipped.

    :param log_weights: ``(N, T)``
    :param self_normalize: divide by the mean over the trajectories: the estimate is biased, but consistent, and what
        ``q`` is up to a factor no longer matters
    :param clip: greatest weight, or None
    """
    if self_normalize:
        log_weights = log_weights.log_softmax(dim=0) + math.log(len(log_weights))
    if clip is not None:
        log_weights = log_weights.clamp(max=math.log(clip))
    return log_weights.exp()


def effective_sample_size(log_weights: th.Tensor) -> th.Tensor:
    r"""Return Kish's :math:`(\sum w)^2 / \sum w^2` at each time step, from 1 to ``N``.

    :param log_weights: ``(N, T)``
    :return: ``(T,)``
    """
    return th.exp(2 * log_weights.logsumexp(dim=0) - (2 * log_weights).logsumexp(dim=0))


def weighted_returns_to_go(rewards: th.Tensor, weights: th.Tensor, gamma: float) -> th.Tensor:
    r"""Return :math:`\sum_{t' \ge t} \gamma^{t'-t} w_{t'} r_{t'}`.

    Each reward has the weight of all decisions before it: Precup, Sutton and Singh 2000, section 3.

    :param rewards: ``(N, T)``, zero behind the ends
    :param weights: ``(N, T)``
    """
    weighted = weights * rewards
    result = th.empty_like(weighted)
    rest = th.zeros_like(weighted[:, 0])
    for time in reversed(range(weighted.shape[1])):
        rest = weighted[:, time] + gamma * rest
        result[:, time] = rest
    return result
