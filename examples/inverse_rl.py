"""Five demonstrations on slippery ice: what a clone, and what a learned reward, is worth where the ice is dry.

A policy says what to do here; a reward says what is wanted, here and elsewhere. Run by ``make irl``. Prints a table and
saves ``outputs/inverse_rl.png``.
"""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from gymnasium.envs.toy_text.frozen_lake import generate_random_map
from matplotlib.figure import Figure

from gym_ilrl import BC, MaxEntIRL, SoftValueIteration, TabularMDP, collect
from gym_ilrl.planning import occupancy, policy_evaluation, solve
from gym_ilrl.plots import plot_policy, plot_states, state_positions

TEMPERATURE = 0.002  # of the demonstrator: how careless it is
TIME_LIMIT = 200
METHODS = {
    "true reward": "#444444",
    "clone of the demonstrator": "#d1495b",
    "learned reward of each cell": "#3066be",
    "learned reward of each kind": "#1b7f5c",
}
WORLDS = ("the same lake", "without slipping", "five other lakes")


def lake(is_slippery: bool = True, seed: int | None = None):
    """The lake of Gymnasium, or another one; it tells of what kind each cell is."""
    layout = {"map_name": "8x8"} if seed is None else {"desc": generate_random_map(8, 0.85, seed=seed)}
    env = gym.make("FrozenLake-v1", is_slippery=is_slippery, max_episode_steps=TIME_LIMIT, **layout)
    env.unwrapped.features = kinds(env)  # found there by MaxEntIRL
    return env


def kinds(env) -> np.ndarray:
    """What each cell looks like: ice, hole or goal, of shape (n_states, 3)."""
    cells = env.unwrapped.desc.ravel()
    return np.stack([(cells == b"F") | (cells == b"S"), cells == b"H", cells == b"G"], axis=1).astype(float)


def arrives(env, actions: np.ndarray) -> float:
    """Return the probability of reaching the goal in time: the model is known, so it is exact."""
    mdp = TabularMDP.from_env(env, gamma=1.0, horizon=TIME_LIMIT)
    return float(mdp.initial @ policy_evaluation(mdp, actions)[0])


def learn(n_demonstrations: int, seed: int) -> tuple:
    """Return the demonstrations, a clone, and the rewards that are learned: of each cell, and of each kind of cell."""
    env = lake()
    demonstrator = SoftValueIteration("TabularPolicy", env, temperature=TEMPERATURE, seed=seed).learn(1_000)
    demonstrations = collect(demonstrator, env, n_episodes=n_demonstrations, seed=seed, deterministic=False)
    print(demonstrations.summary(), "\n", flush=True)
    clone = BC("MlpPolicy", env, demonstrations=demonstrations, seed=seed).learn(1_000, progress_bar=True)
    of_cells = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, reward="tabular")
    of_kinds = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, reward="linear")
    return (
        demonstrations,
        clone,
        of_cells.learn(200, progress_bar=True),
        of_kinds.learn(200, progress_bar=True),
    )


def policies(env, clone, of_cells, of_kinds) -> dict[str, np.ndarray]:
    """Return the actions that each method takes in a world."""
    everywhere = np.arange(env.observation_space.n)
    actions = (
        solve(TabularMDP.from_env(env)).actions,
        clone.predict(everywhere, deterministic=True)[0].astype(np.int64),
        solve(of_cells.learned_mdp(env)).actions,
        solve(of_kinds.learned_mdp(env)).actions,
    )
    return dict(zip(METHODS, actions, strict=True))


def compare(learned: list) -> dict[str, list[float]]:
    """Return the probability of arriving, for each method in each of the worlds."""
    worlds = ([lake()], [lake(is_slippery=False)], [lake(seed=seed) for seed in range(1, 6)])
    arriving: dict[str, list[float]] = {name: [] for name in METHODS}
    for envs in worlds:
        shares = [{name: arrives(env, actions) for name, actions in policies(env, *learned).items()} for env in envs]
        for name, column in arriving.items():
            column.append(float(np.mean([share[name] for share in shares])))
    return arriving


def print_table(arriving: dict[str, list[float]], weights: np.ndarray) -> None:
    ice, hole, goal = weights
    print(f"\nlearned reward: {ice:.1f} on ice, {hole:.1f} in a hole, {goal:.1f} at the goal")
    print(f"\n{'reaches the goal in time':30}" + "".join(f"{world:>20}" for world in WORLDS))
    for name, column in arriving.items():
        print(f"{name:30}" + "".join(f"{share:>20.0%}" for share in column))


def draw_visits(axes, env, actions: np.ndarray, title: str) -> None:
    """Draw where a policy goes, and darker what it visits more often."""
    mdp, places = TabularMDP.from_env(env, gamma=1.0, horizon=TIME_LIMIT), state_positions(env)
    visits = occupancy(mdp, actions).sum(axis=0)
    shade = plot_states(axes, visits, places, mdp=mdp, kind="occupancy", goals=kinds(env)[:, 2], colour_bar=False)
    shade.set_alpha(0.5)  # under the arrows
    plot_policy(axes, np.eye(mdp.n_actions)[:, actions], mdp, places)
    axes.set_title(f"{title}\nreaches the goal: {arrives(env, actions):.0%}", loc="left")


def draw_bars(axes, arriving: dict[str, list[float]]) -> None:
    for i, (name, column) in enumerate(arriving.items()):
        at = np.arange(len(WORLDS)) + 0.2 * (i - 1.5)
        axes.bar(at, [100 * share for share in column], width=0.18, color=METHODS[name], label=name)
        for x, share in zip(at, column, strict=True):
            axes.text(x, 100 * share + 1.5, f"{100 * share:.0f}", ha="center", fontsize=8)
    axes.set(
        xticks=range(len(WORLDS)),
        xticklabels=[world.replace(" ", "\n", 1) for world in WORLDS],
        ylim=(0, 112),
        yticks=(0, 50, 100),
    )
    axes.set_title("Episodes that reach the goal, %", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def draw(demonstrations, learned: list, arriving: dict[str, list[float]], path: Path) -> None:
    figure = Figure(figsize=(13, 8.4), layout="constrained")
    shown, reward, bars, cloned, dry, other = figure.subplots(2, 3).flat
    env, mdp = lake(), TabularMDP.from_env(lake())
    places, goals = state_positions(env), kinds(env)[:, 2]
    visited = np.concatenate([episode.observations for episode in demonstrations])
    counts = np.bincount(visited, minlength=mdp.n_states)
    plot_states(shown, counts, places, mdp=mdp, kind="occupancy", goals=goals)
    shown.set_title(f"What {demonstrations.n_episodes} demonstrations\nvisit on slippery ice", loc="left")
    plot_states(reward, learned[2].reward_table, places, mdp=mdp, goals=goals)
    reward.set_title("The reward of each kind of cell\nthat inverse RL learns from them", loc="left")
    draw_bars(bars, arriving)
    without, another = lake(is_slippery=False), lake(seed=1)
    dry_policies, other_policies = policies(without, *learned), policies(another, *learned)
    draw_visits(cloned, without, dry_policies["clone of the demonstrator"], "Without slipping: the clone")
    draw_visits(dry, without, dry_policies["learned reward of each kind"], "Without slipping: planned anew")
    draw_visits(other, another, other_policies["learned reward of each kind"], "Another lake: planned anew")
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demonstrations", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("outputs"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small networks: threads cost more than they give

    demonstrations, *learned = learn(arguments.demonstrations, arguments.seed)
    arriving = compare(learned)
    print_table(arriving, learned[-1].weights)

    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(demonstrations, learned, arriving, arguments.output / "inverse_rl.png")
    print(f"\nLook at {arguments.output / 'inverse_rl.png'}")


if __name__ == "__main__":
    main()
