"""A loss that is added to the actor's own, inside the update of an unmodified algorithm."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch as th
from sb3_contrib import TRPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import FlattenExtractor, MlpExtractor
from torch import nn

from gym_ilrl.arguments import is_number, require
from gym_ilrl.callbacks import hooks
from gym_ilrl.callbacks.pickling import lasting_state
from gym_ilrl.losses.actor import actor_optimizer, actor_parameters, unwrap

Clip = Literal["separate", "joint"]


class GradientCallback(BaseCallback, ABC):
    """Adds the gradient of ``coef * loss`` to the actor's, so that both objectives share each optimizer step.

    A subclass says what the loss is (:meth:`loss`). In ``"separate"`` mode the gradient is added right before the
    optimizer's step, after the algorithm clipped its own; in ``"joint"`` mode it is there before, so that the
    algorithm clips the sum, exactly as if its loss had this term. TRPO has neither: its actor moves by a natural
    gradient step, into which the gradient goes before it is scaled to the trust region.

    Nothing is drawn from the global random streams, and no parameter but the actor's receives a gradient.

    :param clip: ``"separate"`` or ``"joint"``
    :param max_grad_norm: for "separate": the norm that the gradient of the loss, before it is multiplied by the
        coefficient, is clipped to; ``"host"`` for the algorithm's own ``max_grad_norm`` if it has one, or None
    :param verbose: 0 no output, 1 info
    :raises ValueError: if an argument is none of these
    """

    def __init__(
        self,
        clip: Clip = "separate",
        max_grad_norm: float | Literal["host"] | None = "host",
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        require(clip in ("separate", "joint"), "clip", clip, "'separate' or 'joint'")
        is_norm = max_grad_norm in (None, "host") or (is_number(max_grad_norm) and float(max_grad_norm) > 0)
        require(is_norm, "max_grad_norm", max_grad_norm, "a positive number, 'host', or None")
        self.clip = clip
        self.max_grad_norm = max_grad_norm
        self._hook: hooks.Hook | None = None

    @abstractmethod
    def loss(self) -> tuple[th.Tensor, float] | None:
        """Return the loss of the actor's present parameters, a scalar, and its coefficient; None adds nothing."""

    def check_model(self, model: BaseAlgorithm) -> None:
        """Refuse an algorithm that this cannot work with, as every training start does.

        :param model: set up, trained or not
        :raises TypeError: if it has no gradient
        """
        actor_optimizer(model.policy)

    def _init_callback(self) -> None:
        self.check_model(self.model)

    def _on_training_start(self) -> None:
        self._disarm()
        self._modules = modules_with_a_mode(unwrap(self.model.policy))
        if isinstance(self.model, TRPO):
            return  # armed for each update alone
        optimizer = actor_optimizer(self.model.policy)
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        self._parameters = [p for p in actor_parameters(self.model.policy) if id(p) in held]
        self._hook = hooks.Hook(self, type(self)._add_gradient)
        (hooks.after_zero_grad if self.clip == "joint" else hooks.before_step)(optimizer, self._hook)

    def _on_rollout_start(self) -> None:
        if isinstance(self.model, TRPO):
            self._disarm()

    def _on_rollout_end(self) -> None:
        if isinstance(self.model, TRPO):
            self._disarm()
            self._hook = hooks.Hook(self, type(self)._scaled_gradients)
            hooks.in_natural_gradient(self.model, self._hook)

    def _on_training_end(self) -> None:
        self._disarm()

    def _on_step(self) -> bool:
        return True

    def _disarm(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _add_gradient(self) -> None:
        result = self._gradients(self._parameters)
        if result is None:
            return
        gradients, scale = result
        targets, values = [], []
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is None:
                parameter.grad = gradient * scale  # a tensor of its own: gradients may share their memory
            else:
                targets.append(parameter.grad)
                values.append(gradient)
        if targets:
            th._foreach_add_(targets, values, alpha=scale)

    def _scaled_gradients(self, parameters: Sequence[nn.Parameter]) -> hooks.Gradients | None:
        result = self._gradients(parameters)
        if result is None:
            return None
        gradients, scale = result
        return [None if gradient is None else gradient * scale for gradient in gradients]

    def _gradients(self, parameters: Sequence[nn.Parameter]) -> tuple[hooks.Gradients, float] | None:
        """Return the gradients of the loss, and what they are to be multiplied by."""
        with th.enable_grad(), frozen_statistics(self._modules):
            result = self.loss()
            if result is None:
                return None
            loss, coef = result
            if coef == 0.0 or not loss.requires_grad:
                return None
            gradients = th.autograd.grad(loss, parameters, allow_unused=True)
        return gradients, coef * self._clip_factor([gradient for gradient in gradients if gradient is not None])

    def _clip_factor(self, gradients: list[th.Tensor]) -> float:
        limit = self.max_grad_norm
        if limit == "host":
            limit = getattr(self.model, "max_grad_norm", None)
        if limit is None or self.clip == "joint" or isinstance(self.model, TRPO):
            return 1.0
        norm = float(th.linalg.vector_norm(th.stack(th._foreach_norm(gradients))))
        return min(1.0, float(limit) / (norm + 1e-6))

    def __getstate__(self) -> dict[str, Any]:
        return {**lasting_state(self, "_parameters", "_modules"), "_hook": None}


# setting the mode of each of these would take longer than the rest of the bookkeeping
SAME_IN_BOTH_MODES = frozenset(
    {nn.Linear, nn.Conv2d, nn.Flatten, nn.Identity, nn.Tanh, nn.ReLU, nn.Sequential, nn.ModuleList}
    | {FlattenExtractor, MlpExtractor}
)


def modules_with_a_mode(policy: nn.Module) -> list[nn.Module]:
    """Return the modules that may act differently in training and in evaluation, for :func:`frozen_statistics`.

    Recurrent modules are none of them: cuDNN differentiates them in training mode only.
    """
    return [
        module
        for module in policy.modules()
        if type(module) not in SAME_IN_BOTH_MODES and not isinstance(module, nn.RNNBase)
    ]


@contextmanager
def frozen_statistics(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Evaluate a policy without side effects: batch normalisation keeps its statistics, dropout draws nothing.

    :param modules: of the policy, those with a mode
    """
    changed = [module for module in modules if module.training]
    for module in changed:
        module.training = False
    try:
        yield
    finally:
        for module in changed:
            module.training = True
