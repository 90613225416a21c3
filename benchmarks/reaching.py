"""DAgger: CPU time from the start to the same mean return."""

import contextlib
from collections.abc import Callable
from functools import partial
from statistics import median

import torch as th

from benchmarks.dagger_sides import counted_environments, imitations_trainer
from benchmarks.harness import Report, main
from benchmarks.race import EPISODES, LIMIT, Race, RaceCallback, RacingTrainer
from gym_ilrl import DAgger, expert

# mean return to reach, over EPISODES episodes of the deterministic policy; the experts have about 500, -145 and 600
GOALS = {"CartPole-v1": 475.0, "Pendulum-v1": -180.0, "ilrl/LaneKeeping-v0": 570.0}
N_ENVS = 8
TARGET = 3.0

TEXT = f"""\
CPU seconds from the construction of the trainer to the end of the first round after which the learner's mean
return over {EPISODES} episodes is at the goal. Evaluations of both sides after every round are outside of the
time, and the peer's own, which it makes by default, are switched off. Both get the same {N_ENVS} environments, the
same expert, the same network (two layers of 64) and no demonstrations. Ours makes rounds of 64 steps of each
environment, together about the 500 that are the peer's least; all else is each library's default: ours at most
10 epochs a round over batches of 128, the expert acting in the first round only; the peer whole episodes and at
least 500 steps a round, 4 epochs over batches of 32, the expert acting less and less in 15 rounds. "Long rounds"
is ours with the default of 250 steps of *each* environment. LaneKeeping's expert reads the true state of the car:
for the peer it is wrapped as a `BasePolicy` that reads it from the environments being stepped. A run that does not
reach the goal counts with the time after which it was stopped. One run of each side on the first environment warms
up."""


def ours(env_id: str, goal: float, n_steps: int, seed: int) -> tuple[Race, int]:
    venv, teacher = counted_environments(env_id, N_ENVS, seed), expert(env_id)
    race = Race(env_id, goal)
    model = DAgger("MlpPolicy", venv, expert=teacher, n_steps=n_steps, seed=seed, device="cpu")
    model.learn(10**9, callback=RaceCallback(race))
    return race, venv.n_steps


def imitations(env_id: str, goal: float, seed: int) -> tuple[Race, int]:
    venv, teacher = counted_environments(env_id, N_ENVS, seed), expert(env_id)
    race = Race(env_id, goal)
    trainer = imitations_trainer(venv, teacher, seed, RacingTrainer)
    trainer.race = race
    with contextlib.suppress(StopIteration):
        trainer.train(10**9, bc_train_kwargs={"progress_bar": False, "log_rollouts_venv": None})
    return race, venv.n_steps


def benchmark(quick: bool) -> Report:
    n_seeds = 1 if quick else 5
    settings = {"seeds": n_seeds, "goals": GOALS, "CPU limit": f"{LIMIT:.0f} s", "environments at once": N_ENVS}
    report = Report("reaching", "DAgger: CPU seconds to the same mean return", TEXT, settings)
    th.set_num_threads(1)
    for env_id, goal in GOALS.items():
        sides: dict[str, Callable[[int], tuple[Race, int]]] = {
            "gym_ilrl": partial(ours, env_id, goal, 64),
            "gym_ilrl, long rounds": partial(ours, env_id, goal, 250),
            "imitation": partial(imitations, env_id, goal),
        }
        if not report.rows:
            for run in sides.values():
                run(n_seeds)
        runs: dict[str, list[tuple[Race, int]]] = {side: [] for side in sides}
        for seed in range(n_seeds):
            for side, run in sides.items():
                runs[side].append(run(seed))
        seconds = {side: median(race.seconds for race, _ in results) for side, results in runs.items()}
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
                imitation_to_this=seconds["imitation"] / seconds[side],
                target="" if side == "imitation" else TARGET,
            )
    return report


if __name__ == "__main__":
    main(benchmark)
