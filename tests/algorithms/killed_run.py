"""A DAgger run to be killed: ``python killed_run.py DIRECTORY TOTAL SECONDS_A_STEP SECONDS_A_LABEL``."""

import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as th

from gym_ilrl import DAgger


class SlowCartPole(gym.Wrapper):
    def step(self, action):
        time.sleep(float(sys.argv[3]))
        return super().step(action)


def run(directory, total, seconds_a_label=0.0):
    """Learn, noting every label that was asked in ``asked.txt``; return the model."""

    def label(observations):
        time.sleep(seconds_a_label)
        with Path(directory, "asked.txt").open("a") as file:
            file.writelines(f"{observation[0]!r}\n" for observation in observations)
        return (observations @ [0.1, 0.3, 1.0, 0.5] > 0).astype(np.int64)

    env = SlowCartPole(gym.make("CartPole-v1"))
    model = DAgger("MlpPolicy", env, expert=label, n_steps=20, n_epochs=1, checkpoint_dir=f"{directory}/run", seed=0)
    return model.learn(total)


if __name__ == "__main__":
    th.set_num_threads(1)
    run(sys.argv[1], int(sys.argv[2]), float(sys.argv[4]))
