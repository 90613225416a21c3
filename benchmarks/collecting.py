"""Collecting demonstrations: steps per CPU second."""

from functools import partial
from statistics import median

import gymnasium as gym
import numpy as np
import torch as th
from imitation.data import rollout
from imitation.data.wrappers import RolloutInfoWrapper
from imitation.util.util import make_vec_env as make_wrapped
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.harness import Report, Run, alternate, compare, main
from gym_ilrl import collect

ENVIRONMENTS = ("CartPole-v1", "Pendulum-v1", "HalfCheetah-v5")
N_ENVS = 8
TARGET = 1.5

TEXT = """\
Recording an untrained PPO (`MlpPolicy`, deterministic). "Documented": each library's own way from an id to
episodes, `gym_ilrl.collect(model, id, n_timesteps=..., n_envs=8)` beside `imitation.data.rollout.rollout(model,
venv, make_min_timesteps(...))` in a `venv` of `imitation.util.make_vec_env` with the `RolloutInfoWrapper` that it
asks for. "Same VecEnv": both in one SB3 `VecEnv` that is made beforehand, the peer with `unwrap=False`, which
spares it its wrapper. Counted are the transitions that come back; both finish the episodes they have begun. The
column "predict and step" keeps nothing: the most that SB3's `predict` and `step` allow (ours leaves out what is
the same in every `predict`)."""


def ours(model: PPO, env: VecEnv | str, n_steps: int, turn: int) -> Run:
    n_envs = N_ENVS if isinstance(env, str) else 1  # an id has none yet
    return lambda: collect(model, env, n_timesteps=n_steps, n_envs=n_envs, seed=turn).n_transitions


def imitations(model: PPO, env: VecEnv | str, n_steps: int, turn: int) -> Run:
    rng, until = np.random.default_rng(turn), rollout.make_min_timesteps(n_steps)
    unwrap = isinstance(env, str)

    def run() -> float:
        venv = make_wrapped(env, n_envs=N_ENVS, rng=rng, post_wrappers=[recorded]) if isinstance(env, str) else env
        episodes = rollout.rollout(model, venv, until, rng=rng, unwrap=unwrap, deterministic_policy=True)
        return sum(len(episode) for episode in episodes)

    return run


def recorded(env: gym.Env, index: int) -> gym.Env:
    return RolloutInfoWrapper(env)


def predict_and_step(model: PPO, venv: VecEnv, n_steps: int, turn: int) -> Run:
    def run() -> float:
        observations = venv.reset()
        for _ in range(n_steps // venv.num_envs):
            actions, _ = model.predict(observations, deterministic=True)
            observations, *_ = venv.step(actions)
        return n_steps

    return run


def benchmark(quick: bool) -> Report:
    n_steps, turns = (2_000, 1) if quick else (16_000, 5)
    settings = {"steps": n_steps, "environments at once": N_ENVS, "turns": turns}
    report = Report("collecting", "Collecting: steps per CPU second", TEXT, settings)
    th.set_num_threads(1)
    for env_id in ENVIRONMENTS:
        venv = make_vec_env(env_id, n_envs=N_ENVS)
        model = PPO("MlpPolicy", venv, seed=0, device="cpu")
        sides = {
            "documented": (partial(ours, model, env_id, n_steps), partial(imitations, model, env_id, n_steps)),
            "same VecEnv": (partial(ours, model, venv, n_steps), partial(imitations, model, venv, n_steps)),
        }
        bare = partial(predict_and_step, model, venv, n_steps)
        for way, (mine, peers) in sides.items():
            rates = alternate({"gym_ilrl": mine, "imitation": peers, "predict_and_step": bare}, turns)
            medians = {name: median(values) for name, values in rates.items()}
            ratio = compare(rates["gym_ilrl"], rates["imitation"])
            report.add(environment=env_id, way=way, **medians, **ratio, target=TARGET)
        venv.close()
    return report


if __name__ == "__main__":
    main(benchmark)
