"""Objectives of inverse reinforcement learning for torch: the backward pass of planning is an occupancy."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch as th
from numpy.typing import NDArray

from gym_ilrl.irl.objectives import Evaluation

Objective = Callable[[NDArray[np.float64]], Evaluation]


class _Planned(th.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rewards: th.Tensor, objective: Objective) -> th.Tensor:
        evaluation = objective(rewards.detach().cpu().numpy().astype(np.float64))
        ctx.gradient = th.as_tensor(evaluation.gradient, dtype=rewards.dtype, device=rewards.device)
        return th.as_tensor(evaluation.loss, dtype=rewards.dtype, device=rewards.device)

    @staticmethod
    def backward(ctx: Any, *gradients: th.Tensor) -> tuple[th.Tensor, None]:
        return gradients[0] * ctx.gradient, None


def differentiable(objective: Objective, rewards: th.Tensor) -> th.Tensor:
    """Return the loss of an objective as a torch scalar whose gradient reaches whatever computed the rewards.

    The planning inside is exact, and so is the gradient: no graph is kept through it.

    :param objective: such as :class:`~gym_ilrl.irl.likelihood.ActionLikelihood`
    :param rewards: of shape ``(n_actions, n_states)``
    """
    return cast(th.Tensor, _Planned.apply(rewards, objective))
