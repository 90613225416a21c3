"""The optimiser of a policy's actor, as SB3 built it."""

import torch as th
from stable_baselines3.common.policies import BasePolicy

from gym_ilrl.losses.actor import actor_optimizer


def optimizer_name(policy: BasePolicy) -> str:
    """Return the attribute path of the actor's optimiser, for ``_get_torch_save_params``."""
    has_own = isinstance(getattr(getattr(policy, "actor", None), "optimizer", None), th.optim.Optimizer)
    return "policy.actor.optimizer" if has_own else "policy.optimizer"


def tune_optimizer(policy: BasePolicy, l2_coef: float) -> None:
    """Set the weight decay, and let Adam update all tensors in one kernel (the same numbers, sooner).

    :param l2_coef: coefficient of the L2 penalty; parameters without a gradient do not decay
    """
    optimizer = actor_optimizer(policy)
    fusable = type(optimizer) in (th.optim.Adam, th.optim.AdamW) and policy.device.type in ("cpu", "cuda")
    for group in optimizer.param_groups:
        if l2_coef:
            group["weight_decay"] = l2_coef
        if fusable:
            group.update(fused=True, foreach=False)
