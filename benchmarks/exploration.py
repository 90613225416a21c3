"""Sparse rewards: what a handful of demonstrations finds and exploration does not."""

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy

from benchmarks.curves import draw
from benchmarks.evaluations import EvenEvaluations
from benchmarks.exploration_tasks import DEMONSTRATION_SEED, N_DEMONSTRATIONS, TASKS
from benchmarks.harness import Report, main
from gym_ilrl import BC

SIDES = ("plain", "cloned by hand", "from demonstrations")
N_EVALUATIONS, EVALUATION_EPISODES, EVALUATION_SEED = 12, 20, 1000
CLONING_UPDATES = 2_000

TEXT = f"""\
Share of evaluation episodes that reach the goal, of SB3's plain algorithm, of the same algorithm started from a policy
that behaviour cloning made of the demonstrations ("cloned by hand": BC for {CLONING_UPDATES} minibatches, then
`BC.to(...)`; for DQN, too), and of the class from demonstrations. All three have the same settings of the algorithm,
and the latter two the same {N_DEMONSTRATIONS} episodes of the environment's expert. Every evaluation is
{EVALUATION_EPISODES} episodes of the deterministic policy from the same initial states, none of them a training seed.
"Reached" counts the seeds in which an evaluation of the trained policy, after the first quarter of the budget, reached
the goal in at least half of its episodes; "solved at the end" those where the last one did in at least 90 %."""


class Evaluate(EvenEvaluations):
    """Evaluates the policy at even intervals, the first time before any reinforcement learning."""

    def __init__(self, task: str, every: int) -> None:
        super().__init__(every)
        self.task = TASKS[task]
        self.env = self.task.make(EVALUATION_SEED, 5)

    def evaluate(self) -> None:
        """Append the share of successes and the mean return of the deterministic policy."""
        self.env.seed(EVALUATION_SEED)
        returns, _ = evaluate_policy(self.model, self.env, EVALUATION_EPISODES, return_episode_rewards=True)
        share = float(np.mean([self.task.reached(total) for total in returns]))
        self.curve.append((self.num_timesteps, share, float(np.mean(returns))))


def build(task_name: str, side: str, seed: int) -> BaseAlgorithm:
    task, demonstrations = TASKS[task_name], TASKS[task_name].demonstrations()
    venv = task.make(seed)
    if side == "from demonstrations":
        kwargs = {**task.kwargs, **task.recipe}
        return task.from_demonstrations(
            "MlpPolicy", venv, demonstrations=demonstrations, seed=seed, device="cpu", **kwargs
        )
    if side == "cloned by hand":
        policy_kwargs = task.kwargs.get("policy_kwargs")
        cloned = BC(
            "MlpPolicy",
            venv,
            demonstrations=demonstrations,
            base=task.algorithm,
            policy_kwargs=policy_kwargs,
            seed=seed,
            device="cpu",
        )
        return cloned.learn(CLONING_UPDATES).to(seed=seed, **task.kwargs)
    return task.algorithm("MlpPolicy", venv, seed=seed, device="cpu", **task.kwargs)


def train(job: tuple[str, str, int, int]) -> list[tuple[int, float, float]]:
    """Train one model in a process of its own; return timesteps, share of successes and mean return by evaluation."""
    task_name, side, seed, n_timesteps = job
    th.set_num_threads(1)
    callback = Evaluate(task_name, n_timesteps // N_EVALUATIONS)
    build(task_name, side, seed).learn(n_timesteps, callback=callback)
    return callback.curve


def seeds_where(curves: Iterable[list[tuple[int, float, float]]], condition: Any) -> int:
    return sum(bool(condition([share for _, share, _ in curve])) for curve in curves)


def benchmark(quick: bool) -> Report:
    n_seeds = 1 if quick else 5
    settings = {
        "seeds": f"0 to {n_seeds - 1}; demonstrations {DEMONSTRATION_SEED}; evaluations {EVALUATION_SEED}",
        "settings": {name: {**task.kwargs, **task.env_kwargs, **task.recipe} for name, task in TASKS.items()},
    }
    report = Report("exploration", "Sparse rewards", TEXT, settings)
    budget = {name: task.n_timesteps // (20 if quick else 1) for name, task in TASKS.items()}
    jobs = [(name, side, seed, budget[name]) for name in TASKS for side in SIDES for seed in range(n_seeds)]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        curves = dict(zip(jobs, pool.map(train, jobs), strict=True))
    for name in TASKS:
        for side in SIDES:
            of_side = [curves[name, side, seed, budget[name]] for seed in range(n_seeds)]
            report.add(
                task=name,
                algorithm=(TASKS[name].from_demonstrations if side == SIDES[2] else TASKS[name].algorithm).__name__,
                side=side,
                steps=budget[name],
                reached=f"{seeds_where(of_side, lambda shares: max(shares[N_EVALUATIONS // 4 :]) >= 0.5)} of {n_seeds}",
                solved_at_the_end=f"{seeds_where(of_side, lambda shares: shares[-1] >= 0.9)} of {n_seeds}",
                final_success=" ".join(f"{curve[-1][1]:.2f}" for curve in of_side),
                final_return=" ".join(f"{curve[-1][2]:.1f}" for curve in of_side),
            )
    if not quick:
        panels = {
            f"{name}: {TASKS[name].from_demonstrations.__name__}": {
                side: [[point[:2] for point in curves[name, side, seed, budget[name]]] for seed in range(n_seeds)]
                for side in SIDES
            }
            for name in TASKS
        }
        draw(panels, "share of episodes that reach the goal", "docs/images/exploration.png")
    return report


if __name__ == "__main__":
    main(benchmark)
