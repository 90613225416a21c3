"""A policy as it is now, kept for later."""

from typing import TypeVar

import cloudpickle
from torch import nn

from gym_ilrl.losses.actor import unwrap

PolicyT = TypeVar("PolicyT", bound=nn.Module)


def frozen_copy(policy: PolicyT) -> PolicyT:
    """Return a copy of the policy that nothing trains: in evaluation mode, without gradients and optimizers.

    Through pickle, because ``deepcopy`` refuses the tensors with a graph that policies keep of their last forward pass
    and of their exploration noise, and rebuilding from ``_get_constructor_parameters`` loses what policies forget to
    name there (the size of an LSTM, separate features extractors). Nothing is drawn from the global random stream.

    :param policy: an SB3 or sb3-contrib policy, compiled or not
    :return: on the same device, not compiled
    """
    copy: PolicyT = cloudpickle.loads(cloudpickle.dumps(unwrap(policy)))
    for module in copy.modules():
        vars(module).pop("optimizer", None)  # SAC's actor and critic each have one
    copy.requires_grad_(False)
    copy.train(False)
    return copy
