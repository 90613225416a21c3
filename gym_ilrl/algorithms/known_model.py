"""What the algorithms have in common that read the model of their environment instead of trying it out."""

import sys
import time
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecEnv

from gym_ilrl.algorithms.environment_models import as_environment, read_model
from gym_ilrl.algorithms.ticks import Ticks
from gym_ilrl.arguments import require, require_options, require_seed
from gym_ilrl.planning.checks import check_limits
from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.policies.tabular import TabularPolicy

SelfKnownModel = TypeVar("SelfKnownModel", bound="KnownModel")

_GAMMA = 0.99


class KnownModel(BaseAlgorithm):
    """Base of the algorithms that read the model of their environment.

    One "timestep" is one update of the policy or of what it follows from: nothing is executed in the environment. A
    subclass says what an update is, and sets ``converged`` when no other one is needed.

    :param policy: ``"TabularPolicy"``, or a subclass of it
    :param env: an environment that publishes its model (see :meth:`gym_ilrl.TabularMDP.from_env`), its id, a
        ``VecEnv`` of such environments, or a :class:`~gym_ilrl.TabularMDP`
    :param gamma: discount factor, in [0, 1]; None: that of a given ``TabularMDP``, else 0.99
    :param horizon: number of steps after which an episode is over; the policy then depends on time. None: that of a
        given ``TabularMDP``, else unlimited; the time limit of an environment is modelled by
        ``horizon=env.spec.max_episode_steps``
    :param learning_rate: of subclasses that train by gradients
    :param stats_window_size: as in SB3
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: of the policy's draws
    :param device: where the policy's table is; "auto" is the CPU, which looks up a row faster than it is sent away
    :param _init_setup_model: whether to build the policy at construction
    :raises ValueError: for an environment without a model, and for arguments outside their range
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"TabularPolicy": TabularPolicy}
    _not_copied: ClassVar[frozenset[str]] = frozenset({"_logger"})
    policy: TabularPolicy
    observation_space: spaces.Discrete
    action_space: spaces.Discrete

    def __init__(
        self,
        policy: str | type[BasePolicy] = "TabularPolicy",
        env: GymEnv | str | TabularMDP | None = None,
        gamma: float | None = None,
        horizon: int | None = None,
        learning_rate: float | Schedule = 0.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if isinstance(env, TabularMDP):
            gamma = env.gamma if gamma is None else gamma
            horizon = env.horizon if horizon is None else horizon
        check_limits(_GAMMA if gamma is None else gamma, horizon)
        require_seed("seed", seed)
        require_options("policy_kwargs", policy_kwargs)
        super().__init__(
            policy,
            env if env is None or isinstance(env, str) else as_environment(env),
            learning_rate=learning_rate,
            policy_kwargs=dict(policy_kwargs or {}),
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device="cpu" if device == "auto" else device,
            support_multi_env=True,
            seed=seed,
        )
        self.gamma = _GAMMA if gamma is None else float(gamma)
        self.horizon = None if horizon is None else int(horizon)
        self.converged = False
        self._mdp: TabularMDP | None = None
        self._is_watched = False
        if _init_setup_model:
            self._setup_model()

    @property
    def mdp(self) -> TabularMDP:
        """The model, read from the environment on first use.

        :raises ValueError: if there is no environment, or it publishes no model
        """
        if self._mdp is None:
            if self.env is None:
                raise ValueError(
                    f"this {type(self).__name__} was loaded without an environment, and the model is not saved: "
                    "load(path, env=env), or call set_env(env)"
                )
            self._mdp = read_model(self.env, self.gamma, self.horizon)
        return self._mdp

    def set_env(self, env: GymEnv | TabularMDP, force_reset: bool = True) -> None:
        """Replace the environment, and with it the model.

        :param env: with the same spaces and number of environments
        :param force_reset: see SB3
        :raises ValueError: if the spaces are others, or the environment publishes no model
        """
        wrapped = self._wrap_env(env, self.verbose)
        mdp = read_model(wrapped, self.gamma, self.horizon)
        check_for_correct_spaces(wrapped, self.observation_space, self.action_space)
        self._accept(wrapped, mdp)
        super().set_env(wrapped, force_reset)
        self._mdp = mdp

    def learn(
        self: SelfKnownModel,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 10,
        tb_log_name: str = "",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfKnownModel:
        """Go on until it has converged, or the timesteps are used up; a second call goes on from there.

        :param total_timesteps: number of updates at most. Callbacks see them in ticks of ``n_envs`` updates, as if each
            were a step of the vectorised environment: progress bars and ``eval_freq`` keep their meaning
        :param callback: called after every tick
        :param log_interval: ticks between two log entries, or None: no log
        :param tb_log_name: name of the run in TensorBoard; empty: the name of the class
        :param reset_num_timesteps: whether to count the timesteps from zero
        :param progress_bar: show SB3's progress bar
        :raises ValueError: if the model was loaded without an environment
        """
        self._mdp = self.mdp
        self._is_watched = callback is not None
        tb_log_name = tb_log_name or type(self).__name__
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        self.converged = False
        try:
            self._begin()
            ticks = Ticks(self, callback, total_timesteps, log_interval)
            self._run(ticks)
        finally:
            self._end()
        ticks.finish()
        callback.on_training_end()
        return self

    def dump_logs(self) -> None:
        """Write the log."""
        self._record()
        elapsed = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)
        self.logger.record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / elapsed))
        self.logger.record("time/time_elapsed", int(elapsed), exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    def _accept(self, env: VecEnv, mdp: TabularMDP) -> None:
        """Read what belongs to a new environment, before it takes the place of the old one.

        :param env: the new one, as SB3 has wrapped it
        :param mdp: its model
        :raises ValueError: if it does not fit what is there; then the old one stays
        """

    def _begin(self) -> None:
        """Prepare for the updates of one :meth:`learn`."""

    def _run(self, ticks: Ticks) -> None:
        """Make updates until it has converged, a callback says stop, or the timesteps are used up.

        :param ticks: is told of every update
        """
        while ticks.go_on:
            self._update()
            ticks.update()

    def _update(self) -> None:
        """Do the work of one timestep; set ``converged`` when it was the last one that is needed.

        The policy has to be up to date afterwards only if ``_is_watched``: if there is a callback that may look at it.
        A subclass that makes its updates otherwise overrides :meth:`_run`.
        """
        raise NotImplementedError

    def _record(self) -> None:
        """Record what is to be logged."""

    def _end(self) -> None:
        """Bring the policy up to date; called after the last update, and when something has failed."""

    def _setup_model(self) -> None:
        if getattr(self, "observation_space", None) is None:
            raise ValueError(f"{type(self).__name__} needs an environment whose model is known: give env=")
        known = isinstance(self.policy_class, type) and issubclass(self.policy_class, TabularPolicy)
        require(known, "policy", self.policy_class, "'TabularPolicy' or a subclass of it")
        policy_class: Any = self.policy_class
        policy = policy_class(self.observation_space, self.action_space, horizon=self.horizon, **self.policy_kwargs)
        self.policy = policy.to(self.device)
        self.set_random_seed(self.seed)
        if self.env is not None:  # one without a model is refused here, not in learn()
            self.policy.set_log_probabilities(_uniform(self.mdp))

    @staticmethod
    def _wrap_env(env: GymEnv | TabularMDP, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        return BaseAlgorithm._wrap_env(as_environment(env), verbose, monitor_wrapper)

    def _get_policy_from_name(self, policy_name: str) -> type[BasePolicy]:
        known = ", ".join(self.policy_aliases)
        require(policy_name in self.policy_aliases, "policy", policy_name, f"{known}, or a subclass of TabularPolicy")
        return self.policy_aliases[policy_name]

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied, and goes to other processes: all but open files, and what cannot leave this one."""
        left_out = self._not_copied & self.__dict__.keys()
        return {**self.__dict__, **dict.fromkeys(left_out), "_custom_logger": False}

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_mdp", "_is_watched"]


def _uniform(mdp: TabularMDP) -> NDArray[np.float64]:
    """Return the logarithm of the policy that takes all actions that exist with the same probability."""
    available = np.ones(mdp.rewards.shape, dtype=np.bool_) if mdp.available is None else mdp.available
    with np.errstate(divide="ignore"):
        table: NDArray[np.float64] = np.log(available / available.sum(axis=0))
    return table
