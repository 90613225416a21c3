"""Objectives of inverse reinforcement learning for torch: the backward pass of planning is an occupancy."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch as th
from numpy.typing import NDArray

Objective = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""Takes rewards, returns a loss and its derivative with respect to the rewards, of their shape."""


class _Planned(th.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rewards: th.Tensor, objective: Objective) -> th.Tensor:
        loss, gradient = objective(rewards.detach().cpu().numpy().astype(np.float64))
        ctx.gradient = th.as_tensor(gradient, dtype=rewards.dtype, device=rewards.device)
        return th.as_tensor(loss, dtype=rewards.dtype, device=rewards.device)

    @staticmethod
    def backward(ctx: Any, *gradients: th.Tensor) -> tuple[th.Tensor, None]:
        return gradients[0] * ctx.gradient, None


def differentiable(objective: Objective, rewards: th.Tensor) -> th.Tensor:
    """Return the loss of an objective as a torch scalar whose gradient reaches whatever computed the rewards.

    The planning inside is exact, and so is the gradient: no graph is kept through it.

    :param objective: takes rewards and returns loss and derivative
    :param rewards: what the objective takes, as a tensor
    """
    return cast(th.Tensor, _Planned.apply(rewards, objective))  # type: ignore[no-untyped-call]
