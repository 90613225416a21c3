"""Recording what drives an environment; and what every wrapper of the package must do."""

import copy
import inspect
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs
from stable_baselines3.common.env_checker import check_env

import gym_ilrl.wrappers
from gym_ilrl.data import Demonstrations
from gym_ilrl.wrappers import RecordDemonstrations

PUBLIC = [getattr(gym_ilrl.wrappers, name) for name in gym_ilrl.wrappers.__all__]


class CountingEnv(gym.Env):
    """Three steps an episode; gives the same observation buffer again and again."""

    def __init__(self, as_dict=False):
        self.as_dict = as_dict
        count = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.observation_space = spaces.Dict(count=count, parity=spaces.Discrete(2)) if as_dict else count
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.buffer = np.zeros(1, np.float32)

    def _observe(self):
        self.buffer[0] = self.t
        return {"count": self.buffer, "parity": np.int64(self.t % 2)} if self.as_dict else self.buffer

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._observe(), {}

    def step(self, action):
        self.t += 1
        return self._observe(), 2.0 * self.t, self.t == 3, False, {}


def play(env, n_steps):
    """Act with one array that is overwritten, as people do."""
    action = np.zeros(1, np.float32)
    env.reset(seed=0)
    for step in range(n_steps):
        action[0] = step / 10
        env.step(action)


@pytest.mark.parametrize("as_dict", [False, True])
def test_records_completed_episodes_only(as_dict):
    env = RecordDemonstrations(CountingEnv(as_dict))
    with pytest.raises(ValueError, match="no episode has been completed"):
        env.demonstrations()
    play(env, 3)
    play(env, 2)  # interrupted by the next reset
    play(env, 3)
    demos = env.demonstrations()
    assert demos.episode_lengths.tolist() == [3, 3]
    counts = demos.observations["count"] if as_dict else demos.observations
    assert counts[:, 0].tolist() == [0, 1, 2, 3] * 2
    np.testing.assert_allclose(demos.actions[:, 0], [0, 0.1, 0.2] * 2)
    assert demos.rewards.tolist() == [2, 4, 6] * 2
    assert demos.terminations.tolist() == [False, False, True] * 2
    assert demos.observation_space == env.observation_space


def test_steps_after_the_end_are_not_recorded():
    env = RecordDemonstrations(CountingEnv())
    play(env, 5)
    assert env.demonstrations().episode_lengths.tolist() == [3]


@pytest.mark.parametrize("name", ["a.npz", "a"])
def test_writes_when_closed(tmp_path, name):
    env = RecordDemonstrations(gym.make("CartPole-v1", max_episode_steps=4), tmp_path / name)
    env.reset(seed=0)
    for _ in range(4):
        env.step(0)
    assert not (tmp_path / name).exists()
    env.close()
    env.close()
    demos = Demonstrations.load(tmp_path / name)
    assert demos == env.demonstrations()
    assert demos.truncations.tolist() == [False, False, False, True]
    remade = gym.make(demos.spec)  # the environment below the recorder
    demos.check_compatible(remade)
    assert remade.spec.max_episode_steps == 4
    assert "Record" not in str(remade)


def test_never_overwrites_a_recording_and_says_when_there_is_none(tmp_path):
    (tmp_path / "a.npz").touch()
    with pytest.raises(ValueError, match="exists already"):
        RecordDemonstrations(CountingEnv(), tmp_path / "a.npz")
    env = RecordDemonstrations(CountingEnv(), tmp_path / "b.npz")
    play(env, 2)
    with pytest.warns(UserWarning, match="no episode was completed"):
        env.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


def test_bad_episodes_are_refused_and_the_others_kept():
    env = RecordDemonstrations(CountingEnv())
    play(env, 3)
    env.reset()
    env.step(np.array([3.0], np.float32))
    env.step(np.zeros(1))
    with pytest.raises(ValueError, match=r"actions hold .*outside"):
        env.step(np.zeros(1))
    assert len(env.demonstrations()) == 1
    with pytest.raises(ValueError, match="observation space Tuple"):
        RecordDemonstrations(gym.make("Blackjack-v1"))


def test_passes_sb3s_checker():
    check_env(RecordDemonstrations(gym.make("CartPole-v1", disable_env_checker=True)), skip_render_check=True)


def test_is_rebuilt_from_its_spec(tmp_path):
    env = RecordDemonstrations(gym.make("CartPole-v1"), tmp_path / "a.npz")
    remade = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(remade, RecordDemonstrations)
    assert remade.spec == env.spec


def test_survives_pickle_and_deepcopy():
    env = RecordDemonstrations(gym.make("CartPole-v1", max_episode_steps=3))
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert other.demonstrations() == env.demonstrations()


@pytest.mark.parametrize("wrapper", PUBLIC)
def test_every_wrapper_records_every_constructor_argument(wrapper):
    """Otherwise ``gym.make(env.spec)`` does not rebuild it (Gymnasium holds its own wrappers to the same)."""
    assert issubclass(wrapper, RecordConstructorArgs)
    recorded = {}

    class Stop(Exception):
        pass

    def record(self, _disable_deepcopy=False, **kwargs):
        recorded.update(kwargs)
        raise Stop

    arguments = [name for name in inspect.signature(wrapper.__init__).parameters if name not in ("self", "env")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordConstructorArgs, "__init__", record)
        with pytest.raises(Stop):
            wrapper(CountingEnv(), **dict.fromkeys(arguments))
    assert sorted(recorded) == sorted(arguments)


def test_wrappers_import_neither_torch_nor_sb3():
    code = "import gym_ilrl.wrappers, sys; assert not {'torch', 'stable_baselines3'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_episode_with_a_failed_step_is_left_out(monkeypatch):
    env = RecordDemonstrations(gym.make("CartPole-v1"))
    env.reset(seed=0)
    env.step(0)
    with monkeypatch.context() as patch:
        patch.setattr(env.env, "step", lambda action: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            env.step(0)
    while not env.step(0)[2]:
        pass
    with pytest.raises(ValueError, match="no episode"):
        env.demonstrations()


def test_a_failed_write_loses_nothing_and_closes_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "d.npz"
    first, second = (RecordDemonstrations(gym.make("CartPole-v1"), path) for _ in range(2))
    closed = []
    monkeypatch.setattr(second.env, "close", lambda: closed.append(True))
    for env in (first, second):
        env.reset(seed=0)
        while not env.step(0)[2]:
            pass
    first.close()
    with pytest.raises(ValueError, match="meanwhile"):
        second.close()
    assert closed
    path.unlink()
    second.close()
    assert Demonstrations.load(path) == second.demonstrations()
