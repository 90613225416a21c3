import json
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, registry
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

from gym_ilrl.envs.compat import NATIVE_VECTOR_ENVS
from gym_ilrl.registration import register_envs

IDS = sorted(env_id for env_id in registry if env_id.startswith("ilrl/"))


def test_importing_registers_and_registering_again_changes_nothing():
    names = ("LaneKeeping", "Tightrope", "GridMaze", "SparsePointMaze", "ObjectWorld", "BinaryWorld", "RiskyPath")
    names += ("RoadNetwork",)
    assert {f"ilrl/{name}-v0" for name in names} <= set(IDS)
    before = dict(registry)
    register_envs()
    assert all(registry[env_id] is spec for env_id, spec in before.items())


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings("error")
def test_gymnasium_checker(env_id):
    gymnasium_check_env(gym.make(env_id).unwrapped)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings("error")
def test_sb3_checker(env_id):
    sb3_check_env(gym.make(env_id).unwrapped)


@pytest.mark.parametrize("env_id", IDS)
def test_spec_survives_json_and_rebuilds_the_same_environment(env_id):
    env = gym.make(env_id)
    text = env.spec.to_json()
    json.loads(text)
    rebuilt = gym.make(EnvSpec.from_json(text))
    assert rebuilt.spec == env.spec
    first, _ = env.reset(seed=3)
    again, _ = rebuilt.reset(seed=3)
    np.testing.assert_array_equal(first, again)


def test_spec_keeps_the_arguments():
    env = gym.make("ilrl/LaneKeeping-v0", wind=0.5, lane_half_width=1.0)
    rebuilt = gym.make(EnvSpec.from_json(env.spec.to_json())).unwrapped
    assert (rebuilt.dynamics.wind, rebuilt.dynamics.lane_half_width) == (0.5, 1.0)


def test_module_prefix_needs_no_import_and_no_torch():
    program = """
import sys
import gymnasium as gym
env = gym.make("gym_ilrl:ilrl/LaneKeeping-v0")
env.reset(seed=0)
assert env.spec.max_episode_steps == 600
assert "torch" not in sys.modules and "stable_baselines3" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_module_prefix_in_subprocesses():
    venv = make_vec_env("gym_ilrl:ilrl/LaneKeeping-v0", n_envs=2, seed=5, vec_env_cls=SubprocVecEnv)
    try:
        observations = venv.reset()
    finally:
        venv.close()
    for row in range(2):
        expected, _ = gym.make("ilrl/LaneKeeping-v0").reset(seed=5 + row)
        np.testing.assert_array_equal(observations[row], expected)


@pytest.mark.skipif(not NATIVE_VECTOR_ENVS, reason="Gymnasium before 1.1 has no vector entry points")
@pytest.mark.parametrize("env_id", IDS)
def test_make_vec_uses_the_native_form(env_id):
    envs = gym.make_vec(env_id, num_envs=3)
    assert type(envs.unwrapped).__name__.endswith("VectorEnv")
    assert not isinstance(envs.unwrapped, gym.vector.SyncVectorEnv)
    assert envs.spec.id == env_id


@pytest.mark.skipif(NATIVE_VECTOR_ENVS, reason="newer Gymnasium has vector entry points")
@pytest.mark.parametrize("env_id", IDS)
def test_no_vector_entry_point_before_gymnasium_1_1(env_id):
    assert registry[env_id].vector_entry_point is None


@pytest.mark.parametrize(
    ("env_id", "names"),
    [
        ("ilrl/LaneKeeping-v0", ("wind", "noise", "lane_half_width")),
        ("ilrl/Tightrope-v0", ("length", "slip", "book_seed")),
        ("ilrl/GridMaze-v0", ("size", "slip", "layout_seed", "layout", "wind", "wind_direction")),
        ("ilrl/SparsePointMaze-v0", ("layout", "step_cost")),
        ("ilrl/ObjectWorld-v0", ("size", "n_objects", "n_colors", "slip", "features", "layout_seed")),
        ("ilrl/BinaryWorld-v0", ("size", "slip", "layout_seed")),
        ("ilrl/RiskyPath-v0", ("win_probability", "prize", "loss", "safe")),
        ("ilrl/RoadNetwork-v0", ("size", "n_destinations", "layout_seed")),
    ],
)
@pytest.mark.parametrize("value", ["a", None, float("nan"), float("inf"), -1, [1], 1 + 2j])
def test_arguments_of_another_kind_are_refused_by_name(env_id, names, value):
    for name in names:
        with pytest.raises(ValueError, match=name):
            gym.make(env_id, **{name: value})
