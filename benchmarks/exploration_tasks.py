"""The sparse-reward tasks of the exploration benchmark: environment, algorithm, settings and what counts as success."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

import gym_ilrl
from gym_ilrl import Demonstrations, collect, expert, make_vec_env

N_DEMONSTRATIONS = 5
DEMONSTRATION_SEED = 7


@dataclass(frozen=True)
class Task:
    """One task, and how its algorithm is set: the same settings for all sides.

    :param env_id: of the environment
    :param algorithm: the plain class
    :param from_demonstrations: the class from demonstrations
    :param n_timesteps: budget
    :param reached: whether an episode's return shows that the goal was reached
    :param kwargs: of the algorithm
    :param recipe: other arguments of the class from demonstrations than its defaults
    :param env_kwargs: of the environment
    :param n_envs: copies
    """

    env_id: str
    algorithm: type[BaseAlgorithm]
    from_demonstrations: type[BaseAlgorithm]
    n_timesteps: int
    reached: Callable[[float], bool]
    kwargs: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=lambda: {"pretrain_epochs": 20})
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    n_envs: int = 1

    def make(self, seed: int, n_envs: int | None = None) -> VecEnv:
        """Return new environments."""
        return make_vec_env(self.env_id, n_envs or self.n_envs, seed=seed, env_kwargs=self.env_kwargs)

    def demonstrations(self) -> Demonstrations:
        """Return the same few episodes of the expert, every time."""
        venv = self.make(DEMONSTRATION_SEED, 1)
        return collect(expert(venv), venv, n_episodes=N_DEMONSTRATIONS, seed=DEMONSTRATION_SEED)


# of rl_zoo3's tuned values for DQN in MountainCar-v0, but for the batch of demonstrations and online data together
_DQN = {
    "learning_rate": 1e-3,
    "batch_size": 128,
    "buffer_size": 50_000,
    "learning_starts": 1_000,
    "gamma": 0.98,
    "target_update_interval": 600,
    "train_freq": 16,
    "gradient_steps": 8,
    "exploration_fraction": 0.2,
    "exploration_final_eps": 0.07,
    "policy_kwargs": {"net_arch": [256, 256]},
}

TASKS = {
    "MountainCarContinuous": Task(
        "MountainCarContinuous-v0",
        SAC,
        gym_ilrl.SACfD,
        6_000,
        lambda total: total > 90.0,
        {"learning_starts": 1_000, "ent_coef": "auto_0.01"},
    ),
    "SparsePointMaze S": Task(
        "ilrl/SparsePointMaze-v0",
        SAC,
        gym_ilrl.SACfD,
        6_000,
        lambda total: total > 0.5,
        {"learning_starts": 1_000, "ent_coef": "auto_0.01"},
        env_kwargs={"layout": "S"},
    ),
    "MountainCar": Task("MountainCar-v0", DQN, gym_ilrl.DQfD, 16_000, lambda total: total > -200.0, _DQN),
    "GridMaze 31": Task(
        "ilrl/GridMaze-v0",
        PPO,
        gym_ilrl.PPOfD,
        80_000,
        lambda total: total > 0.5,
        {"n_steps": 128, "batch_size": 256},
        {"pretrain_epochs": 20, "critic_warmup": 10_000},
        env_kwargs={"size": 31},
        n_envs=8,
    ),
}
