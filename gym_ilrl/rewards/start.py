"""Where the search for a reward begins in processes that end only by reaching a goal."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from scipy.sparse import linalg
from torch import nn

from gym_ilrl.irl.features import Features
from gym_ilrl.planning import DivergenceError
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.network import RewardNetwork

_DOUBLINGS = 20


def let_episodes_end(
    learned: nn.Module, objective: Callable[[NDArray[np.float64]], Any], features: Features, temperature: float
) -> None:
    """Begin with a cost of every step that is high enough for the soft values to be finite.

    Without discount and horizon a reward of 0 makes it worth wandering for ever, as every step gains entropy (see
    :class:`~gym_ilrl.planning.DivergenceError`). The least-squares solution of "every step costs 1" is doubled until
    the objective has a value.

    :param learned: weights, or a network, that are changed
    :param objective: of rewards of shape ``(n_actions, n_states)``
    :param features: of states or actions
    :param temperature: of the demonstrator
    :raises DivergenceError: if no such cost is found
    """
    shape = features.earned.table_shape
    if isinstance(learned, LinearReward):
        one = np.full(features.n_features, -1.0)
        if features.matrix is not None:
            one = linalg.lsmr(features.matrix, -np.ones(features.matrix.shape[0]))[0]
        table, parameter = features.table(one), learned.weights
    elif isinstance(learned, RewardNetwork):
        one, table = np.array([-1.0]), np.full(shape, -1.0)
        last = learned.layers[-1]
        assert isinstance(last, nn.Linear)
        parameter = last.bias
    else:
        return
    cost = temperature
    for _ in range(_DOUBLINGS):
        with suppress(DivergenceError):
            objective(features.earned.rewards(cost * table))
            parameter.data.copy_(th.as_tensor(cost * one))
            return
        cost *= 2.0
    objective(features.earned.rewards(cost * table))  # says why
