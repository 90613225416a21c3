"""Critic warm-up: the actor waits until the critic can judge it."""

import weakref
from typing import Any

import torch as th
from sb3_contrib import ARS, TRPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import explained_variance
from torch import nn

from gym_ilrl.arguments import is_number, is_whole, require
from gym_ilrl.callbacks import hooks
from gym_ilrl.callbacks.critic_reset import reset_critic
from gym_ilrl.callbacks.pickling import lasting_state
from gym_ilrl.losses.actor import actor_parameters, unwrap
from gym_ilrl.losses.values import has_action_values


class CriticWarmup(BaseCallback):
    """Holds a pretrained actor still while the critic learns what it is worth, then lets its learning rate rise.

    The critic of a cloned actor knows nothing; the advantages of the first rollouts are noise, and steps along noise
    undo the cloning. Ramrakhya et al., "PIRLNav: Pretraining with Imitation and RL Finetuning for ObjectNav", CVPR
    2023, section 4.2.

    While it is held, no parameter of the actor changes by a single bit, a features extractor that it shares with the
    critic included, and neither does the entropy coefficient of SAC and its kin, which would drift while the entropy
    cannot answer. Gradients that other callbacks add are held back too, wherever they stand in the list of callbacks.
    TRPO's natural gradient step is taken back, or shortened, right after it is made.

    The steps are those of the model: training that goes on (``reset_num_timesteps=False``), of a loaded model too,
    is held only for what is left of them. The same callback does not hold the same model twice.

    :param n_timesteps: environment steps after which the actor is released
    :param explained_variance: release it earlier, as soon as the critic explains this share of the variance of a
        rollout's returns (at most 1), what SB3 logs as ``train/explained_variance``; on-policy algorithms only
    :param ramp_timesteps: environment steps over which the actor's learning rate then rises linearly from zero to the
        algorithm's own
    :param reset_critic: draw the critic anew when a training starts from step 0. It undoes the critic's part of a
        :class:`~gym_ilrl.callbacks.Pretrain` that stands before it
    :param verbose: 0 no output, 1 info
    :raises ValueError: if an argument is outside its range, or, when the training starts, for an explained variance
        off-policy
    :raises TypeError: when the training starts, if the algorithm has no critic beside its actor (DQN, QR-DQN, ARS)
    """

    def __init__(
        self,
        n_timesteps: int = 10_000,
        explained_variance: float | None = None,
        ramp_timesteps: int = 0,
        reset_critic: bool = False,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        for name, value in (("n_timesteps", n_timesteps), ("ramp_timesteps", ramp_timesteps)):
            require(is_whole(value, 0), name, value, "a whole number of at least 0")
        is_share = explained_variance is None or (is_number(explained_variance) and explained_variance <= 1)
        require(is_share, "explained_variance", explained_variance, "a number of at most 1, or None")
        self.n_timesteps = n_timesteps
        self.explained_variance = explained_variance
        self.ramp_timesteps = ramp_timesteps
        self.reset_critic = reset_critic
        self._hooks: list[hooks.Hook] = []
        self._held: list[tuple[th.optim.Optimizer, list[nn.Parameter]]] = []
        self._statistics: list[tuple[th.Tensor, th.Tensor]] = []
        self._before: list[tuple[nn.Parameter, th.Tensor]] = []
        self._model: weakref.ref[BaseAlgorithm] | None = None
        self._earlier = self._clock = 0  # steps: before the present learn() counted anew, and all
        self._released_at: int | None = None

    @property
    def share(self) -> float:
        """The share of its learning rate that the actor has at present: 0 while it is held, 1 in the end."""
        if self._released_at is None and self._clock < self.n_timesteps:
            return 0.0
        since = self._clock - (self.n_timesteps if self._released_at is None else self._released_at)
        return min(1.0, since / self.ramp_timesteps) if self.ramp_timesteps > 0 else 1.0

    def check_model(self, model: BaseAlgorithm) -> None:
        """Refuse an algorithm that this cannot work with, as every training start does.

        :param model: set up, trained or not
        :raises TypeError: if it has no critic beside its actor
        :raises ValueError: for an explained variance off-policy
        """
        if isinstance(model, ARS) or not (isinstance(model, OnPolicyAlgorithm) or has_action_values(model.policy)):
            raise TypeError(
                f"CriticWarmup holds the actor while the critic learns, and {type(model).__name__} has none "
                "beside its actor; use it with PPO, A2C, SAC, TD3 and their kin, and leave it out here"
            )
        if self.explained_variance is not None and not isinstance(model, OnPolicyAlgorithm):
            raise ValueError(
                f"explained_variance is that of a rollout's returns, which {type(model).__name__} does not have; give "
                "n_timesteps alone"
            )

    def _init_callback(self) -> None:
        self.check_model(self.model)

    def _on_training_start(self) -> None:
        self._disarm()
        model = self.model
        if self._model is None or self._model() is not model:
            self._model, self._released_at = weakref.ref(model), None
            self._earlier = 0
        elif model.num_timesteps + self._earlier < self._clock:  # this learn() counts from zero again
            self._earlier = self._clock - model.num_timesteps
        self._clock = model.num_timesteps + self._earlier
        if self.reset_critic and self._clock == 0:
            reset_critic(model)
        self._is_armed = False

    def _on_step(self) -> bool:
        self._clock = self.num_timesteps + self._earlier
        if not self._is_armed:  # after every callback's training start: hooks are called in order of registration
            self._is_armed = True
            if self.share < 1.0:
                self._arm()
        return True

    def _on_rollout_start(self) -> None:
        self._shorten_step()  # TRPO without critic updates
        self._restore_statistics()

    def _on_rollout_end(self) -> None:
        threshold = self.explained_variance
        if threshold is not None and self.share == 0.0 and self._released_at is None:
            buffer = self.model.rollout_buffer  # type: ignore[attr-defined]
            if explained_variance(buffer.values.flatten(), buffer.returns.flatten()) >= threshold:
                self._released_at = self._clock
        share = self.share
        self.logger.record("imitation/actor_frozen", int(share == 0.0))
        self.logger.record("imitation/actor_learning_rate_share", share)
        if share == 1.0:
            self._disarm()
        elif isinstance(self.model, TRPO):
            self._remember([parameter for _, held in self._held for parameter in held])

    def _on_training_end(self) -> None:
        self._shorten_step()
        self._restore_statistics()
        self._disarm()

    def _arm(self) -> None:
        self._held = held_parameters(self.model)
        for optimizer, parameters in self._held:
            before = hooks.Hook(self, lambda callback, held=parameters: callback._before_step(held))
            after = hooks.Hook(self, lambda callback: callback._shorten_step())
            hooks.before_step(optimizer, before)
            hooks.after_step(optimizer, after)
            self._hooks += [before, after]
        if self.share == 0.0:
            self._statistics = [(buffer, buffer.clone()) for buffer in actor_statistics(unwrap(self.model.policy))]

    def _disarm(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._held, self._statistics, self._before = [], [], [], []

    def _before_step(self, parameters: list[nn.Parameter]) -> None:
        self._shorten_step()  # TRPO made its own before the critic's first
        if self.share == 0.0:
            self._restore_statistics()
            for parameter in parameters:
                parameter.grad = None  # optimizers leave these out
        else:
            self._remember(parameters)

    def _remember(self, parameters: list[nn.Parameter]) -> None:
        self._before = [(parameter, parameter.detach().clone()) for parameter in parameters]

    @th.no_grad()
    def _shorten_step(self) -> None:
        """Scale the last step, which in Adam, RMSprop and SGD is the learning rate times a direction."""
        share = self.share
        for parameter, before in self._before:
            parameter.copy_(before if share == 0.0 else th.lerp(before, parameter, share))
        self._before = []

    @th.no_grad()
    def _restore_statistics(self) -> None:
        """Undo what batch normalisation saw; it would act differently."""
        if self.share == 0.0:
            for buffer, before in self._statistics:
                buffer.copy_(before)

    def __getstate__(self) -> dict[str, Any]:
        return {**lasting_state(self), "_model": None, "_hooks": [], "_held": [], "_statistics": [], "_before": []}


def held_parameters(model: BaseAlgorithm) -> list[tuple[th.optim.Optimizer, list[nn.Parameter]]]:
    """Return what has to be held for the actor to stay as it is, by the optimizer that would move it.

    TD3's critic moves a features extractor that it shares with the actor, too.
    """
    policy = unwrap(model.policy)
    acting = {id(parameter) for parameter in actor_parameters(policy)}
    held = []
    for owner in (policy, getattr(policy, "actor", None), getattr(policy, "critic", None)):
        optimizer = getattr(owner, "optimizer", None)
        if isinstance(optimizer, th.optim.Optimizer):
            parameters = [p for group in optimizer.param_groups for p in group["params"] if id(p) in acting]
            held += [(optimizer, parameters)] if parameters else []
    entropy_optimizer = getattr(model, "ent_coef_optimizer", None)
    if entropy_optimizer is not None:
        held.append((entropy_optimizer, [model.log_ent_coef]))  # type: ignore[attr-defined]
    return held


def actor_statistics(policy: nn.Module) -> list[th.Tensor]:
    """Return the buffers of the modules that act: the statistics of batch normalisation."""
    acting = {id(parameter) for parameter in actor_parameters(policy)}
    return [
        buffer
        for module in policy.modules()
        if any(id(parameter) in acting for parameter in module.parameters(recurse=False))
        for buffer in module.buffers(recurse=False)
    ]
