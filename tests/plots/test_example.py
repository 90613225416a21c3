"""The example on inverse RL: its table says what its page says."""

import runpy
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import torch

from gym_ilrl import TabularMDP
from gym_ilrl.planning import solve

SCRIPT = Path(__file__).parents[2] / "examples" / "inverse_rl.py"


@pytest.fixture(autouse=True)
def _threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_learned_reward_of_kinds_is_worth_something_elsewhere(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--output", str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    rows = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    names = ("true reward", "clone of the demonstrator", "learned reward of each cell", "learned reward of each kind")
    true, clone, of_cells, of_kinds = (np.array([int(share.rstrip("%")) for share in rows[name]]) for name in names)
    assert true.tolist() == [86, 100, 93]
    assert clone[0] >= 70
    assert clone[1:].max() <= 10
    assert of_cells[0] >= 80
    assert of_cells[1] == 0
    assert (of_kinds >= true - 3).all()
    picture = matplotlib.image.imread(tmp_path / "inverse_rl.png")
    assert picture.shape[0] > 500
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 100


def test_the_chance_to_arrive_is_exact():
    """On ice without slipping the way either leads to the goal in time or not."""
    example = runpy.run_path(str(SCRIPT))
    dry = example["lake"](is_slippery=False)
    assert example["arrives"](dry, solve(TabularMDP.from_env(dry)).actions) == pytest.approx(1.0)
    assert example["arrives"](dry, np.zeros(64, dtype=np.int64)) == 0.0
    assert example["kinds"](dry).sum(axis=0).tolist() == [53, 10, 1]
