"""DAgger as an SB3 algorithm."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from gym_ilrl.algorithms.bc import BC, new_seed
from gym_ilrl.algorithms.beta_schedules import BetaSchedule, resolve_beta_schedule
from gym_ilrl.algorithms.checkpoint import Checkpoint
from gym_ilrl.algorithms.labeller import Labeller, check_expert
from gym_ilrl.algorithms.no_environment import is_no_environment
from gym_ilrl.algorithms.round_labels import RoundLabels
from gym_ilrl.arguments import require_positive_int
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.raw_observations import raw_observations
from gym_ilrl.supervised.fit import Fit, FitOptions, can_hold_out
from gym_ilrl.supervised.training_set import Labels, TrainingSet, labels_of

SelfDAgger = TypeVar("SelfDAgger", bound="DAgger")


class DAgger(BC):
    """Dataset aggregation (Ross, Gordon and Bagnell 2011, https://arxiv.org/abs/1011.0686, algorithm 3.1).

    In round ``i`` the mixture policy acts for ``n_steps`` steps: at each step the expert with probability ``beta_i``,
    else the learner. The expert labels every visited state; the labels join all earlier ones, and the policy is fitted
    to the aggregate. Where behaviour cloning's cost grows with the square of the horizon, DAgger's is linear in it
    (theorem 3.2), because it learns in the states its own mistakes lead to.

    Demonstrations, if there are some, are round 0: no step is made in it, and the expert's turn is over if ``beta_i``
    is 1 in round 0 only. "Timesteps" are environment steps, as everywhere in SB3.

    :param policy: the policy class or its alias in the algorithm named by ``base``: "MlpPolicy", "CnnPolicy", ...
    :param env: the environment, its id, or a ``VecEnv``
    :param learning_rate: of the policy's own optimiser; a schedule sees the progress remaining, from 1 to 0
    :param batch_size: labels in a minibatch
    :param demonstrations: labels to begin with, or the path of a file with them
    :param expert: who labels: an SB3 model or policy, the path of a saved model, anything with SB3's ``predict``, or a
        function from a batch of observations to a batch of actions. It is given the environment's own observations
        (not normalised, images as the environment gives them). None: the environment's own expert,
        :func:`gym_ilrl.expert`
    :param n_steps: steps in a round, for each sub-environment
    :param n_epochs: passes over the aggregate in each round, at most
    :param beta_schedule: probability that the expert acts: a function of the round number (0, 1, ...), or
        ``"indicator"`` (1, then 0), ``"linear"``, ``"exponential"``; see :mod:`gym_ilrl.algorithms.beta_schedules`
    :param deterministic: whether the learner acts without drawing, as it does when it is evaluated
    :param checkpoint_dir: where every label is written as soon as it is given, and the model after every round. A run
        that was killed resumes from there when it is started again: same script, same directory
    :param base: the algorithm whose policy is cloned, a class or a name: :meth:`to` turns the result into it
    :param ent_coef: see :class:`~gym_ilrl.algorithms.bc.BC`, as for all that follow
    :param l2_coef: weight decay of the actor's parameters
    :param max_grad_norm: clip the gradient's norm to this, or None
    :param validation_fraction: share of the episodes held out in each round, as soon as there are enough of them
    :param patience: a round's fitting stops after so many epochs in a row that did not lower the loss, or None
    :param log_std: what becomes of the Gaussian's deviation: "fit", "clamp" or "residual"
    :param log_std_bounds: least and greatest ``log_std`` for "clamp" and "residual"
    :param class_weight: ``"balanced"`` or None
    :param sequence_length: for recurrent policies: train on windows of so many consecutive steps
    :param loss_kwargs: options of :func:`gym_ilrl.imitation_loss` for this policy
    :param use_sde: generalised state-dependent exploration, as in ``base``
    :param sde_sample_freq: as in ``base``
    :param stats_window_size: episodes that the logged mean return is taken over
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: makes a run repeatable, bit for bit on CPU
    :param device: "cpu", "cuda", ... or "auto"
    :param _init_setup_model: whether to build the networks at construction
    :raises ValueError: for demonstrations that do not fit the spaces, and for options outside their range
    """

    _memory: Any = None  # of a recurrent learner, which goes on from round to round
    _training_set: TrainingSet | None = None  # the aggregate, from the first learn() on
    _checkpoint: Checkpoint | None = None

    def __init__(
        self,
        policy: str | type[BasePolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 1e-3,
        batch_size: int = 128,
        demonstrations: Demonstrations | str | Path | None = None,
        expert: Any = None,
        n_steps: int = 250,
        n_epochs: int = 10,
        beta_schedule: str | BetaSchedule = "indicator",
        deterministic: bool = True,
        checkpoint_dir: str | Path | None = None,
        base: str | type[BaseAlgorithm] = PPO,
        ent_coef: float = 0.0,
        l2_coef: float = 0.0,
        max_grad_norm: float | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = 3,
        log_std: str = "clamp",
        log_std_bounds: tuple[float, float] = (-2.0, 0.5),
        class_weight: str | None = None,
        sequence_length: int = 32,
        loss_kwargs: dict[str, Any] | None = None,
        use_sde: bool = False,
        sde_sample_freq: int = -1,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            batch_size=batch_size,
            demonstrations=demonstrations,
            base=base,
            ent_coef=ent_coef,
            l2_coef=l2_coef,
            max_grad_norm=max_grad_norm,
            validation_fraction=validation_fraction,
            patience=patience,
            log_std=log_std,
            log_std_bounds=log_std_bounds,
            class_weight=class_weight,
            sequence_length=sequence_length,
            loss_kwargs=loss_kwargs,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=False,
        )
        require_positive_int("n_steps", n_steps)
        require_positive_int("n_epochs", n_epochs)
        self.set_expert(expert)
        self.n_steps = n_steps
        self.n_epochs = n_epochs
        self.beta_schedule = resolve_beta_schedule(beta_schedule)
        self.deterministic = deterministic
        self.checkpoint_dir = checkpoint_dir
        self.n_rounds = 0
        self.n_labels = 0
        self.n_expert_steps = 0
        self.n_failures = 0
        if _init_setup_model:
            self._setup_model()

    def set_expert(self, expert: Any) -> None:
        """Replace who labels, e.g. after :meth:`load`, which does not bring the expert back.

        :param expert: as for the constructor; None: the environment's own
        :raises TypeError: if it is nothing that can label
        :raises ValueError: if it is the path of a file that does not exist
        """
        check_expert(expert)
        self.expert: Any = expert
        self._is_own_expert = expert is None  # saved with the model, as the expert is not

    def learn(
        self: SelfDAgger,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 1,
        tb_log_name: str = "DAgger",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfDAgger:
        """Learn from the expert in the learner's own states.

        :param total_timesteps: number of environment steps, rounded up to whole rounds
        :param callback: called after every step
        :param log_interval: rounds between two log entries, or None
        :param tb_log_name: name of the run in TensorBoard
        :param reset_num_timesteps: whether to count the timesteps from zero
        :param progress_bar: show SB3's progress bar
        :raises ValueError: if there is no environment to act in, or no expert for it; or if the model was loaded and
            its expert is not the environment's own: :meth:`set_expert` has to bring it back
        """
        if self.env is None or is_no_environment(self.env):
            raise ValueError("DAgger acts in an environment and was given none; call set_env(env)")
        if self.expert is None and not self._is_own_expert:
            raise ValueError(
                "the expert of this model is not saved with it; call set_expert(expert) after load(), or "
                "set_expert(None) for the environment's own"
            )
        labeller = Labeller(self.expert, self.env)
        self._needs_masks = self._n_masks > 0 or labeller.needs_masks
        if self._needs_masks and not is_masking_supported(self.env):
            raise ValueError("the policy or the expert needs action masks, and the environment has no action_masks()")
        if self._training_set is not None:
            self._training_set.set_vec_normalize(self._vec_normalize_env)
        elif self._begin():
            reset_num_timesteps, total_timesteps = False, max(0, total_timesteps - self.num_timesteps)
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        if reset_num_timesteps:
            self._memory = None
        while self._n_labels_left <= 0 or self.num_timesteps < total_timesteps:
            if self._n_labels_left > 0 and not self._collect_round(labeller, callback):
                break
            self._end_round(log_interval)
        callback.on_training_end()
        return self

    def set_demonstrations(self, demonstrations: Demonstrations | str | Path | None) -> None:
        """Set the labels to begin with; once learning has begun, they join the aggregate.

        :raises ValueError: if the demonstrations do not fit the spaces
        """
        super().set_demonstrations(demonstrations)
        if self._training_set is not None and self.demonstrations is not None:
            self._training_set.extend(labels_of(self.demonstrations))

    def _begin(self) -> bool:
        """Make the aggregate; return True if this goes on with a run that was killed."""
        assert self.env is not None
        if self.checkpoint_dir is not None:
            self._checkpoint = Checkpoint(Path(self.checkpoint_dir), self.env, self._n_masks)
            self.demonstrations = self._checkpoint.keep_demonstrations(self.demonstrations)
        if self.demonstrations is not None:
            training_set = self._labelled_demonstrations()
        else:
            training_set = TrainingSet(self.policy, self._vec_normalize_env)
        resumes = self._checkpoint is not None and self._checkpoint.restore(self, training_set)
        if self.n_rounds == 0 and self.demonstrations is not None:
            self._n_labels_left = 0  # they are round 0: it only has to be fitted
        self._training_set = training_set
        if resumes and self.verbose >= 1:
            print(f"Resuming from {self.checkpoint_dir}: {self.n_labels} labels, {self.num_timesteps} steps")  # noqa: T201
        if self.n_labels and self._checkpoint is None:
            warnings.warn(
                f"save() does not store labels: the {self.n_labels} that this model has learned from are not learned "
                "from again; with checkpoint_dir they are kept"
            )
        if resumes and self.seed is not None:  # or the episodes that the run began with would come once more
            self.set_random_seed(self.seed + self.n_labels)
        return resumes

    def _collect_round(self, labeller: Labeller, callback: BaseCallback) -> bool:
        """Let the mixture policy act for a round and take in its labels; return False if a callback stopped it."""
        assert self.env is not None
        assert self._training_set is not None
        assert self._last_episode_starts is not None
        beta = self._beta()
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        journal = None if self._checkpoint is None else self._checkpoint.journal
        labels = RoundLabels(labeller, journal, ask_at_once=beta > 0 or journal is not None)
        going_on = True
        callback.on_rollout_start()
        try:
            while going_on and self._n_labels_left > 0:
                masks = get_action_masks(self.env) if self._needs_masks else None
                answers = labels.visit(raw_observations(self.env, self._last_obs), self._last_episode_starts, masks)
                actions = self._mixture_actions(beta, answers, masks)
                new_obs, rewards, dones, infos = self.env.step(actions)
                self.num_timesteps += self.n_envs
                self._n_labels_left -= self.n_envs
                self.n_failures += sum(map(is_failure, dones, infos))
                self._update_info_buffer(infos, dones)
                self._last_obs, self._last_episode_starts = new_obs, dones  # type: ignore[assignment]
                callback.update_locals(locals())
                going_on = callback.on_step()
        finally:  # whatever a callback raises, the labels are kept
            self._take_in(labels.close())
        callback.on_rollout_end()
        return going_on

    def _take_in(self, labels: Labels | None) -> None:
        assert self._training_set is not None
        if labels is not None:
            self._training_set.extend(labels)
            self.n_labels += len(labels.actions)

    def _beta(self) -> float:
        beta = float(self.beta_schedule(self.n_rounds))
        if not 0 <= beta <= 1:
            raise ValueError(f"beta_schedule gave {beta} for round {self.n_rounds}; expected a probability")
        return beta

    def _mixture_actions(
        self, beta: float, answers: NDArray[Any] | None, masks: NDArray[np.bool_] | None
    ) -> NDArray[Any]:
        """Draw for each sub-environment who acts: the expert with probability ``beta``, else the learner."""
        if answers is not None and beta >= 1:
            self.n_expert_steps += self.n_envs
            return answers
        assert self._last_obs is not None
        actions, self._memory = self.predict(
            self._last_obs, self._memory, self._last_episode_starts, self.deterministic, masks
        )
        if answers is not None:
            by_expert = self._coin.random(self.n_envs) < beta
            actions[by_expert] = answers[by_expert]
            self.n_expert_steps += int(by_expert.sum())
        return actions

    def _end_round(self, log_interval: int | None) -> None:
        """Fit the policy to the aggregate, write the checkpoint and the log."""
        assert self._training_set is not None
        beta = self._beta()
        self._training_set.normalise()
        fit = Fit(self.policy, self._training_set, self._fit_options(), self._generator)
        self._update_learning_rate(fit.optimizer)
        while fit.n_updates < self.n_epochs * fit.updates_per_epoch and not fit.has_converged:
            fit.update()
        fit.finish()
        self._n_updates += fit.n_updates
        self.n_rounds += 1
        self._n_labels_left = self.n_steps * self.n_envs
        if self._checkpoint is not None:
            self._checkpoint.save(self)
        if log_interval is not None and self.n_rounds % log_interval == 0:
            self._record_fit(fit)
            self.logger.record("imitation/rounds", self.n_rounds)
            self.logger.record("imitation/labels", self.n_labels)
            self.logger.record("imitation/expert_steps", self.n_expert_steps)
            self.logger.record("imitation/failures", self.n_failures)
            self.logger.record("imitation/beta", beta)
            self.dump_logs()

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed everything that is random here: the draws of who acts, too (see base class).

        :param seed: None leaves everything as it is
        """
        super().set_random_seed(seed)
        if seed is not None:
            self._coin = np.random.default_rng(seed)

    def _fit_options(self) -> FitOptions:
        options = super()._fit_options()
        assert self._training_set is not None
        if can_hold_out(self._training_set.episode_starts, options.validation_fraction):
            return options
        return replace(options, validation_fraction=0.0)  # too few episodes until now

    def _setup_model(self) -> None:
        self._coin = np.random.default_rng(new_seed())
        super()._setup_model()
        self._n_masks = number_of_masks(self.policy)
        self._n_labels_left = self.n_steps * self.n_envs

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "expert", "_training_set", "_checkpoint", "_coin", "_memory"]


def is_failure(done: bool, info: dict[str, Any]) -> bool:
    """Tell whether an episode ended before its time and without success."""
    return bool(done) and not info.get("TimeLimit.truncated", False) and not info.get("is_success", False)


def number_of_masks(policy: BasePolicy) -> int:
    """Return the length of the action masks that the policy needs, 0 if it needs none."""
    if not isinstance(policy, MaskableActorCriticPolicy):
        return 0
    space = policy.action_space
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return int(np.sum(space.nvec))
    assert isinstance(space, spaces.MultiBinary)  # maskable policies have no other
    return 2 * int(np.prod(space.shape))
