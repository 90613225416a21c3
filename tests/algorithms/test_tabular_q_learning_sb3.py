"""Tabular Q-learning and soft Q-learning as SB3 algorithms: saving, callbacks, determinism, what is refused."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from algorithm_helpers import parameters, same
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import SubprocVecEnv
from tabular_q_learning_helpers import Loop

from gym_ilrl import Demonstrations, collect
from gym_ilrl.algorithms.tabular_q_learning import QLearning
from gym_ilrl.algorithms.tabular_q_learning_soft import SoftQLearning
from gym_ilrl.buffers import DemoReplayBuffer
from gym_ilrl.buffers.compat import NStepReplayBuffer
from gym_ilrl.policies.tabular_q import TabularQPolicy

VARIANTS = {
    "hard": (QLearning, {}),
    "double": (QLearning, {"double": True, "step_size_exponent": 0.7}),
    "soft": (SoftQLearning, {"temperature": 0.05}),
    "replay": (QLearning, {"batch_size": 8, "gradient_steps": 2, "learning_starts": 10}),
}


@pytest.fixture(params=VARIANTS)
def make(request):
    algorithm, arguments = VARIANTS[request.param]
    return lambda env="FrozenLake-v1", **kwargs: algorithm("TabularPolicy", env, **{"seed": 0, **arguments, **kwargs})


def test_what_is_saved_is_loaded(make, tmp_path):
    model = make(policy_kwargs={"initial_q_value": 0.5}).learn(300)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    assert same(parameters(model), parameters(loaded))
    assert set(parameters(model)) == {"q_tables", "visits", "epsilon"}
    assert loaded.policy.temperature == model.policy.temperature
    np.testing.assert_array_equal(loaded.q_values, model.q_values)
    states = np.arange(16)
    for deterministic in (True, False):
        th.manual_seed(0)
        expected, _ = model.predict(states, deterministic=deterministic)
        th.manual_seed(0)
        np.testing.assert_array_equal(loaded.predict(states, deterministic=deterministic)[0], expected)


def test_a_loaded_model_learns_on(make, tmp_path):
    model = make().learn(300)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = type(model).load(tmp_path / "model", env=gym.make("FrozenLake-v1"))
    loaded.load_replay_buffer(tmp_path / "buffer")
    loaded.set_random_seed(3)
    model.set_env(gym.make("FrozenLake-v1"))
    model.set_random_seed(3)
    for one in (model, loaded):
        one.set_random_seed(3)
        one.learn(200, reset_num_timesteps=False)
        assert one.num_timesteps == 500
    assert same(parameters(model), parameters(loaded))
    assert loaded._n_updates == model._n_updates > 300 * 0.9


def test_a_seed_makes_a_run_repeatable(make):
    runs = [make(env=make_vec_env("FrozenLake-v1", 3, seed=1), seed=seed).learn(300) for seed in (1, 1, 2)]
    assert same(parameters(runs[0]), parameters(runs[1]))
    assert not same(parameters(runs[0]), parameters(runs[2]))


def test_callbacks_see_every_step(make, tmp_path):
    class Watch(BaseCallback):
        def _on_step(self):
            assert set(self.locals) >= {"rewards", "dones", "infos", "new_obs", "actions"}
            return self.n_calls < 100

    evaluate = EvalCallback(gym.make("FrozenLake-v1"), eval_freq=20, n_eval_episodes=2, log_path=tmp_path, verbose=0)
    checkpoint = CheckpointCallback(50, tmp_path, save_replay_buffer=True)
    model = make(env=make_vec_env("FrozenLake-v1", 2)).learn(1_000, [evaluate, checkpoint, Watch()], progress_bar=True)
    assert model.num_timesteps == 200
    assert len(np.load(tmp_path / "evaluations.npz")["timesteps"]) == 5
    saved = type(model).load(tmp_path / "rl_model_100_steps.zip")
    assert 0 < saved.visits.sum() < model.visits.sum()


def test_logs(make, tmp_path):
    model = make()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(600, log_interval=5)
    header = (tmp_path / "progress.csv").read_text().splitlines()[0]
    for name in (
        "train/td_error",
        "train/n_updates",
        "train/learning_rate",
        "rollout/ep_rew_mean",
        "rollout/exploration_rate",
    ):
        assert name in header


def test_other_processes():
    venv = make_vec_env("FrozenLake-v1", 2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"})
    assert QLearning(env=venv).learn(100).visits.sum() == 100
    venv.close()


def test_evaluating_and_collecting(make):
    model = make()
    assert 0 <= evaluate_policy(model, model.get_env(), n_eval_episodes=4)[0] <= 1
    assert collect(model, "FrozenLake-v1", n_episodes=3, seed=0).n_transitions > 3


def test_a_share_of_every_batch_is_demonstrated():
    env = Loop(ends=True, n_actions=4)
    episode = {"observations": [0, 0], "actions": [3], "rewards": [1.0], "terminations": [True]}
    demos = Demonstrations.from_episodes([episode], env)
    model = SoftQLearning(
        env=env,
        batch_size=32,
        replay_buffer_class=DemoReplayBuffer,
        replay_buffer_kwargs={"demonstrations": demos, "demo_fraction": 0.5},
        learning_starts=20,
        seed=0,
    ).learn(50)
    online = model.replay_buffer.actions[:50, 0, 0]
    assert model.visits.sum() == 30 * 32
    assert model.visits[0, 3] >= 30 * 16
    assert model.visits[0, 3] < 30 * 32 * (0.5 + np.mean(online == 3))


def test_train_may_be_called_without_anything_new():
    model = QLearning(env="FrozenLake-v1", seed=0).learn(10)
    before = parameters(model)
    model.train(1)
    assert same(before, parameters(model))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"learning_rate": 1.5}, "learning_rate must be a number from 0 to 1"),
        ({"gamma": 1.1}, "gamma must be a number from 0 to 1"),
        ({"step_size_exponent": 2}, "step_size_exponent must be a number from 0 to 1"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"gradient_steps": 4}, "gradient_steps=4 needs replay: give a batch_size"),
        ({"replay_buffer_class": DemoReplayBuffer}, "DemoReplayBuffer needs replay: give a batch_size"),
        ({"exploration_fraction": 0}, "exploration_fraction must be a number above 0"),
        ({"exploration_final_eps": 1.2}, "exploration_final_eps must be a probability"),
        ({"device": "cuda"}, "device must be 'cpu', or 'auto'"),
        ({"policy_kwargs": {"n_tables": 2}}, "n_tables of the policy is set by an argument of the algorithm"),
        ({"env": "CartPole-v1"}, "observation_space must be Discrete"),
        ({"env": "Blackjack-v1"}, "observation_space must be Discrete.*not Tuple"),
        ({"env": None}, "QLearning learns from what happens in an environment: give env="),
        ({"buffer_size": -1}, "buffer_size must be a whole number of at least 1"),
        ({"learning_starts": np.nan}, "learning_starts must be a whole number of at least 0"),
        ({"policy": "MlpPolicy"}, "MlpPolicy unknown"),
    ],
)
def test_what_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        QLearning(**{"env": "FrozenLake-v1", **kwargs})


@pytest.mark.parametrize("temperature", [0, -1.0, np.inf, None])
def test_temperatures_are_positive(temperature):
    with pytest.raises(ValueError, match=r"temperature must be a positive number.*QLearning"):
        SoftQLearning(env="FrozenLake-v1", temperature=temperature)


@pytest.mark.skipif(NStepReplayBuffer is None, reason="SB3 has no such buffer yet")
def test_returns_of_several_steps_are_refused():
    kwargs = {"n_steps": 3, "gamma": 0.99}
    with pytest.raises(ValueError, match="samples returns of 3 steps"):
        QLearning(env="FrozenLake-v1", batch_size=4, replay_buffer_class=NStepReplayBuffer, replay_buffer_kwargs=kwargs)


@pytest.mark.parametrize("reward", [np.nan, np.inf])
def test_rewards_that_are_no_numbers_are_refused_and_the_table_stays(reward):
    model = QLearning(env=Loop([1.0, reward]))
    with pytest.raises(ValueError, match="rewards must be finite"):
        model.learn(10)
    assert np.isfinite(model.q_values).all()


def test_a_policy_class_and_a_buffer_class_of_ones_own():
    class Mine(TabularQPolicy):
        pass

    class Buffer(ReplayBuffer):
        pass

    model = QLearning(Mine, "FrozenLake-v1", batch_size=4, replay_buffer_class=Buffer).learn(20)
    assert type(model.policy) is Mine
    assert type(model.replay_buffer) is Buffer
    assert isinstance(model.observation_space, spaces.Discrete)
