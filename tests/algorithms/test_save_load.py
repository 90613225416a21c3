"""What SB3 asks of saving and loading, asked of BC and DAgger."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from algorithm_helpers import parameters, same
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env

from gym_ilrl import BC, DAgger, collect, expert

OBSERVATIONS = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def optimizer_state(model):
    return model.get_parameters()["policy.optimizer"]


def test_loaded_model_is_the_saved_one(make, algorithm, tmp_path):
    model = make(seed=1, ent_coef=0.01, l2_coef=1e-4, batch_size=20, learning_rate=2e-3).learn(40)
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=gym.make("CartPole-v1"))
    assert same(parameters(model), parameters(loaded))
    for options in ({}, {"deterministic": True}):
        th.manual_seed(0)
        expected, _ = model.predict(OBSERVATIONS, **options)
        th.manual_seed(0)
        np.testing.assert_array_equal(loaded.predict(OBSERVATIONS, **options)[0], expected)
    before, after = optimizer_state(model), optimizer_state(loaded)
    assert before["param_groups"] == after["param_groups"]
    assert before["param_groups"][0]["weight_decay"] == 1e-4
    assert before["state"].keys() == after["state"].keys()
    assert before["state"]
    for index, moments in before["state"].items():
        assert all(th.equal(th.as_tensor(moments[key]), th.as_tensor(after["state"][index][key])) for key in moments)
    for name in ("ent_coef", "l2_coef", "batch_size", "learning_rate", "num_timesteps", "_n_updates", "base", "seed"):
        assert getattr(loaded, name) == getattr(model, name)


def test_loaded_model_learns_on(make, algorithm, demos, tmp_path):
    make(seed=1).learn(32).save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=gym.make("CartPole-v1"))
    loaded.set_demonstrations(demos)
    before = parameters(loaded)
    loaded.learn(32, reset_num_timesteps=False)
    assert loaded.num_timesteps == 64
    assert not same(before, parameters(loaded))


def test_loading_with_another_number_of_environments(make, algorithm, demos, tmp_path):
    make().learn(32).save(tmp_path / "model")
    env = make_vec_env("CartPole-v1", n_envs=3)
    loaded = algorithm.load(tmp_path / "model", env=env)
    loaded.set_demonstrations(demos)
    loaded.learn(30)
    assert loaded.n_envs == 3
    assert loaded.num_timesteps % 3 == 0


def test_loading_without_environment_predicts(make, algorithm, tmp_path):
    model = make().learn(16)
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model")
    assert loaded.env is None
    np.testing.assert_array_equal(
        loaded.predict(OBSERVATIONS, deterministic=True)[0], model.predict(OBSERVATIONS, deterministic=True)[0]
    )


def test_bc_loaded_without_environment_learns_on(demos, tmp_path):
    BC(env=make_vec_env("CartPole-v1", 2), demonstrations=demos).save(tmp_path / "model")
    loaded = BC.load(tmp_path / "model")
    loaded.set_demonstrations(demos)
    assert loaded.learn(10).num_timesteps == 10


def test_dagger_loaded_without_environment_says_what_it_needs(tmp_path):
    DAgger(env="CartPole-v1").save(tmp_path / "model")
    with pytest.raises(ValueError, match="set_env"):
        DAgger.load(tmp_path / "model").learn(10)


def test_neither_data_nor_expert_is_in_the_file(make, algorithm, demos, tmp_path):
    teacher = PPO("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [512, 512]})
    small = make(demonstrations=demos, **({"expert": teacher} if algorithm is DAgger else {})).learn(16)
    small.save(tmp_path / "with")
    make(demonstrations=demos[:1]).learn(16).save(tmp_path / "without")
    sizes = [(tmp_path / f"{name}.zip").stat().st_size for name in ("with", "without")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
    loaded = algorithm.load(tmp_path / "with")
    assert loaded.demonstrations is None
    assert getattr(loaded, "expert", None) is None


def test_exclude_include_and_custom_objects(make, algorithm, tmp_path):
    model = make(learning_rate=3e-3, tensorboard_log="somewhere")
    model.save(tmp_path / "model", exclude=["learning_rate"])
    assert algorithm.load(tmp_path / "model").learning_rate == 1e-3
    model.save(tmp_path / "model", exclude=["tensorboard_log"])
    assert algorithm.load(tmp_path / "model").tensorboard_log is None
    model.save(tmp_path / "model", include=["_last_obs"])
    loaded = algorithm.load(tmp_path / "model", custom_objects={"learning_rate": 5e-4, "batch_size": 7})
    assert (loaded.learning_rate, loaded.batch_size) == (5e-4, 7)


def test_parameters_can_be_taken_out_and_put_in(make):
    model, other = make(seed=1).learn(16), make(seed=2)
    other.set_parameters(model.get_parameters())
    assert same(parameters(model), parameters(other))
    only_policy = {"policy": model.get_parameters()["policy"]}
    with pytest.raises(ValueError, match="Names of parameters do not match"):
        other.set_parameters(only_policy)
    other.set_parameters(only_policy, exact_match=False)
    with pytest.raises(ValueError, match="invalid object name"):
        other.set_parameters({"critic": {}}, exact_match=False)
    broken = copy.deepcopy(model.get_parameters())
    broken["policy"].popitem()
    with pytest.raises(RuntimeError, match="Missing key"):
        other.set_parameters(broken)


@pytest.mark.parametrize("base", [PPO, SAC], ids=lambda base: base.__name__)
def test_policy_alone_can_be_saved(algorithm, base, tmp_path):
    env = gym.make("Pendulum-v1")
    model = algorithm("MlpPolicy", env, base=base)
    model.policy.save(tmp_path / "policy")
    loaded = model.policy_class(env.observation_space, env.action_space, lambda _: 1e-3)
    saved = th.load(tmp_path / "policy", weights_only=False)
    loaded.load_state_dict(saved["state_dict"])
    assert same(parameters(model), loaded.state_dict())


def test_environment_of_the_same_shape_replaces_the_old_one(make, algorithm):
    model = make(env=make_vec_env("CartPole-v1", n_envs=2)).learn(32)
    replacement = make_vec_env("CartPole-v1", n_envs=2)
    model.set_env(replacement)
    model.learn(32, reset_num_timesteps=False)
    assert model.get_env() is replacement
    assert model.num_timesteps == 64
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        model.set_env(make_vec_env("Pendulum-v1", n_envs=2))
    with pytest.raises(AssertionError, match="number of environments"):
        model.set_env(make_vec_env("CartPole-v1", n_envs=3))


def test_copies_are_independent(make):
    model = make(seed=1).learn(16)
    clone = copy.deepcopy(model)
    before = parameters(model)
    assert same(before, parameters(clone))
    clone.learn(32)
    assert same(before, parameters(model))
    assert not same(before, parameters(clone))


def test_models_share_demonstrations_and_leave_them_as_they_are(demos):
    observations = demos.observations.copy()
    first, second = (BC(env="CartPole-v1", demonstrations=demos, seed=seed).learn(20) for seed in (0, 1))
    assert first.demonstrations is second.demonstrations
    np.testing.assert_array_equal(demos.observations, observations)


def test_learning_goes_on_where_it_stopped(make):
    model = make(seed=0).learn(32)
    assert model.num_timesteps == 32
    model.learn(32, reset_num_timesteps=False)
    assert model.num_timesteps == 64
    model.learn(16)
    assert model.num_timesteps == 16


def test_demonstrations_can_come_from_a_file(algorithm, demos, tmp_path):
    demos.save(tmp_path / "demos.npz")
    model = algorithm(env="CartPole-v1", demonstrations=tmp_path / "demos.npz")
    assert model.demonstrations == demos


def test_expert_of_one_environment_does_not_reach_another():
    pendulum = collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1)
    with pytest.raises(ValueError, match="do not fit the environment"):
        BC(env="CartPole-v1", demonstrations=pendulum)
