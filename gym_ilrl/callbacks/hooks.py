"""The places inside an algorithm's update where a callback can act, without touching the algorithm's code.

A callback that is interrupted, by an exception or a killed run, never hears of the end of the training. So every hook
here is tied to one call of ``learn()``: as soon as another one has begun, or the callback is gone, it does nothing and
removes itself. Several callbacks may hook the same place.
"""

import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

CallbackT = TypeVar("CallbackT", bound=BaseCallback)
Remove = Callable[[], None]
Gradients = Sequence[th.Tensor | None]


class Hook:
    """An action of a callback, for as long as the ``learn()`` goes on in which it was made.

    :param callback: at its training start; it is not kept alive
    :param action: called with the callback first, whatever else the place gives it next
    """

    def __init__(self, callback: CallbackT, action: Callable[..., Any]) -> None:
        self._callback, self._action = weakref.ref(callback), action
        self._start_time = callback.model.start_time  # set anew by every learn()
        self.remove: Remove = lambda: None

    def __call__(self, *arguments: Any) -> Any:
        """Act, or remove the hook if its ``learn()`` is over."""
        callback = self._callback()
        if callback is None or callback.model.start_time != self._start_time:
            self.remove()
            return None
        return self._action(callback, *arguments)


def before_step(optimizer: th.optim.Optimizer, hook: Hook) -> None:
    """Call ``hook()`` before every step of ``optimizer``, when its gradients are complete and clipped.

    Optimizers do not store their hooks: models that are saved or copied meanwhile have none.
    """
    hook.remove = optimizer.register_step_pre_hook(lambda *_: hook()).remove


def after_step(optimizer: th.optim.Optimizer, hook: Hook) -> None:
    """Call ``hook()`` after every step of ``optimizer``."""
    hook.remove = optimizer.register_step_post_hook(lambda *_: hook()).remove


def after_zero_grad(optimizer: th.optim.Optimizer, hook: Hook) -> None:
    """Call ``hook()`` after every ``zero_grad()``, before the algorithm's own gradient is added and clipped.

    An attribute of this one optimizer, which is not stored either.
    """
    plain = type(optimizer).zero_grad

    def zero_grad(hooks: list[Hook], set_to_none: bool = True) -> None:
        plain(optimizer, set_to_none)
        for each in list(hooks):
            each()

    hook.remove = _override(optimizer, "zero_grad", zero_grad, hook)


def in_natural_gradient(model: BaseAlgorithm, hook: Hook) -> None:
    """Subtract the gradients of a loss from TRPO's gradient of the surrogate objective, before it becomes a step.

    TRPO moves its actor by a natural gradient step within a trust region; its optimizer moves the critic only.

    :param model: a TRPO, whose ``_compute_actor_grad`` is overridden in this one object. SB3 saves all attributes but
        ``_excluded_save_params()``, so that method is overridden, too: an interrupted model is saved as any other
    :param hook: called with the actor's parameters, returns the loss's gradients for them or None
    """
    plain = type(model)._compute_actor_grad  # type: ignore[attr-defined]
    overridden = ["_compute_actor_grad", "_excluded_save_params"]

    def compute_actor_grad(hooks: list[Hook], kl_div: th.Tensor, policy_objective: th.Tensor) -> Any:
        parameters, objective_gradient, grad_kl, shapes = plain(model, kl_div, policy_objective)
        for each in list(hooks):
            added: Gradients | None = each(parameters)
            if added is not None:
                objective_gradient = objective_gradient - flatten(parameters, added)
        return parameters, objective_gradient, grad_kl, shapes

    def excluded_save_params(_: list[Hook]) -> list[str]:
        return [*type(model)._excluded_save_params(model), *overridden]

    removals = [
        _override(model, overridden[0], compute_actor_grad, hook),
        _override(model, overridden[1], excluded_save_params, hook),
    ]

    def remove() -> None:
        for each in removals:
            each()

    hook.remove = remove


def flatten(parameters: Sequence[nn.Parameter], gradients: Gradients) -> th.Tensor:
    """Return the gradients as one vector, zero where there is none."""
    pairs = zip(parameters, gradients, strict=True)
    return th.cat([(th.zeros_like(p) if gradient is None else gradient).reshape(-1) for p, gradient in pairs])


def _override(owner: object, name: str, function: Callable[..., Any], hook: Hook) -> Remove:
    """Override a method of one object by ``function``, given the hooks of this place; the last removal restores it."""
    attributes = vars(owner)
    if name not in attributes:
        hooks: list[Hook] = []
        attributes[name] = types.MethodType(function, hooks)
    registered: list[Hook] = attributes[name].__self__
    registered.append(hook)

    def remove() -> None:
        if hook in registered:
            registered.remove(hook)
        if not registered:
            attributes.pop(name, None)

    return remove
