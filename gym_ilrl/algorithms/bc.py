"""Behaviour cloning as an SB3 algorithm."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import DummyVecEnv

from gym_ilrl.algorithms.checks import check_options, check_policy_options
from gym_ilrl.algorithms.host import AlgorithmT, build_policy, check_policy_class, hand_over, resolve_base
from gym_ilrl.algorithms.no_environment import NoEnvironment
from gym_ilrl.algorithms.numbering import as_in_environment, counts_from_zero
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import demonstrations_of
from gym_ilrl.losses.kinds import is_recurrent
from gym_ilrl.supervised.fit import Fit, FitOptions
from gym_ilrl.supervised.optimizer import optimizer_name, tune_optimizer
from gym_ilrl.supervised.training_set import TrainingSet, labels_of
from gym_ilrl.supervised.vec_normalize import seed_statistics

SelfBC = TypeVar("SelfBC", bound="BC")


class BC(BaseAlgorithm):
    """Behaviour cloning: supervised learning of the expert's actions (Pomerleau 1991).

    Minimises ``E_demo[imitation_loss]`` (the negative log likelihood for actor-critic policies, see
    :func:`gym_ilrl.imitation_loss`) over the actor of any SB3 or sb3-contrib policy. The critic is left as it
    was initialised. One "timestep" is one update on one minibatch: nothing is executed in the environment.

    :param policy: the policy class or its alias in the algorithm named by ``base``: "MlpPolicy", "CnnPolicy", ...
    :param env: the environment, its id, or a ``VecEnv``; may be None, then the spaces are the demonstrations'
    :param learning_rate: of the policy's own optimiser; a schedule sees the progress remaining, from 1 to 0
    :param batch_size: labels in a minibatch
    :param demonstrations: what to learn from, or the path of a file with them; checked against the environment's
        spaces here, needed only by :meth:`learn`
    :param base: the algorithm whose policy is cloned, a class or a name: :meth:`to` turns the result into it
    :param ent_coef: weight of the entropy bonus (policies with a distribution only)
    :param l2_coef: weight decay ``l2_coef * theta`` added to the gradient of the actor's parameters
    :param max_grad_norm: clip the gradient's norm to this, or None
    :param validation_fraction: share of the episodes held out, in [0, 1); the parameters that were best on them are
        kept in the end
    :param patience: stop after so many epochs in a row that did not lower the loss by a thousandth of it (on the labels
        held out, where there are some), or None: never stop early
    :param log_std: what becomes of the Gaussian's deviation. ``"fit"`` learns it, ``"clamp"`` learns it within
        ``log_std_bounds``, ``"residual"`` leaves it out of the training (which is then least squares) and sets it to
        the residual's deviation, within ``log_std_bounds``, in the end. Likelihood of a deterministic expert drives
        sigma towards zero, and with it the steadiness of the training (its gradient grows with ``1 / sigma^2``) and all
        exploration of a later finetuning. Policies without such a deviation have nothing to clamp
    :param log_std_bounds: least and greatest ``log_std`` for "clamp" and "residual"
    :param class_weight: ``"balanced"`` weighs each discrete action by the inverse of its frequency, or None
    :param sequence_length: for recurrent policies: train on windows of so many consecutive steps
    :param loss_kwargs: options of :func:`gym_ilrl.imitation_loss` for this policy, such as
        ``{"mode": "likelihood"}`` for SAC's
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

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = PPO.policy_aliases

    def __init__(
        self,
        policy: str | type[BasePolicy] = "MlpPolicy",
        env: GymEnv | str | None = None,
        learning_rate: float | Schedule = 1e-3,
        batch_size: int = 64,
        demonstrations: Demonstrations | str | Path | None = None,
        base: str | type[BaseAlgorithm] = PPO,
        ent_coef: float = 0.0,
        l2_coef: float = 0.0,
        max_grad_norm: float | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = None,
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
        self.base = resolve_base(base)
        loaded = demonstrations_of(demonstrations)
        if env is None and loaded is not None:
            env = NoEnvironment(loaded.observation_space, loaded.action_space)
        super().__init__(
            policy,
            env,
            learning_rate,
            policy_kwargs=dict(policy_kwargs or {}),
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            use_sde=use_sde,
            sde_sample_freq=sde_sample_freq,
            supported_action_spaces=(spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary),
        )
        self.batch_size = batch_size
        self.ent_coef = ent_coef
        self.l2_coef = l2_coef
        self.max_grad_norm = max_grad_norm
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.log_std = log_std
        self.log_std_bounds = log_std_bounds
        self.class_weight = class_weight
        self.sequence_length = sequence_length
        self.loss_kwargs = dict(loss_kwargs or {})
        self.demonstrations: Demonstrations | None = None
        check_options(self)
        self.set_demonstrations(loaded)
        if _init_setup_model:
            self._setup_model()

    def set_demonstrations(self, demonstrations: Demonstrations | str | Path | None) -> None:
        """Replace what is learnt from.

        :raises ValueError: if the demonstrations do not fit the spaces
        """
        demonstrations = demonstrations_of(demonstrations)
        if demonstrations is not None and self.env is not None:
            demonstrations.check_compatible(self.env)
        self.demonstrations = demonstrations

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return the policy's actions as the environment numbers them, also where that does not begin at zero.

        :param observation: one observation or a batch
        :param state: memory of a recurrent policy
        :param episode_start: of shape ``(n,)``, for recurrent policies
        :param deterministic: take the most likely action instead of drawing one
        :param action_masks: what is allowed, for maskable policies; the others do not look at it
        :return: the actions and the next memory
        """
        masks = {"action_masks": action_masks} if isinstance(self.policy, MaskableActorCriticPolicy) else {}
        actions, state = self.policy.predict(observation, state, episode_start, deterministic, **masks)
        return as_in_environment(self.action_space, actions), state

    def to(
        self, algorithm: type[AlgorithmT] | str | None = None, env: GymEnv | str | None = None, **kwargs: Any
    ) -> AlgorithmT:
        """Return an SB3 algorithm whose policy is the cloned one, with new optimisers; its critic is untrained.

        :param algorithm: the class or its name, by default ``base``; one whose policies have the same parameters
        :param env: its environment, by default this one's
        :param kwargs: its other arguments; ``policy_kwargs``, ``use_sde``, ``device`` and ``verbose`` are by default
            the ones here
        :raises ValueError: if the policy does not fit into the algorithm, there is no environment, or its discrete
            actions do not begin at zero
        """
        if not counts_from_zero(self.action_space):
            raise ValueError(
                f"SB3's algorithms number actions from zero and those of {self.action_space} begin elsewhere; clone in "
                "an environment that is wrapped so that they begin at zero"
            )
        env = self.env if env is None else env
        if env is None:
            raise ValueError("there is no environment to learn in: give one, to(algorithm, env)")
        for name in ("policy_kwargs", "device", "verbose"):
            kwargs.setdefault(name, getattr(self, name))
        if self.use_sde:
            kwargs.setdefault("use_sde", True)
        kwargs["policy_kwargs"] = dict(kwargs["policy_kwargs"] or {})
        chosen = cast(type[AlgorithmT], resolve_base(self.base if algorithm is None else algorithm))
        return hand_over(self.policy, self.policy_class, chosen, env, **kwargs)

    def learn(
        self: SelfBC,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str = "BC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfBC:
        """Clone the demonstrations.

        :param total_timesteps: number of updates on a minibatch. Callbacks see them in ticks of ``n_envs`` updates, as
            if each were a step of the vectorised environment: progress bars and ``eval_freq`` keep their meaning
        :param callback: called after every tick
        :param log_interval: updates between two log entries, or None
        :param tb_log_name: name of the run in TensorBoard
        :param reset_num_timesteps: whether to count the timesteps from zero
        :param progress_bar: show SB3's progress bar
        :raises ValueError: if there are no demonstrations
        """
        if self.env is None:  # loaded without one
            self.set_env(DummyVecEnv([self._no_environment] * self.n_envs))
        training_set = self._labelled_demonstrations()
        fit = Fit(self.policy, training_set, self._fit_options(), self._generator)
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        # what callbacks look for in locals(), although no environment moves
        new_obs = self._last_obs
        infos: list[dict[str, Any]] = [{} for _ in range(self.n_envs)]
        rewards, dones = np.zeros(self.n_envs), np.zeros(self.n_envs, dtype=bool)
        while self.num_timesteps < total_timesteps and not fit.has_converged:
            callback.on_rollout_start()
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            self._update_learning_rate(fit.optimizer)
            for _ in range(self.n_envs):
                fit.update()
            self._n_updates += self.n_envs
            self.num_timesteps += self.n_envs
            callback.update_locals(locals())
            if not callback.on_step():
                break
            callback.on_rollout_end()
            if log_interval is not None and fit.n_updates % (log_interval * self.n_envs) == 0:
                self._record_fit(fit)
                self.dump_logs()
        fit.finish()
        if log_interval is not None and fit.n_updates % (log_interval * self.n_envs) != 0:
            self._record_fit(fit)
            self.dump_logs()
        callback.on_training_end()
        return self

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed everything that is random here: the order of the labels, too (see base class).

        :param seed: None leaves everything as it is
        """
        super().set_random_seed(seed)
        if seed is not None:
            self._generator.manual_seed(seed)

    def dump_logs(self) -> None:
        """Write the log."""
        elapsed = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)
        self.logger.record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / elapsed))
        self.logger.record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        if self.ep_info_buffer:
            self.logger.record("rollout/ep_rew_mean", safe_mean([info["r"] for info in self.ep_info_buffer]))
            self.logger.record("rollout/ep_len_mean", safe_mean([info["l"] for info in self.ep_info_buffer]))
        if self.ep_success_buffer:
            self.logger.record("rollout/success_rate", safe_mean(self.ep_success_buffer))
        self.logger.dump(step=self.num_timesteps)

    def _setup_model(self) -> None:
        if getattr(self, "observation_space", None) is None:
            raise ValueError("the spaces are unknown: give env= or demonstrations=")
        self._setup_lr_schedule()
        check_policy_class(self.policy_class, self.base)
        self.policy = build_policy(
            self.base,
            self.policy_class,
            self.observation_space,
            self.action_space,
            self.learning_rate,
            self.policy_kwargs,
            seed=self.seed,
            device=self.device,
            **({"use_sde": True, "sde_sample_freq": self.sde_sample_freq} if self.use_sde else {}),
        )
        self._generator = th.Generator().manual_seed(new_seed())
        self.set_random_seed(self.seed)
        check_policy_options(self)
        tune_optimizer(self.policy, self.l2_coef)

    def _labelled_demonstrations(self) -> TrainingSet:
        if self.demonstrations is None:
            raise ValueError(
                f"{type(self).__name__} has nothing to learn from: give demonstrations= to the constructor, "
                "or call set_demonstrations(demonstrations)"
            )
        if self.env is not None:
            self.demonstrations.check_compatible(self.env)
        labels = labels_of(self.demonstrations)
        if self._vec_normalize_env is not None:
            seed_statistics(self._vec_normalize_env, labels.observations)
        training_set = TrainingSet(self.policy, self._vec_normalize_env)
        training_set.extend(labels)
        return training_set

    def _no_environment(self) -> NoEnvironment:
        return NoEnvironment(self.observation_space, self.action_space)

    def _fit_options(self) -> FitOptions:
        check_options(self)
        options = FitOptions(**{name: getattr(self, name) for name in FitOptions.__dataclass_fields__})
        return options if is_recurrent(self.policy) else replace(options, sequence_length=None)

    def _record_fit(self, fit: Fit) -> None:
        for name, value in fit.metrics().items():
            self.logger.record(name, value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _get_policy_from_name(self, policy_name: str) -> type[BasePolicy]:
        if policy_name not in self.base.policy_aliases:
            known = ", ".join(self.base.policy_aliases)
            raise ValueError(f"Policy {policy_name} unknown to {self.base.__name__}; it knows {known}")
        return self.base.policy_aliases[policy_name]

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "demonstrations", "_generator"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", optimizer_name(self.policy)], []


def new_seed() -> int:
    """Draw a seed from torch's global generator, for those who were given none: whoever seeded that, repeats a run."""
    return int(th.randint(2**31, ()))
