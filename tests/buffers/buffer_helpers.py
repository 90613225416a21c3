"""What several test files of the buffers use; pytest puts this folder on the path."""

import numpy as np
from gymnasium import spaces

from gym_ilrl import Demonstrations

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))

DEMO_OBSERVATION = 1000.0  # observations of demonstrations begin here, online ones at 0


def demonstrations(lengths=(4, 3), ends=("terminated", "truncated"), action_space=ACTIONS, rewards=True, seed=0):
    """Episodes whose every observation, action and reward is unlike any other's."""
    generator = np.random.default_rng(seed)
    action_space.seed(seed)
    episodes, first = [], DEMO_OBSERVATION
    for length, end in zip(lengths, ends, strict=True):
        numbers = first + np.arange(length + 1)
        first += length + 1
        episode = {
            "observations": np.stack([numbers, -numbers, numbers / 7], axis=1).astype(np.float32),
            "actions": np.stack([action_space.sample() for _ in range(length)]),
            "terminations": np.arange(length) == (length - 1 if end == "terminated" else -1),
        }
        if rewards:
            episode["rewards"] = generator.normal(size=length)
        episodes.append(episode)
    return Demonstrations.from_episodes(episodes, (OBSERVATIONS, action_space))


def steps_of(demos):
    """Return every demonstrated step as the update should see it, by its first observation; Python loops only."""
    steps = {}
    for episode in demos:
        for t in range(len(episode)):
            last = t == len(episode) - 1
            steps[float(episode.observations[t][0])] = {
                "next_observation": episode.observations[t + 1],
                "action": episode.actions[t],
                "reward": 0.0 if episode.rewards is None else float(episode.rewards[t]),
                "terminated": last and bool(episode.terminations[t]),
                "last": last,
                "t": t,
                "episode": episode,
            }
    return steps


def scaled(action, space=ACTIONS):
    low, high = space.low, space.high
    return [2 * (a - lo) / (hi - lo) - 1 for a, lo, hi in zip(action, low, high, strict=True)]


def add_online(buffer, n, done=lambda i: False, reward=lambda i: 0.5):
    """Add ``n`` transitions to each environment; observations count up from 0 and tell the environment, too."""
    for i in range(n):
        rows = np.array([[i + 100 * e, e, 0.0] for e in range(buffer.n_envs)], np.float32)
        action = np.zeros((buffer.n_envs, buffer.action_dim), np.float32)
        rewards = np.full(buffer.n_envs, reward(i), np.float32)
        dones = np.full(buffer.n_envs, done(i))
        buffer.add(rows, rows + 1, action, rewards, dones, [{} for _ in range(buffer.n_envs)])


def is_demo(samples):
    return samples.observations[:, 0].numpy() >= DEMO_OBSERVATION
