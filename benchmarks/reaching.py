"""DAgger: CPU time from the start to the same mean return."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import torch as th
from imitation.algorithms.dagger import SimpleDAggerTrainer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from benchmarks.dagger_sides import counted_environments, imitations_trainer
from benchmarks.harness import Report, main
from gym_ilrl import DAgger, expert, make_vec_env

# mean return to reach, over EPISODES episodes of the deterministic policy; the experts have about 500, -145 and 600
GOALS = {"CartPole-v1": 475.0, "Pendulum-v1": -180.0, "ilrl/LaneKeeping-v0": 570.0}
EPISODES = 50
N_ENVS = 8
LIMIT = 120.0  # CPU seconds, after which a run has not reached it
TARGET = 3.0

TEXT = f"""\
CPU seconds from the construction of the trainer to the end of the first round after which the learner's mean return over
{EPISODES} episodes is at the goal. Evaluations, of both sides after every round, are outside of the time (the peer's own,
which come by default, are inside). Both get the same {N_ENVS} environments, the same expert, the same network (two layers of
64) and no demonstrations; all else is each library's default: ours 500 steps of each environment a round, 10 epochs at most
over batches of 64, the expert acting in the first round only; the peer whole episodes and at least 500 steps a round, 4
epochs over batches of 32, the expert acting less and less in 15 rounds. LaneKeeping's expert reads the true state of the
car: for the peer it is wrapped as a `BasePolicy` that reads it from the environments being stepped."""


@dataclass
class Race:
    """Measures one run, stopping its clock while the learner is evaluated.

    :param env_id: where the learner is evaluated
    :param goal: mean return
    """

    env_id: str
    goal: float
    reached: bool = False
    returns: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._evaluation = make_vec_env(self.env_id, N_ENVS, seed=10_000)
        self._started = time.process_time()
        self.seconds = 0.0

    @property
    def over(self) -> bool:
        return self.reached or self.seconds > LIMIT

    def after_round(self, policy: Any) -> None:
        """Evaluate the learner, and take note of the time without that."""
        self.seconds = stopped = time.process_time()
        self.seconds -= self._started
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
        n_rounds = super().extend_and_update(bc_train_kwargs)
        self.race.after_round(self.policy)
        if self.race.over:
            raise StopIteration
        return n_rounds


def ours(env_id: str, goal: float, seed: int) -> tuple[Race, int]:
    venv, teacher = counted_environments(env_id, N_ENVS, seed), expert(env_id)
    race = Race(env_id, goal)
    model = DAgger("MlpPolicy", venv, expert=teacher, seed=seed, device="cpu")
    model.learn(10**9, callback=RaceCallback(race))
    return race, venv.n_steps


def imitations(env_id: str, goal: float, seed: int) -> tuple[Race, int]:
    venv, teacher = counted_environments(env_id, N_ENVS, seed), expert(env_id)
    race = Race(env_id, goal)
    trainer = imitations_trainer(venv, teacher, seed, RacingTrainer)
    trainer.race = race
    try:
        trainer.train(10**9, bc_train_kwargs={"progress_bar": False})
    except StopIteration:
        pass
    return race, venv.n_steps


def benchmark(quick: bool) -> Report:
    n_seeds = 1 if quick else 5
    settings = {"seeds": n_seeds, "goals": GOALS, "CPU limit": f"{LIMIT:.0f} s", "environments at once": N_ENVS}
    report = Report("reaching", "DAgger: CPU seconds to the same mean return", TEXT, settings)
    th.set_num_threads(1)
    for env_id, goal in GOALS.items():
        sides: dict[str, Callable[[int], tuple[Race, int]]] = {
            "gym_ilrl": partial(ours, env_id, goal),
            "imitation": partial(imitations, env_id, goal),
        }
        runs: dict[str, list[tuple[Race, int]]] = {side: [] for side in sides}
        for seed in range(n_seeds):
            for side, run in sides.items():
                runs[side].append(run(seed))
        seconds = {
            side: median(race.seconds if race.reached else math.inf for race, _ in results)
            for side, results in runs.items()
        }
        for side, results in runs.items():
            report.add(
                environment=env_id,
                goal=goal,
                side=side,
                seeds_that_reached_it=f"{sum(race.reached for race, _ in results)} of {n_seeds}",
                median_CPU_s=seconds[side],
                range=[min(race.seconds for race, _ in results), max(race.seconds for race, _ in results)],
                median_rounds=float(median(len(race.returns) for race, _ in results)),
                median_executed_steps=int(median(n_steps for _, n_steps in results)),
                our_ratio=seconds[side] / seconds["gym_ilrl"],
                target=TARGET if side == "imitation" else "",
            )
    return report


if __name__ == "__main__":
    main(benchmark)
