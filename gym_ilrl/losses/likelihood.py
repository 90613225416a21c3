"""Negative log-likelihoods and entropies from the raw outputs of a policy, one value per sample.

Equal to SB3's distributions, without building one: no validation of arguments, one kernel where there is one. ``B`` is
the batch, ``d`` the number of action dimensions.
"""

import math
from collections.abc import Sequence

import torch as th
import torch.nn.functional as F

LOG_2_PI = math.log(2.0 * math.pi)


def gaussian_nll(mean: th.Tensor, log_std: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """``sum_i (a_i - mu_i)^2 / (2 sigma_i^2) + log sigma_i + log(2 pi) / 2``.

    :param mean: ``(B, d)``
    :param log_std: ``(d,)``
    :param actions: ``(B, d)``
    :return: ``(B,)``
    """
    standardised = (actions - mean) * th.exp(-log_std)
    return 0.5 * standardised.square().sum(dim=1) + (log_std.sum() + 0.5 * LOG_2_PI * len(log_std))


def gaussian_entropy(mean: th.Tensor, log_std: th.Tensor) -> th.Tensor:
    """``sum_i log sigma_i + (1 + log(2 pi)) / 2``.

    :param mean: ``(B, d)``
    :param log_std: ``(d,)``
    :return: ``(B,)``
    """
    return (log_std.sum() + 0.5 * (1.0 + LOG_2_PI) * len(log_std)).expand(len(mean))


def squashed_gaussian_nll(mean: th.Tensor, std: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """Negative log-density of ``a = tanh(u)`` with ``u`` Gaussian: that of ``u``, plus ``sum_i log(1 - a_i^2)``.

    :param mean: of ``u``, ``(B, d)``
    :param std: of ``u``, ``(B, d)``
    :param actions: ``(B, d)``, strictly inside ``(-1, 1)``
    :return: ``(B,)``
    """
    standardised = (th.atanh(actions) - mean) / std
    per_dimension = 0.5 * (standardised.square() + LOG_2_PI) + th.log(std) + th.log1p(-actions.square())
    return per_dimension.sum(dim=1)


def categorical_nll(logits: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """``-log softmax(logits)[a]``.

    :param logits: ``(B, n)``
    :param actions: int64 ``(B,)`` in ``[0, n)``
    :return: ``(B,)``
    """
    return F.cross_entropy(logits, actions, reduction="none")


def categorical_entropy(logits: th.Tensor) -> th.Tensor:
    """``-sum_a p(a) log p(a)``.

    :param logits: ``(B, n)``
    :return: ``(B,)``
    """
    log_probs = F.log_softmax(logits, dim=1)
    return -(log_probs.exp() * log_probs).sum(dim=1)


def multi_categorical_nll(logits: th.Tensor, actions: th.Tensor, sizes: Sequence[int]) -> th.Tensor:
    """The sum over ``d`` independent categorical variables.

    :param logits: ``(B, sum(sizes))``
    :param actions: int64 ``(B, d)``
    :param sizes: the number of values of each variable
    :return: ``(B,)``
    """
    parts = zip(th.split(logits, list(sizes), dim=1), actions.unbind(dim=1), strict=True)
    return th.stack([categorical_nll(part, action) for part, action in parts]).sum(dim=0)


def multi_categorical_entropy(logits: th.Tensor, sizes: Sequence[int]) -> th.Tensor:
    """The sum over ``d`` independent categorical variables.

    :param logits: ``(B, sum(sizes))``
    :param sizes: the number of values of each variable
    :return: ``(B,)``
    """
    return th.stack([categorical_entropy(part) for part in th.split(logits, list(sizes), dim=1)]).sum(dim=0)


def bernoulli_nll(logits: th.Tensor, actions: th.Tensor) -> th.Tensor:
    """``-sum_i a_i log p_i + (1 - a_i) log(1 - p_i)`` with ``p = sigmoid(logits)``.

    :param logits: ``(B, d)``
    :param actions: float ``(B, d)`` of zeros and ones
    :return: ``(B,)``
    """
    return F.binary_cross_entropy_with_logits(logits, actions, reduction="none").sum(dim=1)


def bernoulli_entropy(logits: th.Tensor) -> th.Tensor:
    """``-sum_i p_i log p_i + (1 - p_i) log(1 - p_i)`` with ``p = sigmoid(logits)``: the cross entropy with itself.

    :param logits: ``(B, d)``
    :return: ``(B,)``
    """
    return F.binary_cross_entropy_with_logits(logits, th.sigmoid(logits), reduction="none").sum(dim=1)
