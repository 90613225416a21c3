"""First bad batch: what reinforcement learning does to a cloned policy, and what keeps it from unlearning."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from os import cpu_count
from statistics import mean, median
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecNormalize

from benchmarks.first_bad_batch_figure import FILE, RECIPE, Curve, draw
from benchmarks.harness import Report, main
from gym_ilrl import BC, A2CfD, Demonstrations, FromDemonstrations, PPOfD, collect, expert, make_vec_env
from gym_ilrl.callbacks import CriticWarmup, HybridObjective, KLAnchor, Pretrain

ENV_ID = "LunarLander-v3" if "LunarLander-v3" in gym.registry else "LunarLander-v2"
BARE = {"render_mode": None, "disable_env_checker": True}  # several times as fast
N_DEMONSTRATIONS, N_EPOCHS, N_ENVS = 20, 20, 8
N_EVALUATIONS, EVALUATION_SEED = 5, 10_000
KEPT = 0.9  # of the cloned return, at every evaluation

PLAIN, PASTED, PASTED_TUNED = "from scratch", "weights pasted", "weights pasted, tuned"
EXTENSIONS: dict[str, Callable[[Demonstrations], list[BaseCallback]]] = {
    "critic warm-up": lambda demos: [Pretrain(demos, N_EPOCHS, critic_updates=0), CriticWarmup(10_000)],
    "KL anchor": lambda demos: [Pretrain(demos, N_EPOCHS, critic_updates=0), KLAnchor(1.0)],
    "cloning term": lambda demos: [Pretrain(demos, N_EPOCHS, critic_updates=0), HybridObjective(demos, 1.0)],
}
# PPO with separate networks for actor and critic hardly collapses: the single callbacks have nothing to show there
LINES = {"A2C": (PLAIN, PASTED, *EXTENSIONS, PASTED_TUNED, RECIPE), "PPO": (PLAIN, PASTED, PASTED_TUNED, RECIPE)}
FIRST_SEED = 10  # the settings were chosen on the seeds from 0 to 4
CLASSES: dict[str, tuple[type[BaseAlgorithm], type[FromDemonstrations]]] = {"A2C": (A2C, A2CfD), "PPO": (PPO, PPOfD)}


def learning_rate(progress_remaining: float) -> float:
    return 1e-3 * progress_remaining


TUNED: dict[str, dict[str, Any]] = {
    "both": {"gamma": 0.999, "gae_lambda": 0.98, "learning_rate": learning_rate},
    "A2C": {"n_steps": 32, "normalize_advantage": True},
    "PPO": {"n_steps": 256, "batch_size": 256, "n_epochs": 5},
}

TEXT = f"""\
{ENV_ID}, {N_DEMONSTRATIONS} episodes of the expert that ships with Gymnasium. "Weights pasted" is what users do
today: a policy cloned by `BC` in {N_EPOCHS} epochs becomes SB3's algorithm by `BC.to`, which then learns with its
defaults in {N_ENVS} environments. The next three add one callback each to that: `CriticWarmup(10_000)`,
`KLAnchor(1.0)` or `HybridObjective(demonstrations, 1.0)` (the policy cloned by `Pretrain`, the critic untrained).
"Tuned" means settings of the host that its user chooses, none of them ours: rewards divided by the deviation of
returns (`VecNormalize(norm_obs=False)`), a discount of 0.999 with `gae_lambda=0.98`, a learning rate that falls
linearly from 0.001 to zero, and for A2C {TUNED["A2C"]}, for PPO
{TUNED["PPO"]}. "fD class" is `A2CfD` or `PPOfD`, tuned so, with no argument
of its own but the demonstrations. The settings were chosen on the seeds from 0 to 4, which are not these. A run is
evaluated before its first step and {N_EVALUATIONS} times more, each time by the deterministic policy and in the same
episodes; it keeps the cloned return if no evaluation is below {KEPT:.0%} of its first one. The standard error is that
of one evaluation."""


@cache
def demonstrations() -> Demonstrations:
    return collect(expert(ENV_ID), ENV_ID, n_episodes=N_DEMONSTRATIONS, n_envs=10, seed=0)


class Examination:
    """The same episodes for every policy: each has an environment and a seed of its own, so that chance is shared.

    :param n_episodes: how many
    """

    def __init__(self, n_episodes: int) -> None:
        self._envs = [gym.make(ENV_ID, disable_env_checker=True) for _ in range(n_episodes)]

    def __call__(self, policy: BasePolicy) -> list[float]:
        """Return the deterministic policy's return in each episode."""
        observations = [env.reset(seed=EVALUATION_SEED + i)[0] for i, env in enumerate(self._envs)]
        returns, running = [0.0] * len(self._envs), list(range(len(self._envs)))
        while running:
            actions, _ = policy.predict(np.stack([observations[i] for i in running]), deterministic=True)
            finished = set()
            for i, action in zip(running, actions, strict=True):
                observations[i], reward, terminated, truncated, _ = self._envs[i].step(int(action))
                returns[i] += float(reward)
                if terminated or truncated:
                    finished.add(i)
            running = [i for i in running if i not in finished]
        return returns


class Evaluations(BaseCallback):
    """Evaluates the deterministic policy before the first step and then at regular intervals.

    :param examination: gives the returns
    :param every: environment steps between two evaluations
    """

    def __init__(self, examination: Examination, every: int) -> None:
        super().__init__()
        self._examination, self._every = examination, every
        self.curve: Curve = []

    def _on_training_start(self) -> None:
        self._evaluate()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= len(self.curve) * self._every:
            self._evaluate()

    def _on_training_end(self) -> None:
        if len(self.curve) <= N_EVALUATIONS:
            self._evaluate()

    def _on_step(self) -> bool:
        return True

    def _evaluate(self) -> None:
        returns = self._examination(self.model.policy)
        error = float(np.std(returns, ddof=1) / len(returns) ** 0.5)
        self.curve.append((self.num_timesteps, mean(returns), error))


def build(algorithm: str, line: str, seed: int) -> tuple[BaseAlgorithm, list[BaseCallback]]:
    """Return the model of one line before it learns, and the callbacks it learns with."""
    plain, from_demonstrations = CLASSES[algorithm]
    venv = make_vec_env(ENV_ID, n_envs=N_ENVS, seed=1000 * (seed + 1), env_kwargs=BARE)
    kwargs: dict[str, Any] = {"seed": seed, "device": "cpu"}
    if line in (RECIPE, PASTED_TUNED):
        venv = VecNormalize(venv, norm_obs=False, gamma=TUNED["both"]["gamma"])
        kwargs.update({**TUNED["both"], **TUNED[algorithm]})
    if line == RECIPE:
        return from_demonstrations("MlpPolicy", venv, demonstrations=demonstrations(), **kwargs), []
    if line in (PASTED, PASTED_TUNED):
        clone = BC("MlpPolicy", ENV_ID, demonstrations=demonstrations(), batch_size=64, seed=seed, device="cpu")
        clone.learn(N_EPOCHS * demonstrations().n_transitions // 64)
        return clone.to(plain, venv, **kwargs), []
    extensions = EXTENSIONS[line](demonstrations()) if line in EXTENSIONS else []
    return plain("MlpPolicy", venv, **kwargs), extensions


def run(algorithm: str, line: str, seed: int, n_timesteps: int, n_episodes: int) -> Curve:
    """Return the learning curve of one seed of one line."""
    th.set_num_threads(1)
    model, extensions = build(algorithm, line, seed)
    evaluations = Evaluations(Examination(n_episodes), n_timesteps // N_EVALUATIONS)
    model.learn(n_timesteps, callback=[*extensions, evaluations])
    return evaluations.curve


def summary(line: str, curves: list[Curve]) -> dict[str, Any]:
    """Return the row of one line: what its seeds began with, kept, and ended with."""
    starts, ends = [curve[0][1] for curve in curves], [curve[-1][1] for curve in curves]
    kept = [min(point[1] for point in curve) / curve[0][1] for curve in curves]
    n_kept, n_above = sum(share >= KEPT for share in kept), sum(b > a for a, b in zip(starts, ends, strict=True))
    is_cloned = line != PLAIN
    return {
        "start": [min(starts), max(starts)],
        "least_share_kept": [min(kept), max(kept)] if is_cloned else "",
        "end": [min(ends), max(ends)],
        "median_end": median(ends),
        "standard_error": mean(point[2] for curve in curves for point in curve),
        "seeds_that_kept_90_%": f"{n_kept} of {len(curves)}" if is_cloned else "",
        "seeds_that_ended_above": f"{n_above} of {len(curves)}" if is_cloned else "",
    }


def benchmark(quick: bool) -> Report:
    n_seeds, n_timesteps, n_episodes = (1, 10_000, 10) if quick else (5, 150_000, 200)
    seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
    n_workers = cpu_count() or 1
    settings: dict[str, Any] = {
        "seeds": f"{seeds[0]} to {seeds[-1]}; the first three of them for all lines but pasted weights and the class",
        "environment steps": n_timesteps,
        "episodes of an evaluation": n_episodes,
        "processes at once": n_workers,
    }
    report = Report("first_bad_batch", "First bad batch: finetuning a cloned policy", TEXT, settings)
    jobs = [(name, line, seed) for name in CLASSES for line in LINES[name] for seed in seeds_of(line, seeds)]
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
        results = pool.map(run, *zip(*jobs, strict=True), [n_timesteps] * len(jobs), [n_episodes] * len(jobs))
        curves = dict(zip(jobs, results, strict=True))
    report_curves(report, curves, seeds)
    return report


def seeds_of(line: str, seeds: range) -> range:
    """Return all seeds for what the comparison is about, the first three for the other lines."""
    return seeds if line in (PASTED, RECIPE) else seeds[:3]


def report_curves(report: Report, curves: dict[tuple[str, str, int], Curve], seeds: range) -> None:
    """Fill the table and draw the figure."""
    table = {
        name: {line: [curves[name, line, seed] for seed in seeds_of(line, seeds)] for line in LINES[name]}
        for name in CLASSES
    }
    for algorithm, lines in table.items():
        for line, of_line in lines.items():
            report.add(algorithm=algorithm, line=line, **summary(line, of_line))
    if len(seeds) > 1:
        draw(table, report.title)
        report.settings["picture"] = f"docs/images/{FILE.name}"


if __name__ == "__main__":
    main(benchmark)
