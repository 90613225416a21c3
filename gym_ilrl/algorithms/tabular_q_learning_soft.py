"""Soft Q-learning with a table, as an SB3 algorithm."""

from typing import Any, TypeVar

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from gym_ilrl.algorithms.tabular_q_learning_base import TabularTemporalDifference
from gym_ilrl.arguments import is_number, require
from gym_ilrl.policies.tabular_q import TabularQPolicy

SelfSoftQLearning = TypeVar("SelfSoftQLearning", bound="SoftQLearning")


class SoftQLearning(TabularTemporalDifference):
    r"""Soft Q-learning with a table (Haarnoja et al. 2017, equation 9): entropy is worth ``temperature``.

    .. math:: Q(s, a) \leftarrow Q(s, a) + \alpha \, (r + \gamma V(s') - Q(s, a)), \quad
        V(s) = \tau \log \sum_a \exp(Q(s, a) / \tau)

    It acts by its own policy, :math:`\pi(a|s) = \exp((Q(s, a) - V(s)) / \tau)`, and a little at random at first, for at
    low temperatures that policy hardly explores. What :class:`~gym_ilrl.QLearning` says about replay, demonstrations,
    time limits, batches and step sizes holds here, too. The fixed point is that of ``gym_ilrl.planning.solve(mdp,
    temperature=tau)``.

    The Q-values begin at :math:`\gamma \tau \log A / (1 - \gamma)`, what acting at random for ever is worth where
    nothing is paid. From 0 upwards, the first action tried would earn all the entropy to come, and the others would
    hardly be tried again.

    :param policy: "TabularPolicy" or a subclass of :class:`~gym_ilrl.policies.TabularQPolicy`
    :param env: the environment, its id, or a ``VecEnv``, with Discrete spaces
    :param temperature: :math:`\tau`, above 0, in units of the reward. The entropy of a step among ``A`` actions earns
        up to ``temperature * log(A)``: where that is more than what acting well earns, wandering about is optimal
    :param learning_rate: as in :class:`~gym_ilrl.QLearning`
    :param step_size_exponent: as in :class:`~gym_ilrl.QLearning`
    :param buffer_size: as in :class:`~gym_ilrl.QLearning`
    :param learning_starts: as in :class:`~gym_ilrl.QLearning`
    :param batch_size: as in :class:`~gym_ilrl.QLearning`
    :param gamma: as in :class:`~gym_ilrl.QLearning`
    :param train_freq: as in :class:`~gym_ilrl.QLearning`
    :param gradient_steps: as in :class:`~gym_ilrl.QLearning`
    :param replay_buffer_class: as in :class:`~gym_ilrl.QLearning`
    :param replay_buffer_kwargs: as in :class:`~gym_ilrl.QLearning`
    :param exploration_fraction: as in :class:`~gym_ilrl.QLearning`
    :param exploration_initial_eps: as in :class:`~gym_ilrl.QLearning`
    :param exploration_final_eps: as in :class:`~gym_ilrl.QLearning`; 0: in the end, the policy is the soft one
    :param stats_window_size: episodes that the logged mean return is taken over
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy: ``initial_q_value``, instead of the above; 0 where ``gamma`` is 1
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: makes a run repeatable, bit for bit
    :param device: "auto" or "cpu", which are the same
    :param _init_setup_model: whether to build the table at construction
    :raises ValueError: for options outside their range, and for observations that are not Discrete
    """

    def __init__(
        self,
        policy: str | type[TabularQPolicy] = "TabularPolicy",
        env: GymEnv | str | None = None,
        temperature: float = 1.0,
        learning_rate: float | Schedule = 0.1,
        step_size_exponent: float = 0.0,
        buffer_size: int = 100_000,
        learning_starts: int = 0,
        batch_size: int | None = None,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        replay_buffer_class: type[ReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        exploration_fraction: float = 1.0,
        exploration_initial_eps: float = 0.1,
        exploration_final_eps: float = 0.0,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        is_temperature = is_number(temperature) and temperature > 0
        require(is_temperature, "temperature", temperature, "a positive number; QLearning is what it tends to at 0")
        self.temperature = temperature
        super().__init__(
            policy,
            env,
            learning_rate,
            step_size_exponent,
            buffer_size,
            learning_starts,
            batch_size,
            gamma,
            train_freq,
            gradient_steps,
            replay_buffer_class,
            replay_buffer_kwargs,
            exploration_fraction,
            exploration_initial_eps,
            exploration_final_eps,
            {"temperature": temperature},
            policy_kwargs,
            device,
            _init_setup_model,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
        )

    def learn(
        self: SelfSoftQLearning,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 100,
        tb_log_name: str = "SoftQLearning",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfSoftQLearning:
        """Learn for so many steps in the environment (see base class)."""
        return super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.gamma < 1 and "initial_q_value" not in self.policy_kwargs:
            entropy = np.log(self.policy.q_tables.shape[-1])
            self.policy.q_tables.data.fill_(self.gamma * self.temperature * entropy / (1 - self.gamma))

    def _next_values(
        self, tables: NDArray[np.float64], which: NDArray[np.int64], next_states: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        scaled = tables[which, next_states] / self.temperature
        best = scaled.max(axis=1)
        values: NDArray[np.float64] = best + np.log(np.exp(scaled - best[:, None]).sum(axis=1))
        return self.temperature * values
