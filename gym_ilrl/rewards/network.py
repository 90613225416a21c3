"""Neural rewards of the states or actions of a known process."""

from collections.abc import Sequence

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import create_mlp
from torch import nn

from gym_ilrl.arguments import require_positive_int

_CONSTANT = 1e-6  # deviation, relative to the largest value, that single precision does not see


class RewardNetwork(nn.Module):
    """A perceptron from features to a reward (Wulfmeier, Ondruska & Posner, "Maximum entropy deep inverse reinforcement
    learning", 2015).

    :param n_features: number of features
    :param net_arch: widths of the hidden layers
    :param activation_fn: between them
    """

    mean: th.Tensor
    deviation: th.Tensor

    def __init__(
        self, n_features: int, net_arch: Sequence[int] = (64, 64), activation_fn: type[nn.Module] = nn.ELU
    ) -> None:
        super().__init__()
        for width in net_arch:
            require_positive_int("net_arch", width)
        self.register_buffer("mean", th.zeros(n_features))
        self.register_buffer("deviation", th.ones(n_features))
        self.layers = nn.Sequential(*create_mlp(n_features, 1, list(net_arch), activation_fn))

    def standardise(self, features: NDArray[np.float64]) -> None:
        """Let the network see these features with mean 0 and deviation 1.

        :param features: one row for each state or action, of shape ``(n, n_features)``
        """
        deviation = features.std(axis=0)
        varies = deviation > _CONSTANT * np.abs(features).max(axis=0)
        self.mean.copy_(th.as_tensor(features.mean(axis=0)))
        self.deviation.copy_(th.as_tensor(np.where(varies, deviation, 1.0)))

    def forward(self, features: th.Tensor) -> th.Tensor:
        """Return the reward of every row, of shape ``(n,)``.

        :param features: of shape ``(n, d)``
        """
        standard = (features.to(self.mean.dtype) - self.mean) / self.deviation
        rewards: th.Tensor = self.layers(standard)
        return rewards.squeeze(-1)
