"""Where the search for a reward begins in processes whose episodes end."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch as th
from numpy.typing import NDArray
from scipy.sparse import linalg
from torch import nn

from gym_ilrl.irl.features import Features
from gym_ilrl.irl.indifference import indifferent_rewards
from gym_ilrl.irl.objectives import Objective
from gym_ilrl.planning import DivergenceError, TabularMDP
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.model import RewardModel
from gym_ilrl.rewards.network import RewardNetwork

_DOUBLINGS = 20


def let_episodes_end(
    model: RewardModel, objective: Objective, features: Features, mdp: TabularMDP, temperature: float
) -> None:
    """Begin with a cost of every step that outweighs the entropy it gains.

    Under a reward of 0 soft optimal agents avoid the end of an episode; without discount and horizon their values are
    not even finite (:class:`~gym_ilrl.planning.DivergenceError`). The parameters are set to what comes closest to
    :func:`~gym_ilrl.irl.indifference.indifferent_rewards`. Without discount and horizon that is doubled until the
    objective has a value; else it is taken where the objective is lower there. Modules of users stay as they are.

    :param model: whose parameters are changed
    :param objective: of rewards of shape ``(n_actions, n_states)``
    :param features: of states or actions
    :param mdp: the process
    :param temperature: of the demonstrator
    :raises DivergenceError: if no cost is high enough
    """
    table = indifferent_rewards(mdp, temperature, features.earned.on_states)
    found = _direction(model.learned, features, table)
    if found is None or not table.any():
        return
    parameter, direction = found
    begin = parameter.detach().clone()

    def loss(share: float) -> float:
        parameter.data.copy_(begin + share * th.as_tensor(direction, dtype=begin.dtype, device=begin.device))
        return objective(features.earned.rewards(model.tabulate(features))).loss

    if mdp.is_goal_directed:
        _double(loss)
    elif loss(1.0) >= loss(0.0):
        return
    else:
        loss(1.0)


def _direction(
    learned: nn.Module, features: Features, table: NDArray[np.float64]
) -> tuple[nn.Parameter, NDArray[np.float64]] | None:
    """Return a parameter, and what to add to it so that the rewards become those of a table as nearly as possible."""
    if isinstance(learned, LinearReward):
        flat = table.ravel()
        return learned.weights, flat if features.matrix is None else linalg.lsmr(features.matrix, flat)[0]
    if isinstance(learned, RewardNetwork):
        last = learned.layers[-1]
        assert isinstance(last, nn.Linear)
        return last.bias, np.array([table.mean()])
    return None


def _double(loss: Callable[[float], float]) -> None:
    for doubling in range(_DOUBLINGS):
        with suppress(DivergenceError):
            loss(2.0**doubling)
            return
    loss(2.0**_DOUBLINGS)  # says why
