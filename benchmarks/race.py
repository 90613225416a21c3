"""A run of DAgger whose clock stands still while the learner is evaluated."""

import time
from dataclasses import dataclass, field
from typing import Any

from imitation.algorithms.dagger import SimpleDAggerTrainer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from gym_ilrl import make_vec_env

EPISODES = 50  # of an evaluation
LIMIT = 120.0  # CPU seconds, after which a run has not reached its goal


@dataclass
class Race:
    """Measures one run, stopping its clock while the learner is evaluated.

    :param env_id: where the learner is evaluated
    :param goal: mean return
    :ivar seconds: CPU seconds so far
    :ivar returns: mean return after each round
    """

    env_id: str
    goal: float
    reached: bool = False
    returns: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._evaluation = make_vec_env(self.env_id, n_envs=10)
        self._started = time.process_time()
        self.seconds = 0.0

    @property
    def over(self) -> bool:
        """True when there is nothing left to wait for."""
        return self.reached or self.seconds > LIMIT

    def after_round(self, policy: Any) -> None:
        """Evaluate the learner, and take note of the time without that."""
        stopped = time.process_time()
        self.seconds = stopped - self._started
        self._evaluation.seed(10_000)
        mean_return, _ = evaluate_policy(policy, self._evaluation, EPISODES)
        self.returns.append(float(mean_return))
        self.reached = mean_return >= self.goal
        self._started += time.process_time() - stopped


class RaceCallback(BaseCallback):
    """Tells the race about every round of ours, and stops when it is over."""

    def __init__(self, race: Race) -> None:
        super().__init__()
        self._race = race

    def _on_rollout_start(self) -> None:
        if self.model.n_rounds > 0:
            self._race.after_round(self.model)

    def _on_step(self) -> bool:
        return not self._race.over


class RacingTrainer(SimpleDAggerTrainer):
    """Tells the race about every round of imitation's, and stops when it is over."""

    race: Race

    def extend_and_update(self, bc_train_kwargs: Any = None) -> int:
        """See ``DAggerTrainer``."""
        n_rounds = super().extend_and_update(bc_train_kwargs)
        self.race.after_round(self.policy)
        if self.race.over:
            raise StopIteration
        return n_rounds
