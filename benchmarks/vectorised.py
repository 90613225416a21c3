"""The native vectorised environments beside loops over single ones: steps per CPU second."""

import itertools
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common import env_util
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.harness import Report, Run, alternate, compare, main
from gym_ilrl import make_vec_env

ENVIRONMENTS = ("ilrl/LaneKeeping-v0", "ilrl/Tightrope-v0", "ilrl/GridMaze-v0", "ilrl/SparsePointMaze-v0")
NUMBERS = (64, 1024)
TARGET = 20.0

TEXT = """\
Steps of all copies together, with random actions drawn beforehand; episodes that end begin anew. Gymnasium:
`gym.make_vec(id, n)` natively vectorised beside `vectorization_mode="sync"`, which is `SyncVectorEnv` of the
single environments. SB3: `gym_ilrl.make_vec_env(id, n)` beside `stable_baselines3.common.env_util.make_vec_env(id,
n)`, which is `DummyVecEnv`; both with SB3's monitor of returns."""


MAKERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "SyncVectorEnv": (
        partial(gym.make_vec, vectorization_mode="vector_entry_point"),
        partial(gym.make_vec, vectorization_mode="sync"),
    ),
    "DummyVecEnv": (make_vec_env, env_util.make_vec_env),
}


def stepping(env: Any, n_steps: int, turn: int) -> Run:
    """Return what steps ``env`` ``n_steps`` times."""
    single = env.action_space if isinstance(env, VecEnv) else env.single_action_space
    single.seed(turn)
    actions = [np.array([single.sample() for _ in range(env.num_envs)]) for _ in range(16)]
    env.reset()

    def run() -> float:
        for step in range(n_steps):
            env.step(actions[step % len(actions)])
        return n_steps * env.num_envs

    return run


def benchmark(quick: bool) -> Report:
    peer_steps, turns = (2_000, 1) if quick else (20_000, 5)
    settings = {"steps of the loop": peer_steps, "steps of the native form": 20 * peer_steps, "turns": turns}
    report = Report("vectorised", "Vectorised environments: steps per CPU second", TEXT, settings)
    for env_id, n, peer in itertools.product(ENVIRONMENTS, NUMBERS, MAKERS):
        native, loop = (make(env_id, n) for make in MAKERS[peer])
        n_steps = max(1, peer_steps // n)
        sides = {"native": partial(stepping, native, 20 * n_steps), "loop": partial(stepping, loop, n_steps)}
        rates = alternate(sides, turns)
        report.add(
            environment=env_id,
            copies=n,
            native=median(rates["native"]),
            loop=median(rates["loop"]),
            loop_is=peer,
            **compare(rates["native"], rates["loop"]),
            target=TARGET if peer == "SyncVectorEnv" else "",
        )
        native.close()
        loop.close()
    return report


if __name__ == "__main__":
    main(benchmark)
