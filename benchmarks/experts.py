"""What the experts reach: the table in ``benchmarks/results/experts.md``.

python -m benchmarks.experts --episodes 100
"""

import argparse
import platform
import warnings
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import gymnasium as gym
import numpy as np

from gym_ilrl.experts.base import PrivilegedExpert
from gym_ilrl.experts.registry import expert, newest_version, registered_experts

RESULTS = Path(__file__).parent / "results" / "experts.md"
PUBLISHED = 100  # episodes; fewer are too few to quote
PACKAGES = ("gym-ilrl", "gymnasium", "numpy", "scipy", "mujoco", "box2d")


@dataclass(frozen=True)
class Row:
    """What an expert and random actions reach in one environment, over the same seeds."""

    env_id: str
    kind: str
    returns: np.ndarray
    random_returns: np.ndarray
    threshold: float | None

    def __str__(self) -> str:
        solved = "" if self.threshold is None else f"{self.threshold:g}"
        return f"| {self.env_id} | {self.kind} | {spread(self.returns)} | {spread(self.random_returns)} | {solved} |"


def spread(returns: np.ndarray) -> str:
    return f"{returns.mean():.2f} ± {returns.std():.2f}"


def episode_returns(env, act, n_episodes: int) -> np.ndarray:
    """Return the returns of episodes with the seeds 0, 1, ..."""
    returns = np.zeros(n_episodes)
    for seed in range(n_episodes):
        observation, _ = env.reset(seed=seed)
        done = False
        while not done:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            returns[seed] += float(reward)
            done = terminated or truncated
    return returns


def measure(env_id: str, n_episodes: int) -> Row:
    env = gym.make(env_id, disable_env_checker=True)
    if env.spec.max_episode_steps is None:  # random actions may never end the episode
        env = gym.wrappers.TimeLimit(env, 1000)
    teacher = expert(env)
    privileged = " It reads the true state." if isinstance(teacher, PrivilegedExpert) else ""
    env.action_space.seed(0)
    row = Row(
        env_id,
        f"{(type(teacher).__doc__ or '').splitlines()[0]}{privileged}",
        episode_returns(env, lambda observation: teacher.predict(observation)[0], n_episodes),
        episode_returns(env, lambda _: env.action_space.sample(), n_episodes),
        env.spec.reward_threshold,
    )
    env.close()
    return row


def newest_ids() -> list[str]:
    """Return the newest id of every environment that has an expert, where this Gymnasium registers it."""
    names = dict.fromkeys(name.partition("-v")[0] for name in registered_experts())
    return [env_id for env_id in map(newest_version, names) if env_id in gym.registry]


def versions() -> str:
    installed = {package.metadata["Name"].lower().replace("_", "-"): package.version for package in distributions()}
    found = [f"{package} {installed[package]}" for package in PACKAGES if package in installed]
    return ", ".join([f"Python {platform.python_version()}", *found])


def table(n_episodes: int) -> str:
    lines = [
        "# Experts",
        "",
        f"Mean return ± standard deviation over {n_episodes} episodes (seeds 0 to {n_episodes - 1}), beside uniformly",
        "random actions and the return that Gymnasium calls solved. Environments without a time limit are cut at 1,000",
        f"steps. Written by `python -m benchmarks.experts --episodes {n_episodes}` with {versions()}.",
        "",
        "| environment | expert | return | random | solved |",
        "|---|---|---|---|---|",
    ]
    for env_id in newest_ids():
        try:
            line = str(measure(env_id, n_episodes))
        except (gym.error.DependencyNotInstalled, ImportError) as missing:
            line = f"| {env_id} | not measured: {str(missing).splitlines()[0]} | | | |"
        print(line, flush=True)
        lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--episodes", type=int, default=PUBLISHED, help="in each environment; fewer than the default write no file"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    text = table(arguments.episodes)
    if arguments.episodes >= PUBLISHED:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text)
        print(f"wrote {RESULTS}")


if __name__ == "__main__":
    main()
