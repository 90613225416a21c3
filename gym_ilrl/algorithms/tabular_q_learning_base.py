"""What the tabular, model-free algorithms have in common: SB3's loop around the update of a table."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule

from gym_ilrl.algorithms.tabular_q_learning_batches import TransitionReader, Transitions
from gym_ilrl.algorithms.tabular_q_learning_checks import (
    check_buffer,
    check_device,
    check_exploration,
    check_options,
    check_policy_kwargs,
    check_spaces,
)
from gym_ilrl.algorithms.tabular_q_learning_update import StepSize, move
from gym_ilrl.policies.tabular_q import TabularQPolicy


class TabularTemporalDifference(OffPolicyAlgorithm):
    r"""Moves the Q-value of what was done towards :math:`r + \gamma V(s')`; a subclass says what :math:`V` is.

    Collecting, replay, callbacks and logs are SB3's. The arguments are those of :class:`~gym_ilrl.QLearning`, but:

    :param policy_arguments: arguments of the policy that the algorithm sets
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "TabularPolicy": TabularQPolicy,
        "TabularQPolicy": TabularQPolicy,
    }
    policy: TabularQPolicy

    def __init__(
        self,
        policy: str | type[TabularQPolicy],
        env: GymEnv | str | None,
        learning_rate: float | Schedule,
        step_size_exponent: float,
        buffer_size: int,
        learning_starts: int,
        batch_size: int | None,
        gamma: float,
        train_freq: int | tuple[int, str],
        gradient_steps: int,
        replay_buffer_class: type[ReplayBuffer] | None,
        replay_buffer_kwargs: dict[str, Any] | None,
        exploration_fraction: float,
        exploration_initial_eps: float,
        exploration_final_eps: float,
        policy_arguments: dict[str, Any],
        policy_kwargs: dict[str, Any] | None,
        device: th.device | str,
        _init_setup_model: bool,
        **kwargs: Any,
    ) -> None:
        check_policy_kwargs(policy_kwargs, policy_arguments)
        check_exploration(exploration_fraction, exploration_initial_eps, exploration_final_eps)
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # None where load() was given no environment
            learning_rate,
            buffer_size=buffer_size,
            learning_starts=learning_starts,
            batch_size=batch_size,  # type: ignore[arg-type]  # None: the newest transitions
            gamma=gamma,
            train_freq=train_freq,
            gradient_steps=gradient_steps,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            policy_kwargs={**(policy_kwargs or {}), **policy_arguments},
            device=check_device(device),
            sde_support=False,
            support_multi_env=True,
            supported_action_spaces=(spaces.Discrete,),
            **kwargs,
        )
        self.step_size_exponent = step_size_exponent
        self.exploration_fraction = exploration_fraction
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps
        self._n_new_steps = 0  # of the environments, since the last update
        check_options(self)
        if _init_setup_model:
            self._setup_model()

    @property
    def q_values(self) -> NDArray[np.float64]:
        """The table, a copy of shape ``(n_states, n_actions)``; states and actions counted from 0."""
        q_values: NDArray[np.float64] = self.policy.q_values.numpy()
        return q_values

    @property
    def exploration_rate(self) -> float:
        """Probability of a random action at present."""
        return float(self.policy.epsilon)

    @property
    def visits(self) -> NDArray[np.int64]:
        """How often each entry of the table was updated, of shape ``(n_states, n_actions)``."""
        visits: NDArray[np.int64] = self.policy.visits.sum(dim=0).numpy()
        return visits

    def train(self, gradient_steps: int, batch_size: int | None = None) -> None:
        """Update the table, with what is new or with replayed batches.

        :param gradient_steps: number of batches
        :param batch_size: transitions in each; None: one batch of the newest transitions for each step
        :raises ValueError: on rewards that are NaN or infinite
        """
        self._update_learning_rate([])  # logs it: there is no optimiser
        assert self.replay_buffer is not None  # for the type checker: made by _setup_model
        reader = TransitionReader(self.replay_buffer, self._vec_normalize_env)
        batches: Iterable[Transitions]
        if batch_size is None:
            batches = reader.newest(self._n_new_steps)
        else:
            batches = (reader.sampled(batch_size) for _ in range(gradient_steps))
        step_size = StepSize(float(self.lr_schedule(self._current_progress_remaining)), self.step_size_exponent)
        errors = [self._update(batch, step_size) for batch in batches]
        self._n_new_steps = 0
        self._n_updates += len(errors)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        if errors:
            self.logger.record("train/td_error", sum(errors) / len(errors))

    @abstractmethod
    def _next_values(
        self, tables: NDArray[np.float64], which: NDArray[np.int64], next_states: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return what the next states are worth.

        :param tables: of shape ``(n_tables, n_states, n_actions)``
        :param which: the table that learns from each transition, of shape ``(n,)``
        :param next_states: of shape ``(n,)``
        """

    def _update(self, batch: Transitions, step_size: StepSize) -> float:
        """Learn from a batch, all of whose targets are of the table before it; return the mean absolute error."""
        tables, visits = self.policy.q_tables.numpy(), self.policy.visits.numpy()
        n_tables, n_states, n_actions = tables.shape
        n = len(batch.states)
        which = np.zeros(n, dtype=np.int64) if n_tables == 1 else th.randint(n_tables, (n,)).numpy()
        future = np.where(batch.terminated, 0.0, self._next_values(tables, which, batch.next_states))
        targets = batch.rewards + self.gamma * future
        entries = (which * n_states + batch.states) * n_actions + batch.actions
        flat = tables.reshape(-1)
        error = float(np.abs(targets - flat[entries]).sum()) / n
        if not math.isfinite(error):
            raise ValueError(f"the rewards must be finite numbers; one of a batch is not: {batch.rewards}")
        move(flat, visits.reshape(-1), entries, targets, step_size)
        return error

    def _on_step(self) -> None:
        self._n_new_steps += 1
        self.logger.record("rollout/exploration_rate", self._explore())

    def _explore(self) -> float:
        """Set epsilon for the present progress, and return it."""
        done = min((1.0 - self._current_progress_remaining) / self.exploration_fraction, 1.0)
        change = self.exploration_final_eps - self.exploration_initial_eps
        epsilon = self.exploration_initial_eps + done * change
        self.policy.epsilon.fill_(epsilon)
        return epsilon

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[Any],
        new_obs: NDArray[Any] | dict[str, NDArray[Any]],
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a transition (see base class), with the environment's own reward.

        Under ``VecNormalize`` SB3 scales final observations back, with an index that Discrete ones do not have.
        Those are never scaled: only the reward has to be the original one.
        """
        normalize, self._vec_normalize_env = self._vec_normalize_env, None
        rewards = reward if normalize is None else normalize.get_original_reward()
        try:
            super()._store_transition(replay_buffer, buffer_action, new_obs, rewards, dones, infos)
        finally:
            self._vec_normalize_env = normalize

    def _setup_model(self) -> None:
        check_spaces(self)
        super()._setup_model()
        check_buffer(self.replay_buffer)
        self._explore()
