"""Rewards that are linear in features, as a torch module."""

import torch as th
from torch import nn


class LinearReward(nn.Module):
    """The weights of a reward that is linear in features; with one feature for each state or action it is a table.

    :param n_features: number of features
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(th.zeros(n_features, dtype=th.float64))
