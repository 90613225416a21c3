"""Beyond the demonstrator: slow demonstrations, and who becomes faster than they are."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.curves import draw
from benchmarks.evaluations import EvenEvaluations
from benchmarks.harness import Report, main
from gym_ilrl import BC, DAgger, Demonstrations, PPOfD, collect, make_vec_env
from gym_ilrl.experts.sparse_point_maze import SparsePointMazeExpert

ENV_ID, ENV_KWARGS = "ilrl/SparsePointMaze-v0", {"layout": "U", "step_cost": 0.01}
THRUST = 0.35
N_DEMONSTRATIONS, N_ENVS, N_TIMESTEPS, N_EVALUATIONS, EPISODES = 5, 8, 40_000, 10, 20
DEMONSTRATION_SEED, EVALUATION_SEED = 7, 1000
ON_POLICY = {"n_steps": 256, "batch_size": 256}
SIDES = ("PPO", "BC", "DAgger", "PPOfD")

TEXT = f"""\
Mean return over {EPISODES} episodes of the deterministic policy in the U maze, in which every step costs 0.01 and the
goal pays 1. The demonstrator knows the way and pushes with {THRUST:.0%} of the thrust: it arrives, late. BC and DAgger
(which may ask the same slow expert again and again, for as many steps as the others take) imitate it and stop where it
is; PPO has the reward and no demonstrations; PPOfD has the reward and {N_DEMONSTRATIONS} demonstrations. PPO and PPOfD
have the same settings; the rest is each class's default."""


def make(seed: int, n_envs: int = N_ENVS) -> VecEnv:
    return make_vec_env(ENV_ID, n_envs, seed=seed, env_kwargs=ENV_KWARGS)


def expert(thrust: float) -> SparsePointMazeExpert:
    return SparsePointMazeExpert(make(0, 1).get_attr("unwrapped")[0], thrust=thrust)


def demonstrations(thrust: float, n_episodes: int) -> Demonstrations:
    return collect(expert(thrust), make(DEMONSTRATION_SEED, 1), n_episodes=n_episodes, seed=DEMONSTRATION_SEED)


class Evaluate(EvenEvaluations):
    """Evaluates the policy at even intervals."""

    def __init__(self, every: int) -> None:
        super().__init__(every)
        self.env = make(EVALUATION_SEED, 5)

    def evaluate(self) -> None:
        """Append the mean return of the deterministic policy."""
        self.env.seed(EVALUATION_SEED)
        mean, _ = evaluate_policy(self.model, self.env, EPISODES)
        self.curve.append((self.num_timesteps, float(mean)))


def build(side: str, seed: int) -> BaseAlgorithm:
    common = {"seed": seed, "device": "cpu"}
    if side == "BC":
        return BC("MlpPolicy", make(seed), demonstrations=demonstrations(THRUST, N_DEMONSTRATIONS), **common)
    if side == "DAgger":
        return DAgger("MlpPolicy", make(seed), expert=expert(THRUST), **common)
    if side == "PPOfD":
        demos = demonstrations(THRUST, N_DEMONSTRATIONS)
        return PPOfD("MlpPolicy", make(seed), demonstrations=demos, **ON_POLICY, **common)
    return PPO("MlpPolicy", make(seed), **ON_POLICY, **common)


def train(job: tuple[str, int, int]) -> list[tuple[int, float]]:
    """Train one model in a process of its own; return (timesteps, mean return) of each evaluation."""
    side, seed, n_timesteps = job
    th.set_num_threads(1)
    total = 4_000 if side == "BC" else n_timesteps  # minibatches for BC, environment steps for the others
    callback = Evaluate(total // N_EVALUATIONS)
    build(side, seed).learn(total, callback=callback)
    return callback.curve


def benchmark(quick: bool) -> Report:
    n_seeds, n_timesteps = (1, 4_096) if quick else (5, N_TIMESTEPS)
    slow, fast = (float(np.mean(demonstrations(thrust, 50).returns())) for thrust in (THRUST, 1.0))
    settings = {
        "seeds": f"0 to {n_seeds - 1}; demonstrations {DEMONSTRATION_SEED}; evaluations {EVALUATION_SEED}",
        "steps": f"{n_timesteps}, in {N_ENVS} environments; BC: 4000 minibatches",
        "environment": ENV_KWARGS,
        "settings of PPO and PPOfD": ON_POLICY,
    }
    report = Report("beyond", "Beyond the demonstrator", TEXT, settings)
    report.add(side=f"demonstrator, thrust {THRUST}", median_return=slow, all_seeds="", seeds_above_demonstrator="")
    report.add(side="expert, thrust 1", median_return=fast, all_seeds="", seeds_above_demonstrator="")
    jobs = [(side, seed, n_timesteps) for side in SIDES for seed in range(n_seeds)]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        curves = dict(zip(jobs, pool.map(train, jobs), strict=True))
    for side in SIDES:
        final = [curves[side, seed, n_timesteps][-1][1] for seed in range(n_seeds)]
        report.add(
            side=side,
            median_return=median(final),
            all_seeds=" ".join(f"{value:.3f}" for value in final),
            seeds_above_demonstrator=f"{sum(value > slow + 0.02 for value in final)} of {n_seeds}",
        )
    if not quick:
        shown = {side: [curves[side, seed, n_timesteps] for seed in range(n_seeds)] for side in SIDES if side != "BC"}
        levels = {"demonstrator": slow, "full thrust": fast}
        title = "SparsePointMaze U, slow demonstrations"
        draw({title: shown}, "mean return", "docs/images/beyond.png", {title: levels})
    return report


if __name__ == "__main__":
    main(benchmark)
