"""Three expert laps of a winding lane: what behaviour cloning, DAgger and plain PPO make of it.

Run by ``make demo``. Prints a table and saves ``outputs/quickstart.png``.
"""

import argparse
from pathlib import Path

import gymnasium as gym
import matplotlib
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy

from gym_ilrl import BC, DAgger, collect, expert, make_vec_env

matplotlib.use("Agg")  # writes a file, opens no window
import matplotlib.pyplot as plt

ENV_ID = "ilrl/LaneKeeping-v0"
BEST_RETURN = 600
LABELS = {"BC": "behaviour cloning", "DAgger": "DAgger", "PPO": "PPO"}
COLOURS = {"Expert": "#444444", "BC": "#d1495b", "DAgger": "#1b7f5c", "PPO": "#3066be"}


class LearningCurve(BaseCallback):
    """Evaluates the policy on 20 fixed lanes every ``eval_freq`` environment steps."""

    def __init__(self, eval_freq: int) -> None:
        super().__init__()
        self.eval_freq = eval_freq
        self.steps: list[int] = []
        self.returns: list[float] = []

    def _on_rollout_start(self) -> None:
        if not self.steps or self.num_timesteps - self.steps[-1] >= self.eval_freq:
            self.evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self.evaluate()

    def evaluate(self) -> None:
        """Add a point to the curve."""
        self.steps.append(self.num_timesteps)
        self.returns.append(mean_return(self.model))


def mean_return(policy) -> float:
    """Mean return over 20 lanes that nobody was trained on."""
    lanes = make_vec_env(ENV_ID, n_envs=20, seed=1_000)
    policy = policy.bind(lanes) if hasattr(policy, "bind") else policy  # the expert reads the true state
    return float(evaluate_policy(policy, lanes, n_eval_episodes=20)[0])


def learn(seed: int, budget: int, demonstrations) -> dict:
    """Train all three on one seed; return {name: (model, curve, labels, environment steps)}."""
    cloned = BC("MlpPolicy", ENV_ID, demonstrations=demonstrations, seed=seed).learn(2_000)
    curves = {name: LearningCurve(eval_freq=500) for name in ("DAgger", "PPO")}
    dagger = DAgger("MlpPolicy", ENV_ID, demonstrations=demonstrations, expert=expert(ENV_ID), seed=seed)
    dagger.learn(budget, callback=curves["DAgger"])
    ppo = PPO("MlpPolicy", make_vec_env(ENV_ID, n_envs=4), n_steps=250, batch_size=100, seed=seed, device="cpu")
    ppo.learn(budget, callback=curves["PPO"])
    n_demonstrated = demonstrations.n_transitions
    return {
        "BC": (cloned, None, n_demonstrated, 0),
        "DAgger": (dagger, curves["DAgger"], n_demonstrated + dagger.n_labels, dagger.num_timesteps),
        "PPO": (ppo, curves["PPO"], 0, ppo.num_timesteps),
    }


def print_table(runs: list[dict]) -> None:
    print(f"\n{'':8}{'mean return over 20 new lanes, by seed':>42}{'expert labels':>16}{'environment steps':>20}")
    print(f"{'Expert':8}{mean_return(expert(ENV_ID)):>42.0f}{'':>16}{'':>20}")
    for name in ("BC", "DAgger", "PPO"):
        returns = "   ".join(f"{mean_return(run[name][0]):4.0f}" for run in runs)
        _, _, labels, steps = runs[0][name]
        print(f"{name:8}{returns:>42}{labels:>16,}{steps:>20,}")


def drive(policy, seed: int) -> tuple:
    """Drive one lane; return it, how far from its centre the car was at each step, and whether it left."""
    env = gym.make(ENV_ID)
    policy = policy.bind(env) if hasattr(policy, "bind") else policy
    observation, info = env.reset(seed=seed)
    errors, terminated, truncated = [info["lateral_error"]], False, False
    while not (terminated or truncated):
        observation, _, terminated, truncated, info = env.step(policy.predict(observation, deterministic=True)[0])
        errors.append(info["lateral_error"])
    return env.unwrapped.road(), np.array(errors), terminated


def first_lane_that_is_lost_by(policy) -> int:
    """Return the seed of the first evaluation lane that ``policy`` leaves, or of the first one."""
    return next((seed for seed in range(1_000, 1_020) if drive(policy, seed)[2]), 1_000)


def draw_curves(axes, runs: list[dict]) -> None:
    axes.axhline(BEST_RETURN, color=COLOURS["Expert"], linestyle=":", label="expert")
    for i, run in enumerate(runs):
        for name in ("DAgger", "PPO"):
            curve = run[name][1]
            axes.plot(curve.steps, curve.returns, color=COLOURS[name], label=name if i == 0 else None)
        cloned = mean_return(run["BC"][0])
        label = "behaviour cloning (makes no steps)" if i == 0 else None
        axes.axhline(cloned, color=COLOURS["BC"], linewidth=1, linestyle="--", label=label)
    axes.set(xlabel="environment steps", ylabel="steps on the lane, of 600", ylim=(0, 630))
    axes.set_title(f"Driving 20 lanes nobody was trained on, {len(runs)} seeds", loc="left")
    axes.legend(loc="lower right", frameon=False)


def draw_paths(axes, paths: dict, legend: bool) -> None:
    road = paths["DAgger"][0]
    along = np.arange(0, 60, 0.05)
    left, right = road.points(along, road.half_width), road.points(along, -road.half_width)
    axes.fill(*np.concatenate([left, right[::-1]]).T, color="#e4e4e4", zorder=0)
    for name, (_, errors, left_the_lane) in paths.items():
        path = road.points(0.1 * np.arange(len(errors)), errors)
        ending = f"leaves the lane after {len(errors) - 1} steps" if left_the_lane else "drives all 600 steps"
        axes.plot(*path.T, color=COLOURS[name], linewidth=2, label=f"{LABELS[name]} {ending}" if legend else None)
        if left_the_lane:
            axes.plot(*path[-1], marker="X", markersize=11, color=COLOURS[name], markeredgecolor="white", zorder=3)
    axes.set_aspect("equal")
    axes.axis("off")


def draw(runs: list[dict], path: Path) -> None:
    figure = plt.figure(figsize=(12, 7.2), layout="constrained")
    curves, close, whole = figure.subplot_mosaic(
        [["curves", "close"], ["whole", "whole"]], height_ratios=(3, 1)
    ).values()
    draw_curves(curves, runs)
    models = {name: runs[0][name][0] for name in ("PPO", "BC", "DAgger")}
    seed = first_lane_that_is_lost_by(models["BC"])
    paths = {name: drive(model, seed) for name, model in models.items()}
    draw_paths(close, paths, legend=False)
    road, errors, _ = paths["BC"]
    lost = road.points(0.1 * np.arange(len(errors)), errors)[-1]
    close.set(xlim=(lost[0] - 2.8, lost[0] + 1), ylim=(lost[1] - 1, lost[1] + 2))
    close.set_title(
        "Behaviour cloning has seen the middle of the lane only: once\n"
        "it has drifted, it does not know the way back.\n"
        "DAgger asked the expert just there.",
        loc="left",
    )
    draw_paths(whole, paths, legend=True)
    whole.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=3, frameon=False)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=6_000, help="environment steps for each of DAgger and PPO")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("outputs"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small networks: threads cost more than they give

    demonstrations = collect(expert(ENV_ID), ENV_ID, n_episodes=3, seed=0)
    print(demonstrations.summary())
    runs = []
    for seed in range(arguments.seeds):
        print(f"seed {seed}: behaviour cloning, DAgger, PPO ...", flush=True)
        runs.append(learn(seed, arguments.budget, demonstrations))
    print_table(runs)

    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(runs, arguments.output / "quickstart.png")
    print(f"\nLook at {arguments.output / 'quickstart.png'}")


if __name__ == "__main__":
    main()
