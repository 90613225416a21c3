"""An anchor: the divergence from the policy that the training began with."""

import weakref
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch as th
from sb3_contrib import ARS
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from gym_ilrl.arguments import is_number, require, require_positive_int, require_seed
from gym_ilrl.callbacks.anchor_reference import given_policy
from gym_ilrl.callbacks.anchor_reward import subtract_log_ratio
from gym_ilrl.callbacks.coefficient import Anneal, Coefficient
from gym_ilrl.callbacks.gradient import Clip, GradientCallback
from gym_ilrl.callbacks.training_states import replayed_states, rollout_states, take
from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.divergence import ActionDistributions, action_distributions
from gym_ilrl.losses.kinds import is_recurrent
from gym_ilrl.losses.snapshot import frozen_copy

HORIZON = 10_000  # environment steps: Ziegler et al. 2019


class KLAnchor(GradientCallback):
    r"""Keeps a policy near the one it began with, so that it does not unlearn what no reward has praised yet.

    ``mode="loss"`` adds :math:`\lambda\, E_s[KL(\pi_0(\cdot|s)\,||\,\pi_\theta(\cdot|s))]` to the actor's loss, over
    the states that the algorithm trains on. Baker et al., "Video PreTraining (VPT)", NeurIPS 2022, appendix G;
    Schmitt et al., "Kickstarting Deep Reinforcement Learning", 2018. For TD3 and DDPG, which have no distribution, it
    is the mean squared difference of the actions: the divergence of Gaussians of equal deviation, up to a factor. A
    recurrent policy is run over windows of 32 steps from a state of zeros.

    ``mode="reward"`` subtracts :math:`\lambda\, (\log \pi_\theta(a|s) - \log \pi_0(a|s))` from each reward of a rollout
    before the advantages are computed, as in learning from human feedback. Ziegler et al., "Fine-Tuning Language
    Models from Human Preferences", 2019, section 2.2.

    :param coef: :math:`\lambda`: a number of at least 0, or an SB3 schedule of the progress remaining, which is not
        annealed any further
    :param reference: :math:`\pi_0`: a policy, a model, or the path of a saved model of the same algorithm, that takes
        the observations which the model's policy takes; None takes the model's own policy at the first step of its
        training (after a :class:`~gym_ilrl.callbacks.Pretrain`) and keeps it when the model goes on learning
    :param target_kl: multiply the coefficient after every rollout by a factor that rises while the divergence, per
        action, is above this, and falls below it: :math:`1 + e\,n / 10000` for ``n`` steps, with
        :math:`e = clip(KL / target - 1, -0.2, 0.2)`; Ziegler et al. 2019, equation 4. None leaves it
    :param anneal: ``"linear"``: to zero at the end of the training; ``"constant"``; or a number in (0, 1) that the
        coefficient is multiplied by after each rollout
    :param mode: ``"loss"``, or ``"reward"`` (on-policy algorithms without memory only)
    :param batch_size: for "loss": states in each update, of a rollout or of the replay buffer; None takes the
        algorithm's own batch size, or 64
    :param clip: see :class:`~gym_ilrl.callbacks.gradient.GradientCallback`
    :param max_grad_norm: see :class:`~gym_ilrl.callbacks.gradient.GradientCallback`
    :param seed: of the choice of states; None takes the model's
    :param verbose: 0 no output, 1 info
    :raises ValueError: if an argument is outside its range, or, when the training starts, if the reference does not
        fit the model, or the mode its algorithm
    :raises TypeError: when the training starts, if the algorithm's policy has no distribution or deterministic actor
        (DQN, QR-DQN) or no gradient (ARS)
    """

    def __init__(
        self,
        coef: float | Schedule = 0.2,
        reference: BasePolicy | BaseAlgorithm | str | Path | None = None,
        target_kl: float | None = None,
        anneal: Anneal = "linear",
        mode: Literal["loss", "reward"] = "loss",
        batch_size: int | None = None,
        clip: Clip = "separate",
        max_grad_norm: float | Literal["host"] | None = "host",
        seed: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(clip, max_grad_norm, verbose)
        is_target = target_kl is None or (is_number(target_kl) and target_kl > 0)
        require(is_target, "target_kl", target_kl, "a positive number, or None")
        require(mode in ("loss", "reward"), "mode", mode, "'loss' or 'reward'")
        if batch_size is not None:
            require_positive_int("batch_size", batch_size)
        is_reference = reference is None or isinstance(reference, nn.Module | BaseAlgorithm | str | Path)
        require(is_reference, "reference", reference, "a policy, a model, the path of a saved model, or None")
        require_seed("seed", seed)
        self.coefficient = Coefficient(coef, anneal)
        self.reference = reference
        self.target_kl = target_kl
        self.mode = mode
        self.batch_size = batch_size
        self.seed = seed
        self._anchor: BasePolicy | None = None
        self._anchor_of: weakref.ref[BaseAlgorithm] | None = None
        self._adapted = 1.0
        self._kls: list[th.Tensor] = []
        self._states: ImitationBatch | None = None

    def loss(self) -> tuple[th.Tensor, float] | None:
        """Return the mean divergence on the next minibatch of states, and its coefficient."""
        coef = self._coef
        if coef == 0.0 or self._anchor is None:
            return None
        if isinstance(self.model, OnPolicyAlgorithm):
            states, reference = self._draw_from_rollout()
        else:
            states = replayed_states(self.model, self._n_states, self._generator)  # type: ignore[arg-type]
            with th.no_grad():
                reference = action_distributions(self._anchor, states)
        current = action_distributions(unwrap(self.model.policy), states)
        loss = states.mean(reference.divergence_to(current))  # type: ignore[arg-type]
        self._kls.append(loss.detach())
        return loss, coef

    @property
    def _coef(self) -> float:
        return self.coefficient.value(self.model) * self._adapted

    def check_model(self, model: BaseAlgorithm) -> None:
        """Refuse an algorithm without what this pulls back, or without the rewards that it changes (see base class)."""
        policy, name = unwrap(model.policy), type(model).__name__
        known = action_distributions.dispatch(type(policy)) is not action_distributions.dispatch(object)
        if isinstance(model, ARS) or not known:
            raise TypeError(
                f"KLAnchor measures how far a distribution of actions has moved, and {name} has none that a gradient "
                "could pull back; use it with PPO, A2C, SAC, TD3 and their kin, and leave it out here"
            )
        super().check_model(model)
        if self.mode == "reward" and (not isinstance(model, OnPolicyAlgorithm) or is_recurrent(policy)):
            raise ValueError(
                f"mode='reward' changes the rewards of a rollout before its advantages are computed, which {name} does "
                "not allow; use mode='loss'"
            )

    def _init_callback(self) -> None:
        super()._init_callback()
        model = self.model
        self._generator = np.random.default_rng(model.seed if self.seed is None else self.seed)
        default: int = getattr(model, "batch_size", 64)  # A2C has none
        self._n_states = self.batch_size or default
        if self._anchor_of is not None and self._anchor_of() is not model:
            self._anchor, self._adapted = None, 1.0
        if self._anchor is None and self.reference is not None:
            self._take_anchor(given_policy(self.reference, model))
        self._anchor_of = weakref.ref(model)

    def _take_anchor(self, policy: BasePolicy) -> None:
        self._anchor = frozen_copy(policy).to(self.model.device)

    def _on_training_start(self) -> None:
        self._kls, self._states = [], None
        if self.mode == "loss":
            super()._on_training_start()

    def _on_step(self) -> bool:
        if self._anchor is None:  # after every callback's training start
            self._take_anchor(unwrap(self.model.policy))
        return True

    def _on_rollout_start(self) -> None:
        if self.mode == "loss":
            super()._on_rollout_start()
        self._states = None
        self._steps_before = self.model.num_timesteps

    def _on_rollout_end(self) -> None:
        if self._kls:
            self._follow(float(th.stack(self._kls).mean()))
            self._kls = []
        coef = self._coef
        self.logger.record("imitation/anchor_coef", coef)
        model, anchor = cast(OnPolicyAlgorithm, self.model), cast(BasePolicy, self._anchor)
        if self.mode == "loss":
            super()._on_rollout_end()
            if isinstance(self.model, OnPolicyAlgorithm):  # whatever coef is now: SB3 updates the progress after this
                self._states = rollout_states(model)
                self._reference = self._evaluate_anchor(self._states)
        elif coef > 0.0:
            self._follow(subtract_log_ratio(model, anchor, rollout_states(model), coef))
        self.coefficient.next_rollout()

    def _follow(self, kl: float) -> None:
        """Log the divergence, and adapt the coefficient to it if there is a target."""
        self.logger.record("imitation/anchor_kl", kl)
        if self.target_kl is not None:
            error = min(max(kl / self.target_kl - 1.0, -0.2), 0.2)
            self._adapted *= 1.0 + error * (self.model.num_timesteps - self._steps_before) / HORIZON

    @th.no_grad()
    def _evaluate_anchor(self, states: ImitationBatch) -> ActionDistributions:
        """Evaluate the anchor once a rollout, not once an update."""
        return action_distributions(self._anchor, states)

    def _draw_from_rollout(self) -> tuple[ImitationBatch, ActionDistributions]:
        states = cast(ImitationBatch, self._states)
        n_states = len(states.actions)
        if self._n_states >= n_states:
            return states, self._reference
        if states.n_sequences == 1:
            rows = self._generator.integers(n_states, size=self._n_states)
            n_sequences = 1
        else:
            length = n_states // states.n_sequences
            n_sequences = max(1, self._n_states // length)
            windows = self._generator.integers(states.n_sequences, size=n_sequences)
            rows = (windows[:, None] * length + np.arange(length)).ravel()
        indices = th.as_tensor(rows, device=self.model.device)
        return take(states, indices, n_sequences), self._reference.rows(indices)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for name in ("_generator", "_reference"):
            state.pop(name, None)
        return {**state, "_anchor_of": None, "_states": None, "_kls": []}
