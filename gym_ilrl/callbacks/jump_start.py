"""Jump-start reinforcement learning: a guide takes the first steps of each episode."""

from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from gym_ilrl.arguments import is_number, require, require_positive_int, require_seed
from gym_ilrl.callbacks.executed_actions import OverridesActions, overwrite_stored
from gym_ilrl.callbacks.hooks import Hook
from gym_ilrl.callbacks.horizon_curriculum import HorizonCurriculum
from gym_ilrl.callbacks.pickling import lasting_state
from gym_ilrl.data.acting import Act, acting, takes_action_masks
from gym_ilrl.data.raw_env import raw_vec_env
from gym_ilrl.data.raw_observations import raw_observations
from gym_ilrl.losses.snapshot import frozen_copy

_KNOWN = (A2C, PPO, TRPO, MaskablePPO, RecurrentPPO, OffPolicyAlgorithm)


class JumpStart(BaseCallback):
    """A guide acts in the first steps of each training episode, the learner from there on.

    From where the guide has come, the learner finds rewards that it would not explore its way to; the guide's part
    shrinks to nothing (Uchendu et al., "Jump-Start Reinforcement Learning", ICML 2023).

    ``"curriculum"``: the horizon shrinks from ``max_horizon`` to 0 in ``n_stages`` steps, each taken as soon as the
    mean return of ``window`` training episodes (rewards before ``VecNormalize``) is at least the best one before, less
    the tolerance. ``"random"``: every episode's horizon is uniform in ``{0, ..., max_horizon}``.

    Off-policy, the replay buffer holds what was executed, and guided steps are data like all others. On-policy, they
    are no data of the policy, and its gradient leaves them out: they are stored with the action that the policy drew
    there itself, and their advantage is the mean of the learner's own steps in the rollout, about zero after
    normalisation (zero where the algorithm does not normalise). A constant times the score of the policy's own actions
    is zero in expectation; the likelihood ratio of a guide's action far from the policy's would overflow. The value
    function learns from guided steps, too. Give this callback after those that compute the advantages again, as
    :class:`~gym_ilrl.callbacks.KLAnchor` does with ``mode="reward"``.

    A ``learn()`` with ``reset_num_timesteps=False`` goes on with horizon and guide, any other starts over; an episode
    that is running when it begins is the learner's to its end.

    :param max_horizon: steps that the guide takes at most, about the length of its episodes
    :param guide: anything with SB3's ``predict``: an expert, a model. It is shown the environment's own observations,
        without ``VecNormalize``, a model with a ``VecNormalize`` of its own those normalised by it. None: a frozen copy
        of the model's policy at its first step, after :class:`~gym_ilrl.callbacks.Pretrain` for instance
    :param mode: ``"curriculum"`` or ``"random"``
    :param n_stages: steps of the curriculum
    :param tolerance: of the curriculum, a fraction of the best mean return's magnitude
    :param window: episodes in the curriculum's moving average
    :param deterministic: passed to the guide's ``predict``
    :param seed: of the random horizons; None takes the model's
    :param verbose: 0 no output, 1 info
    :raises ValueError: if an argument is outside its range
    :raises TypeError: when the training starts, if the algorithm is none whose buffers are known
    """

    def __init__(
        self,
        max_horizon: int,
        guide: Any = None,
        mode: Literal["curriculum", "random"] = "curriculum",
        n_stages: int = 10,
        tolerance: float = 0.1,
        window: int = 20,
        deterministic: bool = True,
        seed: int | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        for name, value in (("max_horizon", max_horizon), ("n_stages", n_stages), ("window", window)):
            require_positive_int(name, value)
        require(mode in ("curriculum", "random"), "mode", mode, "'curriculum' or 'random'")
        require(is_number(tolerance) and tolerance >= 0, "tolerance", tolerance, "a number of at least 0")
        require_seed("seed", seed)
        is_guide = guide is None or hasattr(guide, "predict") or callable(guide)
        require(is_guide, "guide", guide, "a policy with SB3's predict, or None for a copy of the model's own")
        self.max_horizon, self.guide, self.mode = max_horizon, guide, mode
        self.n_stages, self.tolerance, self.window = n_stages, tolerance, window
        self.deterministic, self.seed = deterministic, seed
        self._snapshot: Any = None
        self._curriculum: HorizonCurriculum | None = None
        self._wrapper: OverridesActions | None = None

    def _init_callback(self) -> None:
        if not isinstance(self.model, _KNOWN):
            raise TypeError(
                f"JumpStart does not know what {type(self.model).__name__} learns from; it works with A2C, PPO, "
                "TRPO, RecurrentPPO, MaskablePPO and the off-policy algorithms"
            )

    def _on_training_start(self) -> None:
        n_envs = self.model.n_envs
        begins = self.locals.get("reset_num_timesteps", True) or self.model.num_timesteps == 0
        if begins or self._curriculum is None:
            self._curriculum = HorizonCurriculum(self.max_horizon, self.n_stages, self.tolerance, self.window)
            self._generator = np.random.default_rng(self.model.seed if self.seed is None else self.seed)
            self._snapshot = None
        self._horizons = np.array([self._next_horizon() for _ in range(n_envs)]) if begins else np.zeros(n_envs, int)
        self._clock = np.zeros(n_envs, int)  # steps of the running episodes
        self._returns = np.zeros(n_envs)
        self._whole = np.full(n_envs, begins, dtype=np.bool_)  # whether they were seen from their first step on
        self._guided = np.zeros(n_envs, dtype=np.bool_)
        self._rollout: list[NDArray[np.bool_]] = []
        self._is_collecting = False
        self._act: Act | None = None
        env: Any = self.model.env
        self._env = env.venv if isinstance(env, OverridesActions) else env  # one that an exception has left there
        hook = Hook(self, type(self)._execute)
        self._wrapper = OverridesActions(self._env, hook)
        hook.remove = self._take_out
        self._put_in()

    def _on_rollout_start(self) -> None:
        self._take_out()  # collect_rollouts has it; EvalCallback and others find the environment as it was made
        self._rollout, self._is_collecting = [], True

    def _on_step(self) -> bool:
        if isinstance(self.model, OnPolicyAlgorithm):
            self._rollout.append(self._guided)
        elif isinstance(self.model, OffPolicyAlgorithm) and self._guided.any():
            overwrite_stored(self.model, self.locals["buffer_actions"], self._executed, self._guided)
        normalised = self.model.get_vec_normalize_env()
        self._returns += self.locals["rewards"] if normalised is None else normalised.get_original_reward()
        self._clock += 1
        for row in np.flatnonzero(self.locals["dones"]).tolist():
            self._end_episode(row)
        return True

    def _on_rollout_end(self) -> None:
        if self._rollout:
            self._neutralise(np.stack(self._rollout))
        self.logger.record("imitation/jump_start_horizon", float(self._horizons.mean()))
        self._is_collecting = False  # who interrupts the update and then evaluates sees the policy, not the guide
        self._put_in()

    def _on_training_end(self) -> None:
        self._take_out()
        self._wrapper = None

    def _put_in(self) -> None:
        if self._wrapper is not None:
            self.model.env = self._wrapper

    def _take_out(self) -> None:
        if self._wrapper is not None and self.model.env is self._wrapper:
            self.model.env = self._wrapper.venv

    def _next_horizon(self) -> int:
        if self.mode == "random":
            return int(self._generator.integers(self.max_horizon + 1))
        assert self._curriculum is not None  # for the type checker: made at the training's start
        return self._curriculum.horizon

    def _end_episode(self, row: int) -> None:
        assert self._curriculum is not None  # for the type checker
        before = self._curriculum.horizon
        if self._whole[row] and self.mode == "curriculum":
            self._curriculum.episode_ended(int(self._horizons[row]), float(self._returns[row]))
        if self.verbose >= 1 and self._curriculum.horizon != before:
            print(f"JumpStart: the guide now takes {self._curriculum.horizon} steps")  # noqa: T201
        self._horizons[row], self._whole[row] = self._next_horizon(), True
        self._clock[row], self._returns[row] = 0, 0.0

    def _execute(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return the learner's actions, the guide's where it is the guide's turn."""
        if not self._is_collecting:
            return actions
        if self._act is None:
            self._act = self._guide_acting()  # at the first step, when every callback has begun
        self._guided = self._clock < self._horizons
        if not self._guided.any():
            return actions
        masks = get_action_masks(self._env) if self._masked else None
        chosen = np.asarray(self._act(self._guide_observations(), self._clock == 0, masks)).reshape(actions.shape)
        if isinstance(self.model.action_space, spaces.Box):
            chosen = np.clip(chosen, self.model.action_space.low, self.model.action_space.high)
        self._executed = np.array(actions)
        self._executed[self._guided] = chosen[self._guided]
        return self._executed

    def _guide_acting(self) -> Act:
        guide = self.guide
        if guide is None:
            if self._snapshot is None:
                self._snapshot = frozen_copy(self.model.policy)
            guide = self._snapshot
        elif hasattr(guide, "bind"):
            guide = guide.bind(raw_vec_env(self._env)[0])
        self._masked = takes_action_masks(guide) and is_masking_supported(self._env)
        return acting(guide, self.model.action_space, self.deterministic)

    def _guide_observations(self) -> Any:
        if self.guide is None:
            return self.model._last_obs
        raw = raw_observations(self._env, self.model._last_obs)
        own = self.guide.get_vec_normalize_env() if isinstance(self.guide, BaseAlgorithm) else None
        return raw if own is None else own.normalize_obs(raw)

    def _neutralise(self, guided: NDArray[np.bool_]) -> None:
        """Give guided steps an advantage that normalisation turns into about zero."""
        model: Any = self.model
        advantages = model.rollout_buffer.advantages
        own = advantages[~guided]
        advantages[guided] = own.mean() if model.normalize_advantage and own.size > 0 else 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {**lasting_state(self, "_env"), "_wrapper": None, "_act": None}
