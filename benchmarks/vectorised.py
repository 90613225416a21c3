"""The native vectorised environments beside loops over single ones: steps per CPU second."""

from collections.abc import Callable
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common import env_util
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.harness import Prepare, Report, alternate, compare, main
from gym_ilrl import make_vec_env

ENVIRONMENTS = ("ilrl/LaneKeeping-v0", "ilrl/Tightrope-v0", "ilrl/GridMaze-v0")
NUMBERS = (64, 1024)
TARGET = 20.0

TEXT = """\
Steps of all copies together, with random actions drawn beforehand; episodes that end begin anew. Gymnasium:
`gym.make_vec(id, n)` natively vectorised beside `vectorization_mode="sync"`, which is `SyncVectorEnv` of the single
environments. SB3: `gym_ilrl.make_vec_env(id, n)` beside `stable_baselines3.common.env_util.make_vec_env(id, n)`, which is
`DummyVecEnv`; both with SB3's monitor of returns."""


def gymnasiums(env_id: str, n: int, mode: str) -> gym.vector.VectorEnv:
    return gym.make_vec(env_id, n, vectorization_mode=mode)


def stepping(make: Callable[[], Any], n_steps: int) -> Prepare:
    """Return how a side steps its environments ``n_steps`` times."""
    env = make()
    single = env.action_space if isinstance(env, VecEnv) else env.single_action_space

    def prepare(turn: int) -> Callable[[], float]:
        single.seed(turn)
        actions = [np.array([single.sample() for _ in range(env.num_envs)]) for _ in range(16)]
        env.reset()

        def run() -> float:
            for step in range(n_steps):
                env.step(actions[step % len(actions)])
            return n_steps * env.num_envs

        return run

    return prepare


def benchmark(quick: bool) -> Report:
    peer_steps, turns = (2_000, 1) if quick else (20_000, 5)
    settings = {"steps of the peer": peer_steps, "steps of the native form": 20 * peer_steps, "turns": turns}
    report = Report("vectorised", "Vectorised environments: steps per CPU second", TEXT, settings)
    for env_id in ENVIRONMENTS:
        for n in NUMBERS:
            kinds = {
                "SyncVectorEnv": (lambda: gymnasiums(env_id, n, "vector_entry_point"), gymnasiums, "sync"),
                "DummyVecEnv": (lambda: make_vec_env(env_id, n), env_util.make_vec_env),
            }
            for peer, (native, loop, *mode) in kinds.items():
                n_steps = max(1, peer_steps // n)
                sides = {
                    "native": stepping(native, 20 * n_steps),
                    "loop": stepping(lambda: loop(env_id, n, *mode), n_steps),
                }
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
    return report


if __name__ == "__main__":
    main(benchmark)
