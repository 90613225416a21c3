"""DAgger as both sides run it, on the same environments with the same expert."""

import tempfile
from typing import Any

import numpy as np
import torch as th
from imitation.algorithms import bc
from imitation.algorithms.dagger import SimpleDAggerTrainer
from imitation.util import logger
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from gym_ilrl import make_vec_env


class StepCounter(VecEnvWrapper):
    """Counts the steps that are executed, whoever asks for them."""

    n_steps = 0

    def reset(self) -> Any:
        """See ``VecEnv``."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """See ``VecEnv``."""
        self.n_steps += self.num_envs
        return self.venv.step_wait()


class ExpertPolicy(BasePolicy):
    """Our expert as the ``BasePolicy`` that imitation asks for.

    A privileged expert is bound to the environments first and reads their true state, which is the one that imitation's
    collector shows it when it asks for an action: the labels of both sides come from the same function.
    """

    def __init__(self, teacher: Any, venv: VecEnv) -> None:
        super().__init__(venv.observation_space, venv.action_space)
        self._teacher = teacher.bind(venv) if hasattr(teacher, "bind") else teacher

    def _predict(self, observation: th.Tensor, deterministic: bool = False) -> th.Tensor:
        return th.as_tensor(self._teacher.act(observation.numpy()))


def counted_environments(env_id: str, n_envs: int, seed: int) -> StepCounter:
    if env_id.startswith("seals/"):
        import seals  # noqa: F401  (registers its environments)
    return StepCounter(make_vec_env(env_id, n_envs, seed=seed))


def imitations_trainer(
    venv: StepCounter,
    teacher: Any,
    seed: int,
    trainer_class: type[SimpleDAggerTrainer] = SimpleDAggerTrainer,
) -> SimpleDAggerTrainer:
    """Return imitation's trainer around SB3's ``ActorCriticPolicy`` with two layers of 64, all else by default."""
    th.manual_seed(seed)
    rng, silent = np.random.default_rng(seed), logger.configure(tempfile.mkdtemp(), [])
    policy = ActorCriticPolicy(venv.observation_space, venv.action_space, lambda _: 1e-3)
    shared = {"rng": rng, "custom_logger": silent}
    return trainer_class(
        venv=venv,
        scratch_dir=tempfile.mkdtemp(),
        expert_policy=ExpertPolicy(teacher, venv),
        bc_trainer=bc.BC(
            observation_space=venv.observation_space,
            action_space=venv.action_space,
            policy=policy,
            device="cpu",
            **shared,
        ),
        **shared,
    )
