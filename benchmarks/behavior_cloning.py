"""Behaviour cloning: samples per CPU second."""

import tempfile
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from imitation.algorithms import bc
from imitation.data.types import Transitions
from imitation.util import logger
from stable_baselines3.common.policies import ActorCriticPolicy

from benchmarks.harness import Report, Run, alternate, compare, main
from gym_ilrl import BC, Demonstrations

TARGETS = {32: 2.2, 256: 3.5}
ENT_COEF, LEARNING_RATE = 1e-3, 1e-3  # imitation's defaults; its default l2_weight is 0
EPISODE_LENGTH = 1000

TEXT = """\
Updates on minibatches of random data, the same for all: ours is the whole `BC(...).learn(n_updates)`, from
`Demonstrations` to the last log entry; the peer is `imitation.algorithms.bc.BC.train(n_batches=n_updates)` without
progress bar and log output; the bare loop is what one would write by hand: `policy.evaluate_actions`, negative log
likelihood and entropy bonus, `Adam`. All train SB3's `ActorCriticPolicy` with two layers of 64 (PPO's
`MlpPolicy`)."""


@dataclass(frozen=True)
class Data:
    """Random observations and the actions of a linear rule."""

    observations: np.ndarray
    actions: np.ndarray
    observation_space: spaces.Space
    action_space: spaces.Space

    def __len__(self) -> int:
        return len(self.actions)


def make_data(n: int, n_inputs: int, action_space: spaces.Space) -> Data:
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((n, n_inputs), dtype=np.float32)
    scores = observations @ rng.standard_normal((n_inputs, gym.spaces.utils.flatdim(action_space)))
    discrete = isinstance(action_space, spaces.Discrete)
    actions = scores.argmax(axis=1) if discrete else np.tanh(scores).astype(np.float32)
    return Data(observations, actions, spaces.Box(-np.inf, np.inf, (n_inputs,), np.float32), action_space)


def new_policy(data: Data) -> ActorCriticPolicy:
    return ActorCriticPolicy(data.observation_space, data.action_space, lambda _: LEARNING_RATE)


def ours(data: Data, batch_size: int, n_updates: int, turn: int) -> Run:
    n_episodes = len(data) // EPISODE_LENGTH
    ends = np.arange(EPISODE_LENGTH, len(data) + 1, EPISODE_LENGTH) + np.arange(n_episodes)
    demonstrations = Demonstrations.from_arrays(
        np.insert(data.observations, ends - np.arange(n_episodes), 0.0, axis=0),
        data.actions,
        (data.observation_space, data.action_space),
        episode_lengths=[EPISODE_LENGTH] * n_episodes,
    )
    options: dict[str, Any] = {
        "ent_coef": ENT_COEF,
        "learning_rate": LEARNING_RATE,
        "device": "cpu",
        "seed": turn,
        "log_std": "fit",
    }
    model = BC("MlpPolicy", None, demonstrations=demonstrations, batch_size=batch_size, **options)
    return lambda: model.learn(n_updates).num_timesteps * batch_size


def imitations(data: Data, batch_size: int, n_updates: int, turn: int) -> Run:
    n = len(data)
    demonstrations = Transitions(
        obs=data.observations,
        acts=data.actions,
        infos=np.array([{}] * n),
        next_obs=data.observations,
        dones=np.arange(1, n + 1) % EPISODE_LENGTH == 0,
    )
    trainer = bc.BC(
        observation_space=data.observation_space,
        action_space=data.action_space,
        rng=np.random.default_rng(turn),
        policy=new_policy(data),
        demonstrations=demonstrations,
        batch_size=batch_size,
        device="cpu",
        custom_logger=logger.configure(tempfile.mkdtemp(), []),
    )

    def run() -> float:
        trainer.train(n_batches=n_updates, progress_bar=False)
        return n_updates * batch_size

    return run


def bare(data: Data, batch_size: int, n_updates: int, turn: int) -> Run:
    policy, generator = new_policy(data), th.Generator().manual_seed(turn)
    observations, actions = th.as_tensor(data.observations), th.as_tensor(data.actions)
    optimizer = th.optim.Adam(policy.parameters(), lr=LEARNING_RATE)

    def run() -> float:
        done = 0
        while done < n_updates:
            for indices in th.randperm(len(data), generator=generator).split(batch_size)[: n_updates - done]:
                _, log_prob, entropy = policy.evaluate_actions(observations[indices], actions[indices])
                loss = -log_prob.mean() - ENT_COEF * entropy.mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
        return n_updates * batch_size

    return run


def benchmark(quick: bool) -> Report:
    n, turns, updates = (5_000, 1, {32: 100, 256: 50}) if quick else (50_000, 5, {32: 1_500, 256: 750})
    sizes = {"CartPole": (4, spaces.Discrete(2)), "HalfCheetah": (17, spaces.Box(-1.0, 1.0, (6,), np.float32))}
    settings = {"transitions": n, "updates": updates, "turns": turns, "ent_coef": ENT_COEF, "l2": 0.0}
    report = Report("bc", "Behaviour cloning: samples per CPU second", TEXT, {**settings, "lr": LEARNING_RATE})
    th.set_num_threads(1)
    for name, (n_inputs, action_space) in sizes.items():
        data = make_data(n, n_inputs, action_space)
        for batch_size, n_updates in updates.items():
            task = (data, batch_size, n_updates)
            sides = {"gym_ilrl": ours, "imitation": imitations, "bare loop": bare}
            rates = alternate({side: partial(side_of, *task) for side, side_of in sides.items()}, turns)
            report.add(
                data_like=name,
                batch_size=batch_size,
                **{side.replace(" ", "_"): median(values) for side, values in rates.items()},
                **compare(rates["gym_ilrl"], rates["imitation"]),
                target=TARGETS[batch_size],
                ratio_to_bare_loop=compare(rates["gym_ilrl"], rates["bare loop"])["ratio"],
            )
    return report


if __name__ == "__main__":
    main(benchmark)
