"""The hybrid objective: reinforcement learning and imitation in one update."""

from pathlib import Path
from typing import Any, Literal

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import Schedule

from gym_ilrl.arguments import is_number, require, require_options, require_positive_int, require_seed
from gym_ilrl.callbacks.coefficient import Anneal, Coefficient
from gym_ilrl.callbacks.demonstration_filters import FILTERS, check_filter, preferred
from gym_ilrl.callbacks.gradient import Clip, GradientCallback
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import required_demonstrations
from gym_ilrl.losses.actions import encode_actions
from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.imitation import imitation_loss, loss_options, require_loss_options
from gym_ilrl.losses.values import action_values, has_action_values
from gym_ilrl.supervised.demonstration_batches import DemonstrationBatches

TD3_BC = "td3bc"


class HybridObjective(GradientCallback):
    r"""Maximises :math:`J_{RL}(\theta) + \lambda(t)\, E_{demo}[\log \pi_\theta(a|s)]`.

    Adds the gradient of the demonstrations' :func:`~gym_ilrl.imitation_loss` to the actor's own inside each of its
    updates, so that both objectives share one step of one optimizer; for policies without a likelihood the loss is
    the squared error (SAC, TD3) or the large margin (DQN). For PPO, A2C, RecurrentPPO, MaskablePPO, TRPO (inside its
    natural gradient step), SAC, TD3, DDPG, TQC, CrossQ, DQN and QR-DQN.

    The coefficient is annealed by default: where the reward can be learnt anyway, a constant one costs return in the
    end. Rajeswaran et al., "Learning Complex Dexterous Manipulation with Deep Reinforcement Learning and
    Demonstrations", RSS 2018 (DAPG), section IV-B.

    :param demonstrations: what to imitate, or the path of a file with them
    :param coef: :math:`\lambda`: a number of at least 0, an SB3 schedule of the progress remaining (which is not
        annealed any further), or ``"td3bc"``: weigh the two objectives independently of the scale of the rewards.
        The algorithm's own term :math:`-Q` has weight one, so imitation gets
        :math:`mean|Q| / \alpha`, the inverse of the :math:`\lambda` by which Fujimoto & Gu, "A Minimalist Approach to
        Offline Reinforcement Learning", NeurIPS 2021, equation 5, multiply :math:`Q`
    :param anneal: ``"linear"``: to zero at the end of the training; ``"constant"``; or a number in (0, 1) that the
        coefficient is multiplied by after each rollout (DAPG's :math:`\lambda_0 \lambda_1^k`, 0.95 there)
    :param batch_size: demonstrated actions in each update; None takes the algorithm's own batch size, or 64
    :param filter: which demonstrated actions count. ``"q"``: those the critic prefers to the policy's own (Nair et
        al., "Overcoming Exploration in Reinforcement Learning with Demonstrations", ICRA 2018, section IV-C; for SAC,
        TD3 and their kin). ``"advantage"``: those from which the demonstrator earned more than the value function
        expects (for PPO, A2C and their kin; needs rewards). None: all of them
    :param clip: see :class:`~gym_ilrl.callbacks.gradient.GradientCallback`
    :param max_grad_norm: see :class:`~gym_ilrl.callbacks.gradient.GradientCallback`
    :param td3bc_alpha: :math:`\alpha` of ``coef="td3bc"``, positive: the larger, the less imitation
    :param loss_kwargs: options of :func:`~gym_ilrl.imitation_loss` for the policy; DQN's mode is ``"margin"`` here
        unless you say otherwise, because its cross entropy knows nothing of the scale of the returns
    :param sequence_length: for recurrent policies: imitate windows of so many consecutive steps
    :param seed: of the order of the demonstrations; None takes the model's
    :param verbose: 0 no output, 1 info
    :raises ValueError: if an argument is outside its range
    :raises TypeError: if the demonstrations are none, or, when the training starts, if the algorithm has no gradient
    """

    def __init__(
        self,
        demonstrations: Demonstrations | str | Path,
        coef: float | Schedule | Literal["td3bc"] = 0.1,
        anneal: Anneal = "linear",
        batch_size: int | None = None,
        filter: Literal["q", "advantage"] | None = None,  # the field's word
        clip: Clip = "separate",
        max_grad_norm: float | Literal["host"] | None = "host",
        td3bc_alpha: float = 2.5,
        loss_kwargs: dict[str, Any] | None = None,
        sequence_length: int = 32,
        seed: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(clip, max_grad_norm, verbose)
        require(filter in (*FILTERS, None), "filter", filter, "'q', 'advantage' or None")
        require(is_number(td3bc_alpha) and td3bc_alpha > 0, "td3bc_alpha", td3bc_alpha, "a positive number")
        require_positive_int("sequence_length", sequence_length)
        if batch_size is not None:
            require_positive_int("batch_size", batch_size)
        require_options("loss_kwargs", loss_kwargs)
        require_seed("seed", seed)
        self.demonstrations = required_demonstrations(demonstrations, "HybridObjective")
        self.scales_by_q = isinstance(coef, str) and coef == TD3_BC
        self.coefficient = Coefficient(1.0 if self.scales_by_q else coef, anneal)  # type: ignore[arg-type]
        self.batch_size = batch_size
        self.filter = filter
        self.td3bc_alpha = td3bc_alpha
        self.loss_kwargs = dict(loss_kwargs or {})
        self.sequence_length = sequence_length
        self.seed = seed

    def loss(self) -> tuple[th.Tensor, float] | None:
        """Return the imitation loss of the next minibatch of demonstrations, and its coefficient."""
        coef = self.coefficient.value(self.model)
        if coef == 0.0:
            self.logger.record("imitation/coef", 0.0)
            return None
        policy, batch = unwrap(self.model.policy), self._batches.draw()
        if self.scales_by_q:
            coef *= self._mean_absolute_q(batch) / self.td3bc_alpha
        if self.filter is None:
            loss = imitation_loss(policy, batch, **self._options)
        else:
            kept = preferred(self.model, batch, self.filter)
            share = batch.mean(kept)  # of the demonstrated actions: padding may be "preferred", too
            self.logger.record_mean("imitation/filter_share", share.item())
            if share == 0.0:
                return None
            loss = share * imitation_loss(policy, batch._replace(weights=kept), **self._options)  # a mean over all
        self.logger.record_mean("imitation/loss", loss.item())
        self.logger.record("imitation/coef", coef)
        return loss, coef

    def check_model(self, model: BaseAlgorithm) -> None:
        """Refuse an algorithm whose policy or critic does not have what is asked of it (see base class)."""
        super().check_model(model)
        require_loss_options(model.policy, self.loss_kwargs)
        check_filter(self.filter, model, self.demonstrations)
        if self.scales_by_q and not has_action_values(model.policy):
            raise ValueError(
                f"coef='td3bc' scales by the critic's action values and {type(model).__name__} has none beside its "
                "actor; give a number"
            )

    def _init_callback(self) -> None:
        super()._init_callback()
        has_margin = "margin" in loss_options(self.model.policy)
        self._options = {**({"mode": "margin"} if has_margin else {}), **self.loss_kwargs}
        self._batches = DemonstrationBatches(
            self.model,
            self.demonstrations,
            self.batch_size or getattr(self.model, "batch_size", 64),  # type: ignore[arg-type]  # A2C has none
            self.seed,
            self.sequence_length,
            with_returns=self.filter == "advantage",
        )

    def _on_rollout_start(self) -> None:
        super()._on_rollout_start()
        self._batches.follow_statistics(self.num_timesteps)

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        self.coefficient.next_rollout()

    def _mean_absolute_q(self, batch: ImitationBatch) -> float:
        policy = unwrap(self.model.policy)
        with th.no_grad():
            values = action_values(policy, batch.observations, encode_actions(policy, batch.actions))
        return float(values.abs().mean())

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_batches", None)
        return state
