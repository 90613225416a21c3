"""Supervised pretraining of an algorithm's actor and critic, before its first step."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from gym_ilrl.arguments import is_number, is_whole, require, require_options, require_positive_int, require_seed
from gym_ilrl.buffers import DemoReplay
from gym_ilrl.callbacks.pickling import lasting_state
from gym_ilrl.callbacks.pretrain_critic import fit_action_values, fit_state_values
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import required_demonstrations
from gym_ilrl.losses.actor import actor_optimizer, actor_parameters, copy_actor_to_target, unwrap
from gym_ilrl.losses.imitation import loss_options, require_loss_options
from gym_ilrl.losses.kinds import has_free_deviation, is_recurrent
from gym_ilrl.losses.values import has_action_values
from gym_ilrl.supervised.demonstration_batches import DemonstrationBatches, generator_for
from gym_ilrl.supervised.fit import Fit, FitOptions
from gym_ilrl.supervised.training_set import TrainingSet, labels_of, prepare_observations
from gym_ilrl.supervised.vec_normalize import seed_return_statistics, seed_statistics

LOG_STD_MODES = ("fit", "clamp", "residual")


class Pretrain(BaseCallback):
    """Clones the demonstrations into the policy, and teaches the critic what they are worth.

    Runs once, when the training of an untrained model starts; a model that has been trained already, loaded or not,
    is left as it is, and these updates count (``train/n_updates``). Before them, the statistics of ``VecNormalize``, if
    there is one, see the demonstrations.

    The actor is trained by :func:`~gym_ilrl.imitation_loss` with an Adam of its own. The critic: value functions of
    states (PPO, A2C and their kin) by regression on the demonstrations' returns to go; those of actions (SAC, TD3 and
    their kin) by the algorithm's own update on the demonstrations alone, the actor held still. In DQN and QR-DQN the
    two are one network, which the algorithm's own update trains together with the large margin, as in the pretraining
    phase of Hester et al., "Deep Q-learning from Demonstrations", AAAI 2018.

    Cloning and regression leave SB3's global random streams alone; the updates of an off-policy critic draw from them,
    as they do during the training.

    :param demonstrations: what to clone, or the path of a file with them
    :param n_epochs: passes over the demonstrations for the actor; 0 leaves it
    :param batch_size: demonstrated actions in a minibatch
    :param learning_rate: of actor and value function
    :param critic_updates: minibatches for the critic, 0 leaves it. Without rewards it is left
    :param log_std: the deviation of a Gaussian policy (PPO's and its kin in a ``Box``) after the pretraining, set on
        purpose: left alone at its initial 1 the first rollout is noise, and likelihood alone drives it towards zero
        and all exploration with it. ``"clamp"`` learns it within ``log_std_bounds``, ``"fit"`` learns it,
        ``"residual"`` sets it to the residual's deviation within the bounds, a number sets it to this
    :param log_std_bounds: least and greatest ``log_std`` for "clamp" and "residual"
    :param ent_coef: weight of the entropy bonus in the cloning (policies with a distribution only)
    :param max_grad_norm: clip the gradient's norm to this, or None
    :param loss_kwargs: options of :func:`~gym_ilrl.imitation_loss` for the policy
    :param sequence_length: for recurrent policies: train on windows of so many consecutive steps
    :param seed: of the order of the demonstrations; None takes the model's
    :param verbose: 0 no output, 1 info
    :raises ValueError: if an argument is outside its range
    :raises TypeError: if the demonstrations are none, or, when the training starts, if the algorithm has no gradient
    """

    def __init__(
        self,
        demonstrations: Demonstrations | str | Path,
        n_epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        critic_updates: int = 1000,
        log_std: str | float = "clamp",
        log_std_bounds: tuple[float, float] = (-2.0, 0.5),
        ent_coef: float = 0.0,
        max_grad_norm: float | None = None,
        loss_kwargs: dict[str, Any] | None = None,
        sequence_length: int = 32,
        seed: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        for name, value in (("n_epochs", n_epochs), ("critic_updates", critic_updates)):
            require(is_whole(value, 0), name, value, "a whole number of at least 0")
        for name, value in (("batch_size", batch_size), ("sequence_length", sequence_length)):
            require_positive_int(name, value)
        require(is_number(learning_rate) and learning_rate > 0, "learning_rate", learning_rate, "a positive number")
        known_mode = log_std in LOG_STD_MODES or is_number(log_std)
        require(known_mode, "log_std", log_std, f"a number, or one of {', '.join(LOG_STD_MODES)}")
        require(is_number(ent_coef) and ent_coef >= 0, "ent_coef", ent_coef, "a number of at least 0")
        is_norm = max_grad_norm is None or (is_number(max_grad_norm) and max_grad_norm > 0)
        require(is_norm, "max_grad_norm", max_grad_norm, "a positive number, or None")
        bounds = log_std_bounds
        is_pair = isinstance(bounds, Sequence) and len(bounds) == 2 and all(map(is_number, bounds))
        require(is_pair and bounds[0] <= bounds[1], "log_std_bounds", bounds, "two numbers, (least, greatest)")
        require_options("loss_kwargs", loss_kwargs)
        require_seed("seed", seed)
        self.demonstrations = required_demonstrations(demonstrations, "Pretrain")
        self.n_epochs = n_epochs
        self.critic_updates = critic_updates
        self.seed = seed
        is_mode = isinstance(log_std, str)
        self.log_std = log_std
        self._options = FitOptions(
            batch_size=batch_size,
            ent_coef=ent_coef,
            max_grad_norm=max_grad_norm,
            validation_fraction=0.0,
            patience=None,
            log_std=str(log_std) if is_mode else "clamp",
            log_std_bounds=log_std_bounds if is_mode else (float(log_std), float(log_std)),  # clamped to one value
            class_weight=None,
            sequence_length=sequence_length,
            loss_kwargs=dict(loss_kwargs or {}),
        )
        self.learning_rate = learning_rate

    def check_model(self, model: BaseAlgorithm) -> None:
        """Refuse an algorithm that this cannot work with, as every training start does.

        :param model: set up, trained or not
        :raises TypeError: if it has no gradient
        :raises ValueError: if its policy lacks what an option is for, or its environment differs from the demonstrated
        """
        policy = unwrap(model.policy)
        actor_optimizer(policy)
        if self._options.ent_coef > 0 and "ent_coef" not in loss_options(policy):
            raise ValueError(
                f"ent_coef={self._options.ent_coef} needs a policy with a distribution, not {type(policy).__name__}; "
                "leave it 0"
            )
        require_loss_options(policy, self._options.loss_kwargs)
        if self.log_std not in ("clamp", "fit"):
            is_residual = self.log_std == "residual"
            if not has_free_deviation(policy) or (is_residual and is_recurrent(policy)):
                raise ValueError(
                    f"log_std={self.log_std!r} needs a policy with a Gaussian of free deviation"
                    f"{' and no memory' if is_residual else ''} (PPO's and its kin, in a Box, use_sde=False), not "
                    f"{type(policy).__name__} in {policy.action_space}; leave log_std='clamp'"
                )
        env = model.get_env()
        if env is not None:
            self.demonstrations.check_compatible(env)

    def _init_callback(self) -> None:
        self.check_model(self.model)

    def _on_training_start(self) -> None:
        if self.model._n_updates > 0:
            return
        self._seed_statistics()
        is_q_network = isinstance(self.model, OffPolicyAlgorithm) and not has_action_values(self.model.policy)
        if not is_q_network and self.n_epochs > 0:
            self._clone()
        if self.critic_updates > 0 and self._rewards_are_known():
            self._teach_critic()

    def _on_step(self) -> bool:
        return True

    def _rewards_are_known(self) -> bool:
        buffer = getattr(self.model, "replay_buffer", None)
        is_relabelled = isinstance(buffer, DemoReplay) and buffer.demo_relabelling.reward is not None
        return is_relabelled or self.demonstrations.rewards is not None

    def _seed_statistics(self) -> None:
        vec_normalize = self.model.get_vec_normalize_env()
        if vec_normalize is None:
            return
        seed_statistics(vec_normalize, self.demonstrations.observations)
        if self.demonstrations.rewards is not None:
            seed_return_statistics(vec_normalize, self.demonstrations)
        if self.model._last_obs is not None:  # the first observation was normalised before
            original, space = vec_normalize.get_original_obs(), self.model.policy.observation_space
            self.model._last_obs = prepare_observations(original, space, vec_normalize)

    def _clone(self) -> None:
        policy = unwrap(self.model.policy)
        training_set = TrainingSet(policy, self.model.get_vec_normalize_env())
        training_set.extend(labels_of(self.demonstrations))
        optimizer = th.optim.Adam(actor_parameters(policy), lr=self.learning_rate)
        options = self._options if is_recurrent(policy) else replace(self._options, sequence_length=None)
        fit = Fit(policy, training_set, options, generator_for(self.model, self.seed), optimizer)
        for _ in range(self.n_epochs * fit.updates_per_epoch):
            fit.update()
        fit.finish()
        copy_actor_to_target(policy)
        self.model._n_updates += fit.n_updates
        for name, value in fit.metrics().items():
            self.logger.record(name.replace("imitation/", "imitation/pretrain_"), value)
        if self.verbose >= 1:
            print(f"Pretrain: {fit.n_updates} updates on {len(training_set)} demonstrated actions")  # noqa: T201

    def _teach_critic(self) -> None:
        if isinstance(self.model, OffPolicyAlgorithm):
            options = self._options.loss_kwargs
            fit_action_values(self.model, self.demonstrations, self.critic_updates, self.seed, options)
        elif isinstance(self.model, OnPolicyAlgorithm):
            size, window = self._options.batch_size, self._options.sequence_length or 1
            batches = DemonstrationBatches(self.model, self.demonstrations, size, self.seed, window, with_returns=True)
            loss = fit_state_values(self.model, batches, self.critic_updates, self.learning_rate)
            self.model._n_updates += self.critic_updates
            self.logger.record("imitation/pretrain_value_loss", loss)

    def __getstate__(self) -> dict[str, Any]:
        return lasting_state(self)
