"""A maze whose only reward is at its end: PPO, PPO started from cloned weights, and PPOfD with five demonstrations.

Run by ``make maze``. Prints a table and saves ``outputs/from_demonstrations.png``.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym
import matplotlib
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from gym_ilrl import BC, PPOfD, collect, make_vec_env
from gym_ilrl.experts.sparse_point_maze import SparsePointMazeExpert

matplotlib.use("Agg")  # writes a file, opens no window
import matplotlib.pyplot as plt

ENV_ID, LAYOUT, TIME_LIMIT = "ilrl/SparsePointMaze-v0", {"layout": "S"}, 250
THRUST = 0.35  # of the demonstrator: it knows the way, and is slow
PPO_SETTINGS = {"n_steps": 256, "batch_size": 256, "device": "cpu"}  # the same for all three
LABELS = {"PPO": "PPO", "BC": "PPO from cloned weights", "PPOfD": "PPOfD"}
COLOURS = {"Demonstrator": "#d98e04", "PPO": "#3066be", "BC": "#d1495b", "PPOfD": "#1b7f5c"}


class Score(NamedTuple):
    """Of 20 episodes: the share that reaches the goal, and the mean length; those that never arrive count 250 steps."""

    share: float
    steps: float


class LearningCurve(BaseCallback):
    """Evaluates the policy in 20 episodes every ``eval_freq`` environment steps."""

    def __init__(self, eval_freq: int) -> None:
        super().__init__()
        self.eval_freq = eval_freq
        self.timesteps: list[int] = []
        self.scores: list[Score] = []

    def _on_rollout_start(self) -> None:
        if not self.timesteps or self.num_timesteps - self.timesteps[-1] >= self.eval_freq:
            self.evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self.evaluate()

    def evaluate(self) -> None:
        """Add a point to the curve."""
        self.timesteps.append(self.num_timesteps)
        self.scores.append(score(self.model))


def mazes(n_envs: int, seed: int | None = None):
    return make_vec_env(ENV_ID, n_envs, seed=seed, env_kwargs=LAYOUT)


def score(policy) -> Score:
    """Evaluate without noise, in the same 20 episodes each time."""
    returns, lengths = evaluate_policy(policy, mazes(20, seed=1_000), 20, return_episode_rewards=True)
    return Score(float(np.mean(np.array(returns) > 0)), float(np.mean(lengths)))


def build(name: str, seed: int, demonstrations):
    """Return one of the three before it has seen a reward; BC and PPOfD start from the same clone."""
    settings = {**PPO_SETTINGS, "seed": seed}
    n_epochs, batch_size = 100, 64
    if name == "PPOfD":
        parts = {"demonstrations": demonstrations, "pretrain_epochs": n_epochs, "critic_warmup": 10_000}
        return PPOfD("MlpPolicy", mazes(8), **parts, **settings)
    if name == "BC":
        adam = {"optimizer_kwargs": {"eps": 1e-8}}  # as in PPOfD's pretraining; that of PPO's policies is 1e-5
        cloned = BC("MlpPolicy", None, 1e-3, batch_size, demonstrations, policy_kwargs=adam, seed=seed, device="cpu")
        cloned.learn(n_epochs * -(-demonstrations.n_transitions // batch_size))
        return cloned.to(PPO, mazes(8), policy_kwargs=None, **settings)
    return PPO("MlpPolicy", mazes(8), **settings)


def learn(seed: int, budget: int, demonstrations) -> dict:
    """Train all three on one seed; return {name: (model, curve)}."""
    curves = {name: LearningCurve(eval_freq=budget // 20) for name in LABELS}
    return {
        name: (build(name, seed, demonstrations).learn(budget, callback=curve), curve) for name, curve in curves.items()
    }


def print_table(runs: list[dict], demonstrations) -> None:
    print(f"\n{'':24}{'reaches the goal, in the end':>32}{'at its worst on the way':>28}{'mean steps an episode':>26}")
    print(f"{'demonstrator':24}{'100%':>32}{'':>28}{demonstrations.episode_lengths.mean():>26.0f}")
    for name, label in LABELS.items():
        curves = [run[name][1].scores for run in runs]
        columns = (
            (32, [f"{curve[-1].share:4.0%}" for curve in curves]),
            (28, [f"{min(curve).share:4.0%}" for curve in curves]),
            (26, [f"{curve[-1].steps:3.0f}" for curve in curves]),
        )
        print(f"{label:24}" + "".join("  ".join(values).rjust(width) for width, values in columns))
    print(f"(20 episodes, without noise; one number a seed; {TIME_LIMIT} steps: never arrived)")


def drive(policy) -> tuple:
    """Drive one episode; return the positions, of shape (steps + 1, 2), and whether the goal was reached."""
    env = gym.make(ENV_ID, **LAYOUT)
    observation, info = env.reset(seed=1_000)
    positions, terminated, truncated = [observation[:2]], False, False
    while not (terminated or truncated):
        observation, _, terminated, truncated, info = env.step(policy.predict(observation, deterministic=True)[0])
        positions.append(observation[:2])
    return np.array(positions), info["is_success"]


def draw_curves(axes, runs: list[dict], field: str, scale: float = 1.0) -> None:
    for name, label in LABELS.items():
        timesteps = runs[0][name][1].timesteps
        values = scale * np.array([[getattr(score, field) for score in run[name][1].scores] for run in runs])
        axes.plot(timesteps, values.T, color=COLOURS[name], linewidth=0.9, alpha=0.55)
        axes.plot(timesteps, np.median(values, axis=0), color=COLOURS[name], linewidth=2.8, label=label)
    axes.set_xlim(0, timesteps[-1])
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)


def draw_maze(axes, model_of: dict, demonstrations) -> None:
    maze = gym.make(ENV_ID, **LAYOUT).unwrapped.dynamics.layout
    height, width = maze.free.shape
    axes.imshow(~maze.free, cmap="Greys", vmin=0, vmax=1.4, extent=(0, width, height, 0))
    for name, (row, column) in {"start": maze.start, "goal": maze.goal}.items():
        axes.add_patch(plt.Rectangle((column, row), 1, 1, color="#d0eac8" if name == "goal" else "#cedef0"))
        axes.text(column + 0.5, row + 0.9, name, ha="center", fontsize=11, color="#444444")
    steps = demonstrations.episode_lengths.mean()
    label = f"{demonstrations.n_episodes} demonstrations: {steps:.0f} steps on average"
    for i, episode in enumerate(demonstrations):
        axes.plot(
            *episode.observations[:, :2].T, color=COLOURS["Demonstrator"], linewidth=1, label=label if not i else ""
        )
    for name, model in model_of.items():
        path, arrived = drive(model)
        ending = f"at the goal after {len(path) - 1} steps" if arrived else f"not there after {len(path) - 1} steps"
        axes.plot(*path.T, color=COLOURS[name], linewidth=2, marker=".", markersize=7, label=f"{name}: {ending}")
        if not arrived:
            axes.plot(*path[-1], marker="X", markersize=11, color=COLOURS[name], markeredgecolor="white", zorder=3)
    axes.axis("off")


def draw(runs: list[dict], demonstrations, path: Path) -> None:
    figure = plt.figure(figsize=(12, 6.6), layout="constrained")
    share, maze, steps = figure.subplot_mosaic([["share", "maze"], ["steps", "maze"]]).values()
    draw_curves(share, runs, "share", scale=100)
    share.set(ylim=(-3, 103), ylabel="episodes at the goal, %")
    share.set_title(f"Thick: median of {len(runs)} seeds; thin: each seed", loc="left")
    draw_curves(steps, runs, "steps")
    demonstrated = demonstrations.episode_lengths.mean()
    steps.axhline(demonstrated, color=COLOURS["Demonstrator"], linestyle=":", linewidth=2, label="demonstrator")
    steps.set(ylim=(0, TIME_LIMIT + 8), ylabel="steps an episode", xlabel="environment steps")
    steps.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=4, frameon=False)
    draw_maze(maze, {name: runs[0][name][0] for name in ("PPO", "PPOfD")}, demonstrations)
    maze.set_title("One episode of each after training, a dot a step (first seed)", loc="left")
    maze.legend(loc="upper left", bbox_to_anchor=(0, -0.01), frameon=False)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=40_000, help="environment steps for each of the three")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("outputs"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small networks: threads cost more than they give

    maze = gym.make(ENV_ID, **LAYOUT)
    demonstrations = collect(SparsePointMazeExpert(maze, thrust=THRUST), maze, n_episodes=5, seed=0)
    print(demonstrations.summary())
    runs = []
    for seed in range(arguments.seeds):
        print(f"seed {seed}: PPO, PPO from cloned weights, PPOfD ...", flush=True)
        runs.append(learn(seed, arguments.budget, demonstrations))
    print_table(runs, demonstrations)

    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(runs, demonstrations, arguments.output / "from_demonstrations.png")
    print(f"\nLook at {arguments.output / 'from_demonstrations.png'}")


if __name__ == "__main__":
    main()
