"""The examples that ``make`` runs, with budgets of seconds."""

import runpy
import sys
from pathlib import Path

import gymnasium as gym
import matplotlib.image
import numpy as np
import pytest
import torch

import gym_ilrl

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def _threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_maze_prints_a_table_and_saves_a_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = EXAMPLES / "from_demonstrations.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--budget", "2048", "--seeds", "1", "--output", str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    rows = {line[:24].strip(): line[24:].split() for line in capsys.readouterr().out.splitlines()}
    assert len(rows["PPO"]) == len(rows["PPO from cloned weights"]) == len(rows["PPOfD"]) == 3
    assert rows["PPO"] == ["0%", "0%", "250"]
    assert all(int(share.rstrip("%")) >= 50 for share in rows["PPOfD"][:2])  # cloned, and not undone
    assert rows["demonstrator"] == ["100%", "124"]
    picture = matplotlib.image.imread(tmp_path / "from_demonstrations.png")
    assert picture.shape[0] > 500
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 100


class StandStill:
    """A policy that does nothing."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.zeros((len(observation), 2), dtype=np.float32), None


def test_score_is_share_and_mean_length_of_the_same_episodes() -> None:
    example = runpy.run_path(str(EXAMPLES / "from_demonstrations.py"))
    assert example["score"](StandStill()) == (0.0, 250.0)
    expert = gym_ilrl.expert(gym.make("ilrl/SparsePointMaze-v0", layout="S"))
    lengths = []
    for seed in range(1_000, 1_020):
        env = gym.make("ilrl/SparsePointMaze-v0", layout="S")
        observation, _ = env.reset(seed=seed)
        arrived, steps = False, 0
        while not arrived:
            observation, _, arrived, _, _ = env.step(expert.predict(observation)[0])
            steps += 1
        lengths.append(steps)
    assert example["score"](expert) == pytest.approx((1.0, np.mean(lengths)))


def test_clones_start_alike() -> None:
    """Of the same seed, and before the first update by the reward."""
    example = runpy.run_path(str(EXAMPLES / "from_demonstrations.py"))
    maze = gym.make("ilrl/SparsePointMaze-v0", layout="S")
    demonstrations = gym_ilrl.collect(gym_ilrl.expert(maze), maze, n_episodes=1, seed=0)
    cloned, from_demonstrations = (example["build"](name, 0, demonstrations) for name in ("BC", "PPOfD"))
    from_demonstrations.pretrain_kwargs["critic_updates"] = 0
    from_demonstrations.set_demonstrations(demonstrations)
    from_demonstrations.learn(1)  # the actor is held
    actions = [
        model.predict(demonstrations.observations, deterministic=True)[0] for model in (cloned, from_demonstrations)
    ]
    np.testing.assert_allclose(*actions, atol=1e-5)
