"""Rewards that are no linear function of the features: what MaxEnt IRL with a network learns, and with weights."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray

import gym_ilrl  # noqa: F401  (registers the environments)
from benchmarks.harness import Report, main
from benchmarks.nonlinear_rewards_figure import FILE, Example, draw
from gym_ilrl import Demonstrations, MaxEntIRL, TabularMDP
from gym_ilrl.planning import policy_evaluation, solve

GAMMA, N_STEPS, RANDOM_ACTIONS = 0.9, 8, 0.3
SIZES = (8, 32, 128)
ENVIRONMENTS: dict[str, dict[str, Any]] = {"ObjectWorld": {"n_objects": 50}, "BinaryWorld": {}}
LINEAR, THRESHOLDS, TABLE, NETWORK, ZERO = "linear", "linear, distance thresholds", "table", "network", "zero"
EXAMPLE_SEED, ELSEWHERE = 0, 1_000

TEXT = f"""\
The two benchmarks of non-linear inverse reinforcement learning: `ilrl/ObjectWorld-v0` (Levine, Popovic and Koltun,
2011) with 50 objects, whose reward depends on the distances to two colours together, and `ilrl/BinaryWorld-v0`
(Wulfmeier, Ondruska and Posner, 2015), whose reward depends on how many of nine cells are blue: 4 are good, 5 are bad.
Deterministic moves, discount {GAMMA}. A demonstration is {N_STEPS} steps from a uniformly drawn cell by the optimal
policy, of whose actions {RANDOM_ACTIONS:.0%} are replaced by random ones; 8 demonstrations are the first of the 32, and
those of the 128. Each seed is a layout and its demonstrations. The number is the expected value difference: how much
more the optimal policy earns than the best policy of the learned reward, under the true reward, in discounted sums from
uniform starts; mean ± standard error over the seeds, lower is better.

"{LINEAR}" is `MaxEntIRL` with the environment's features: distances to colours in ObjectWorld, the colours of nine
cells in BinaryWorld. "{THRESHOLDS}" are ObjectWorld's `features="discrete"`: whether each
distance is at most 1, 2, ..., 32. "{NETWORK}" is `reward="network"`, two layers of 64 units over the same features as
"{LINEAR}"; its settings were chosen on layouts 10 to 13. "{TABLE}" is `reward="tabular"`, which has no features to
generalise by: where 1,024 demonstrated steps meet 1,024 cells it hardly has to. The last column tells who can: the
reward that was learnt from the most demonstrations, in a layout that the demonstrators never saw. Under "{ZERO}", a
reward of 0, all actions are as good and the first one is taken."""


def make(name: str, seed: int, size: int, line: str = LINEAR) -> gym.Env[Any, Any]:
    """Return the layout of a seed, with the features of a line."""
    options = {"size": size, "slip": 0.0, "layout_seed": seed, **ENVIRONMENTS[name]}
    if line == THRESHOLDS:
        options["features"] = "discrete"
    return gym.make(f"ilrl/{name}-v0", disable_env_checker=True, **options)


def demonstrations(env: gym.Env[Any, Any], mdp: TabularMDP, n: int, seed: int) -> Demonstrations:
    """Return ``n`` demonstrations; the first ones are the same for every ``n``."""
    best, moves = solve(mdp).actions, mdp.transitions.indices.reshape(mdp.rewards.shape)
    observations, actions = np.empty((n, N_STEPS + 1), dtype=np.int64), np.empty((n, N_STEPS), dtype=np.int64)
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        observations[i, 0] = rng.integers(mdp.n_states)
        for t in range(N_STEPS):
            is_random = rng.random() < RANDOM_ACTIONS
            actions[i, t] = rng.integers(mdp.n_actions) if is_random else best[observations[i, t]]
            observations[i, t + 1] = moves[actions[i, t], observations[i, t]]
    return Demonstrations.from_arrays(list(observations), list(actions), env)


def value_difference(mdp: TabularMDP, reward: NDArray[np.float64]) -> float:
    """Return how much the best policy of a reward on states loses, in the mean over all starts."""
    chosen = solve(mdp.replace(rewards=np.tile(reward, (mdp.n_actions, 1)))).actions
    return float((solve(mdp).values - policy_evaluation(mdp, chosen)).mean())


def fit(env: gym.Env[Any, Any], demos: Demonstrations, seed: int, line: str) -> MaxEntIRL:
    """Return what has been learnt; weights and tables stop where they have converged."""
    n_evaluations, options = 1_000, {}
    if line == NETWORK:
        prior = 1.0 / demos.n_transitions  # of deviation 1 for every parameter: less with more demonstrations
        n_evaluations, options = 600, {"reward": "network", "learning_rate": decaying, "l2_coef": prior}
    elif line == TABLE:
        options = {"reward": "tabular"}
    model = MaxEntIRL("TabularPolicy", env, demonstrations=demos, gamma=GAMMA, seed=seed, device="cpu", **options)
    return model.learn(n_evaluations, log_interval=None)


def decaying(progress_remaining: float) -> float:
    return 3e-3 * progress_remaining


def reward_elsewhere(model: MaxEntIRL, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the learned reward of the states of another layout, by their features."""
    if not model.is_neural:
        return features @ model.weights
    with th.no_grad():
        return model.reward_model.learned(th.tensor(features)).double().numpy()


def benchmark(quick: bool) -> Report:
    th.set_num_threads(1)  # networks as small as these only wait for a second thread
    size, sizes, seeds = (12, SIZES[:2], range(1)) if quick else (32, SIZES, range(5))
    settings: dict[str, Any] = {
        "grid": f"{size} x {size}",
        "seeds": f"{seeds[0]} to {seeds[-1]}",
        "weights and table": "`MaxEntIRL` with its defaults: L-BFGS to a gradient of 1e-6, or 1,000 evaluations",
        NETWORK: "Adam, 600 evaluations, learning rate from 3e-3 to 0, `l2_coef` 1 over the number of steps",
    }
    report = Report("nonlinear_rewards", "Non-linear rewards: MaxEnt IRL by network and weights", TEXT, settings)
    curves: dict[str, dict[str, NDArray[np.float64]]] = {}
    examples: dict[str, Example] = {}
    for name in ENVIRONMENTS:
        curves[name], examples[name] = measure(name, size, sizes, seeds)
        for line, losses in curves[name].items():
            report.add(environment=name, reward=line, **dict(zip(headings(sizes), map(cell, losses), strict=True)))
    if not quick:
        draw(
            {name: {line: each[:-1] for line, each in lines.items()} for name, lines in curves.items()}, sizes, examples
        )
        report.settings["picture"] = f"docs/images/{FILE.name}"
    return report


def measure(
    name: str, size: int, sizes: tuple[int, ...], seeds: range
) -> tuple[dict[str, NDArray[np.float64]], Example]:
    """Return each line's losses, of shape ``(sizes + 1, seeds)``, and what was learnt from most in one layout.

    The last losses are those from most demonstrations, in another layout.
    """
    lines = [LINEAR, *([THRESHOLDS] if name == "ObjectWorld" else []), TABLE, NETWORK]
    losses = {line: np.full((len(sizes) + 1, len(seeds)), np.nan) for line in (*lines, ZERO)}
    example: Example = {}
    for j, seed in enumerate(seeds):
        worlds = {line: make(name, seed, size, line) for line in lines}
        elsewhere = {line: make(name, seed + ELSEWHERE, size, line) for line in lines}
        mdp, other = (TabularMDP.from_env(which[LINEAR], gamma=GAMMA) for which in (worlds, elsewhere))
        losses[ZERO][:-1, j] = value_difference(mdp, np.zeros(mdp.n_states))
        losses[ZERO][-1, j] = value_difference(other, np.zeros(mdp.n_states))
        for line, env in worlds.items():
            for i, n in enumerate(sizes):
                model = fit(env, demonstrations(env, mdp, n, seed), seed, line)
                losses[line][i, j] = value_difference(mdp, model.reward_table)
            if line != TABLE:
                features = elsewhere[line].unwrapped.features  # type: ignore[attr-defined]
                losses[line][-1, j] = value_difference(other, reward_elsewhere(model, features))
            if seed == EXAMPLE_SEED and line in (LINEAR, NETWORK):
                example["true"], example[line] = mdp.rewards[0], model.reward_table
    return losses, example


def headings(sizes: tuple[int, ...]) -> list[str]:
    return [*(f"{n}_demonstrations" for n in sizes), f"{sizes[-1]},_another_layout"]


def cell(losses: NDArray[np.float64]) -> str:
    """Write mean and standard error of the seeds."""
    if not np.isfinite(losses).all():
        return ""
    error = losses.std(ddof=1) / len(losses) ** 0.5 if len(losses) > 1 else float("nan")
    return f"{losses.mean():.2f} ± {error:.2f}"


if __name__ == "__main__":
    main(benchmark)
