"""Q-learning with a table, as an SB3 algorithm."""

from typing import Any, TypeVar

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule

from gym_ilrl.algorithms.tabular_q_learning_base import TabularTemporalDifference
from gym_ilrl.policies.tabular_q import TabularQPolicy

SelfQLearning = TypeVar("SelfQLearning", bound="QLearning")


class QLearning(TabularTemporalDifference):
    r"""Q-learning with a table (Watkins 1989; Watkins and Dayan 1992), for Discrete observations and actions.

    .. math:: Q(s, a) \leftarrow Q(s, a) + \alpha \, (r + \gamma \max_{a'} Q(s', a') - Q(s, a))

    Model-free: it learns from what happens in the environment, epsilon-greedily. Every transition is learnt from once,
    when it is new; with a ``batch_size`` from batches of the replay buffer instead, as DQN does, and then also from
    demonstrations (``replay_buffer_class=DemoReplayBuffer``).

    Time limits are no endings: the value of the state they end in counts. The targets of a batch, and so of parallel
    environments, are all of the table before it; an entry that occurs several times in it moves as often, one after
    the other. Rewards are stored in single precision, as SB3's buffers do.

    A constant step size follows what it sees, and stays noisy where chance has a part. With ``learning_rate=1.0`` and a
    ``step_size_exponent`` above 1/2 the Q-values converge to the optimal ones with probability one, if every action is
    tried again and again in every state; exponents below 1 are much faster than 1 (Even-Dar and Mansour 2003).

    :param policy: "TabularPolicy" or a subclass of :class:`~gym_ilrl.policies.TabularQPolicy`
    :param env: the environment, its id, or a ``VecEnv``, with Discrete spaces
    :param learning_rate: in [0, 1], or a function of the progress remaining
    :param step_size_exponent: :math:`\omega` in :math:`\alpha = \mathrm{learning\_rate} / n(s, a)^\omega`, where
        :math:`n` counts the updates; in [0, 1], 0: constant
    :param buffer_size: transitions that the replay buffer holds
    :param learning_starts: steps before the first update, with random actions
    :param batch_size: transitions replayed in an update; None: no replay
    :param gamma: discount, in [0, 1]
    :param train_freq: update every so many steps of the environments, or ``(1, "episode")``
    :param gradient_steps: number of batches in an update, -1: as many as there were steps; only with a ``batch_size``
    :param replay_buffer_class: as in DQN; only with a ``batch_size``
    :param replay_buffer_kwargs: as in DQN
    :param double: learn two tables, each with the other's value of its own best action: without the maximum's bias
        towards what was lucky (van Hasselt 2010)
    :param exploration_fraction: share of the training over which epsilon goes down, in (0, 1]
    :param exploration_initial_eps: probability of a random action at first
    :param exploration_final_eps: and in the end
    :param stats_window_size: episodes that the logged mean return is taken over
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy: ``initial_q_value``, or ``temperature`` for Boltzmann exploration
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
        double: bool = False,
        exploration_fraction: float = 0.5,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        self.double = double
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
            {"n_tables": 2 if double else 1},
            policy_kwargs,
            device,
            _init_setup_model,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
        )

    def learn(
        self: SelfQLearning,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 100,
        tb_log_name: str = "QLearning",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfQLearning:
        """Learn for so many steps in the environment (see base class)."""
        return super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)

    def _next_values(
        self, tables: NDArray[np.float64], which: NDArray[np.int64], next_states: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        best = tables[which, next_states].argmax(axis=1)
        values: NDArray[np.float64] = tables[len(tables) - 1 - which, next_states, best]
        return values
