"""Training with rl_zoo3: what a hyperparameter file may say, and what rl_zoo3 is told."""

import inspect
import sys

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env

import gym_ilrl
from gym_ilrl import BC, collect, expert
from gym_ilrl.interop import rl_zoo3 as interop

# what rl_zoo3 itself takes out of a hyperparameter file
OF_RL_ZOO3 = {"n_envs", "n_timesteps", "normalize", "noise_type", "noise_std", "env_wrapper", "frame_stack", "callback"}


def test_episodes_of_the_expert_beside_the_environment():
    venv = make_vec_env("CartPole-v1", n_envs=2, seed=0)
    venv.reset()
    before = [(env.unwrapped.state.copy(), env.np_random.bit_generator.state) for env in venv.envs]
    model = interop.ZooAlgorithm("BC")(env=venv, policy="MlpPolicy", demonstrations="expert:2", seed=3)
    assert isinstance(model, BC)
    assert len(model.demonstrations) == 2
    alone = gym.make("CartPole-v1")
    same = collect(expert("CartPole-v1"), alone, n_episodes=2, seed=3)
    np.testing.assert_array_equal(model.demonstrations.observations, same.observations)
    for env, (state, generator) in zip(venv.envs, before, strict=True):
        np.testing.assert_array_equal(env.unwrapped.state, state)
        assert env.np_random.bit_generator.state == generator
        assert env.get_wrapper_attr("total_steps") == 0


def test_the_expert_is_that_of_the_environment_as_it_was_made():
    venv = make_vec_env("CliffWalking-v0" if "CliffWalking-v0" in gym.registry else "CliffWalking-v1")
    demos = interop.collect_beside(venv, 1, seed=0)
    assert demos.returns().tolist() == [-13.0]
    venv = make_vec_env("FrozenLake-v1", env_kwargs={"is_slippery": False, "map_name": "8x8"})
    demos = interop.collect_beside(venv, 1, seed=0)
    assert demos.episode_lengths.tolist() == [14]  # the shortest way through an 8x8 map without slipping


def test_a_file_of_demonstrations(tmp_path):
    demos = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=1, seed=0)
    demos.save(tmp_path / "demos.npz")
    model = interop.ZooAlgorithm("BC")(
        env=make_vec_env("CartPole-v1"), policy="MlpPolicy", demonstrations=str(tmp_path / "demos.npz")
    )
    assert model.demonstrations == demos
    model.save(tmp_path / "model")
    assert isinstance(interop.ZooAlgorithm("BC").load(tmp_path / "model"), BC)


@pytest.mark.parametrize("given", ["expert:", "expert:0", "expert:many", "expert:-1", "expert:2.5"])
def test_a_number_of_episodes_that_is_none_is_refused(given):
    with pytest.raises(ValueError, match="does not say how many episodes"):
        interop.episodes_of_expert(given)


@pytest.mark.parametrize(("given", "n"), [("expert:5", 5), ("demos.npz", None), (None, None), ("experts/5.npz", None)])
def test_what_asks_for_the_expert(given, n):
    assert interop.episodes_of_expert(given) == n


def test_an_environment_without_id_is_refused():
    class Nameless(gym.Env):
        observation_space = action_space = gym.spaces.Discrete(2)

    with pytest.raises(LookupError, match="no spec"):
        interop.collect_beside(make_vec_env(Nameless), 1, seed=0)


def test_our_file_is_the_default_for_our_algorithms_alone():
    file = str(interop.HYPERPARAMS / "ppofd.yml")
    ours = ["--algo", "ppofd", "--env", "CartPole-v1"]
    assert interop.with_default_file(ours) == [*ours, "--conf-file", file]
    assert interop.with_default_file(["--algo=ppofd"]) == ["--algo=ppofd", "--conf-file", file]
    for unchanged in ([*ours, "-conf", "mine.yml"], [*ours, "--conf-file=mine.yml"], ["--algo", "ppo"], []):
        assert interop.with_default_file(unchanged) == unchanged


@pytest.mark.parametrize("name", interop.ALGORITHMS)
def test_hyperparameter_files_fit_their_algorithm(name):
    yaml = pytest.importorskip("yaml")
    class_name, host = interop.ALGORITHMS[name]
    if class_name == "CrossQfD":
        pytest.importorskip("sb3_contrib.crossq")
    allowed = {*inspect.signature(getattr(gym_ilrl, class_name)).parameters, *OF_RL_ZOO3}
    entries = yaml.safe_load((interop.HYPERPARAMS / f"{name}.yml").read_text())
    assert "default" in entries
    for env_id, values in entries.items():
        assert values.keys() <= allowed, (env_id, values.keys() - allowed)
        assert {"n_timesteps", "policy"} <= values.keys()
        assert ("demonstrations" in values) == (host is not None or name == "bc")
        if "demonstrations" in values:
            assert interop.episodes_of_expert(values["demonstrations"])
        if env_id in gym.registry:  # LunarLander-v3 is younger than the oldest Gymnasium
            assert expert(env_id)


def test_a_missing_rl_zoo3_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "rl_zoo3", None)
    with pytest.raises(SystemExit, match=r'rl_zoo3 is not installed.*pip install "gym-ilrl\[zoo\]"'):
        interop.main(["train", "--algo", "ppofd"])


@pytest.mark.parametrize("arguments", [[], ["plot"]])
def test_an_unknown_script_is_refused(arguments):
    with pytest.raises(SystemExit, match="train,enjoy"):
        interop.main(arguments)


def test_rl_zoo3_knows_the_algorithms():
    zoo = pytest.importorskip("rl_zoo3")
    optimization = pytest.importorskip("rl_zoo3.hyperparams_opt")
    interop.register()
    for name, (class_name, host) in interop.ALGORITHMS.items():
        assert zoo.ALGOS[name].__name__ == class_name
        if host in optimization.HYPERPARAMS_SAMPLER:
            assert optimization.HYPERPARAMS_SAMPLER[name] is optimization.HYPERPARAMS_SAMPLER[host]


def test_one_command_trains(monkeypatch, tmp_path, capsys):
    pytest.importorskip("rl_zoo3")
    monkeypatch.setattr(sys, "argv", ["python"])
    options = ["--algo", "bc", "--env", "CartPole-v1", "--seed", "1", "-f", str(tmp_path)]
    interop.main(["train", *options, "-n", "300", "--eval-freq", "-1"])
    assert (tmp_path / "bc" / "CartPole-v1_1" / "CartPole-v1.zip").exists()
    options = [*options[:-2], "-f", str(tmp_path), "--no-render", "-n", "1000"]
    interop.main(["enjoy", *options])
    assert "Mean reward" in capsys.readouterr().out
