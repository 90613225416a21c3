"""A DAgger run that is killed resumes with nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from algorithm_helpers import AnySpaceEnv, constant_expert, parameters, same
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import DAgger
from gym_ilrl.algorithms.label_journal import LabelJournal
from gym_ilrl.supervised.training_set import Labels

SCRIPT = Path(__file__).with_name("killed_run.py")
CART_POLE = {"n_steps": 20, "n_epochs": 1, "seed": 0}


def left_pusher(observations):
    return (observations[:, 2] > 0).astype(np.int64)


def dagger(directory, **kwargs):
    options = {"env": "CartPole-v1", "expert": left_pusher, "checkpoint_dir": directory, **CART_POLE, **kwargs}
    return DAgger("MlpPolicy", **options)


def start(directory, total, step=0.0, label=0.0):
    arguments = [str(directory), str(total), str(step), str(label)]
    return subprocess.Popen([sys.executable, str(SCRIPT), *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"})


def kill_at(directory, n_bytes, process):
    labels = directory / "run" / "labels.bin"
    while not (labels.exists() and labels.stat().st_size >= n_bytes):
        assert process.poll() is None, "the run ended before it was killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.expensive
def test_killed_run_resumes_with_every_label(tmp_path):
    record = LabelJournal(tmp_path / "run", *spaces_of_cart_pole())._dtype.itemsize
    kill_at(tmp_path, 50 * record, start(tmp_path, 90, step=0.002, label=0.002))  # in the middle of the third round
    before = (tmp_path / "run" / "labels.bin").read_bytes()
    asked_before = (tmp_path / "asked.txt").read_text().splitlines()
    n_before = len(before) // record
    assert 50 <= n_before < 90
    assert len(asked_before) - n_before in (0, 1)  # one may have been asked and not yet been answered

    resumed = start(tmp_path, 90)
    assert resumed.wait() == 0
    after = (tmp_path / "run" / "labels.bin").read_bytes()
    assert after.startswith(before[: n_before * record])
    asked_after = (tmp_path / "asked.txt").read_text().splitlines()[len(asked_before) :]
    assert len(asked_after) == len(after) // record - n_before  # nothing was asked twice
    assert len(after) // record == 100  # 90 steps are five rounds of 20

    model = dagger(tmp_path / "run").learn(90)  # a third start finds the work done
    assert (model.num_timesteps, model.n_labels, model.n_rounds) == (100, 100, 5)
    assert len(model._training_set) == 100


def spaces_of_cart_pole():
    env = make_vec_env("CartPole-v1")
    return env.observation_space, env.action_space


def test_run_killed_while_it_was_fitting_fits_again(tmp_path):
    """All labels of the last round are there, the model after it is not."""
    whole = dagger(tmp_path).learn(60)
    (tmp_path / "model.zip").unlink()
    resumed = dagger(tmp_path)
    untrained = parameters(resumed)
    resumed.learn(60)
    assert resumed.num_timesteps == resumed.n_labels == whole.n_labels == 60
    assert not same(untrained, parameters(resumed))


def test_torn_record_is_dropped(tmp_path):
    dagger(tmp_path).learn(20)
    labels = tmp_path / "labels.bin"
    whole = labels.read_bytes()
    labels.write_bytes(whole + whole[:7])
    model = dagger(tmp_path).learn(40)
    assert labels.read_bytes().startswith(whole)
    assert model.n_labels == 40
    assert len(labels.read_bytes()) == 2 * len(whole)


def test_model_half_written_leaves_the_one_before(tmp_path):
    first = dagger(tmp_path).learn(40)
    (tmp_path / "model.tmp.zip").write_bytes((tmp_path / "model.zip").read_bytes()[:100])
    resumed = dagger(tmp_path, seed=7).learn(40)
    assert same(parameters(first), parameters(resumed))
    assert resumed.n_rounds == first.n_rounds == 2


def test_checkpoint_of_another_environment_is_refused(tmp_path):
    dagger(tmp_path).learn(20)
    with pytest.raises(ValueError, match="checkpoint of another environment"):
        DAgger("MlpPolicy", "Pendulum-v1", checkpoint_dir=tmp_path).learn(20)


@pytest.mark.parametrize("other", [{"policy_kwargs": {"net_arch": [8]}}, {"base": "DQN"}])
def test_checkpoint_of_another_policy_is_refused(tmp_path, other):
    dagger(tmp_path).learn(20)
    with pytest.raises(ValueError, match="empty checkpoint_dir"):
        dagger(tmp_path, **other).learn(40)


def test_resumed_run_does_not_visit_its_first_episodes_again(tmp_path):
    dagger(tmp_path).learn(20)
    resumed = dagger(tmp_path).learn(40)
    observations = resumed._training_set._columns["observations"].values.numpy()
    assert len(np.unique(observations, axis=0)) == len(observations) == 40


def test_lost_labels_are_noticed(tmp_path):
    dagger(tmp_path).learn(20)
    (tmp_path / "labels.bin").unlink()
    with pytest.raises(ValueError, match=r"bring labels\.bin back"):
        dagger(tmp_path).learn(40)


def test_demonstrations_are_kept_with_the_run(tmp_path, demos):
    first = dagger(tmp_path, demonstrations=demos).learn(20)
    resumed = dagger(tmp_path).learn(40)  # not given again
    assert resumed.demonstrations == demos
    assert (first.n_rounds, resumed.n_rounds) == (2, 3)
    assert len(resumed._training_set) == demos.n_transitions + 40


def test_model_loaded_from_a_file_goes_on_with_the_labels_of_its_run(tmp_path):
    dagger(tmp_path / "run").learn(40).save(tmp_path / "model")
    loaded = DAgger.load(tmp_path / "model", env=make_vec_env("CartPole-v1"))
    loaded.set_expert(left_pusher)
    loaded.learn(20)
    assert loaded.num_timesteps == 20  # counted anew, as SB3 does
    assert (loaded.n_labels, loaded.n_rounds) == (60, 3)
    assert len(loaded._training_set) == 60


def test_statistics_of_vec_normalize_come_back(tmp_path):
    def env():
        return VecNormalize(make_vec_env("CartPole-v1"))

    first = dagger(tmp_path, env=env()).learn(40)
    resumed = dagger(tmp_path, env=env()).learn(40)
    old, new = (model.get_vec_normalize_env().obs_rms for model in (first, resumed))
    np.testing.assert_allclose(new.mean, old.mean, atol=0.01)
    assert new.count == pytest.approx(old.count, abs=2)  # the reset of the second run is observed, too
    assert same(parameters(first), parameters(resumed))


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize(
    "observation_space",
    [
        spaces.Discrete(4),
        spaces.MultiBinary(3),
        spaces.Box(0, 255, (36, 36, 1), np.uint8),
        spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(3)}),
    ],
    ids=str,
)
def test_every_kind_of_label_survives(tmp_path, observation_space, n_envs):
    action_space = spaces.Box(-1, 1, (2, 2))
    policy = "MultiInputPolicy" if isinstance(observation_space, spaces.Dict) else "MlpPolicy"
    env = make_vec_env(lambda: AnySpaceEnv(observation_space, action_space), n_envs, seed=0)
    expert = constant_expert(action_space)
    options = {"expert": expert, "checkpoint_dir": tmp_path, "n_steps": 7, "n_epochs": 1}
    first = DAgger(policy, env, **options).learn(14 * n_envs)
    again = DAgger(policy, env, **options)
    again.learn(14 * n_envs)
    assert again.n_labels == first.n_labels == 14 * n_envs
    kept, read = first._training_set, again._training_set
    assert sorted(kept._columns) == sorted(read._columns)
    for name, column in kept._columns.items():
        left, right = (
            np.sort(part.values.numpy().reshape(14 * n_envs, -1), axis=0) for part in (column, read._columns[name])
        )
        np.testing.assert_array_equal(left, right)


def test_journal_gives_back_what_it_was_given(tmp_path):
    space = spaces.Dict(
        {"image": spaces.Box(0, 255, (2, 3, 1), np.uint8), "position": spaces.Box(-9, 9, (2,), np.float64)}
    )
    journal = LabelJournal(tmp_path, space, spaces.Discrete(3), n_mask=3)
    rng = np.random.default_rng(0)
    images, positions = rng.integers(0, 255, (6, 2, 3, 1), dtype=np.uint8), rng.normal(size=(6, 2))
    actions, starts, masks = rng.integers(0, 3, 6), rng.random(6) < 0.5, rng.random((6, 3)) < 0.5
    for step in range(3):  # of two environments
        rows = slice(2 * step, 2 * step + 2)
        observations = {"image": images[rows], "position": positions[rows]}
        journal.append(Labels(observations, actions[rows], starts[rows], masks[rows]), np.arange(2))
    order = [0, 2, 4, 1, 3, 5]
    read = LabelJournal(tmp_path, space, spaces.Discrete(3), n_mask=3).read()
    np.testing.assert_array_equal(read.observations["image"], images[order])
    np.testing.assert_array_equal(read.observations["position"], positions[order])
    np.testing.assert_array_equal(read.actions, actions[order])
    np.testing.assert_array_equal(read.episode_starts, starts[order])
    np.testing.assert_array_equal(read.action_masks, masks[order])
