"""MaxEntIRL is an SB3 algorithm: saved and loaded, watched by callbacks, repeatable, and strict at construction."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from inverse_rl_helpers import demonstrations_of_episodes, episodes_of, grid_mdp, soft_expert
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import gym_ilrl  # noqa: F401
from gym_ilrl import TabularMDP, collect, expert
from gym_ilrl.algorithms.max_ent_irl import MaxEntIRL
from gym_ilrl.irl.features import features_of
from gym_ilrl.wrappers import LearnedReward


@pytest.fixture(scope="module")
def maze():
    env = gym.make("ilrl/GridMaze-v0", size=4, slip=0.1)
    return env, collect(expert(env), env, n_episodes=20, seed=0)


@pytest.mark.parametrize(
    "options", [{}, {"reward": "network"}, {"horizon": 40}, {"reward_on": "actions"}], ids=lambda o: str(o)
)
def test_saved_and_loaded(maze, tmp_path, options):
    env, demonstrations = maze
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, seed=0, **options).learn(30)
    irl.save(tmp_path / "irl")
    alone = MaxEntIRL.load(tmp_path / "irl")
    cells = np.arange(16)
    args = (cells, cells % 4) if "reward_on" in options else (cells,)
    np.testing.assert_array_equal(alone.reward(*args), irl.reward(*args))
    np.testing.assert_array_equal(*(each.predict(cells, deterministic=True)[0] for each in (alone, irl)))
    with pytest.raises(ValueError, match="loaded without an environment"):
        alone.learn(1)

    going_on = MaxEntIRL.load(tmp_path / "irl", env=env)
    going_on.set_demonstrations(demonstrations)
    before = irl.log_likelihood
    going_on.learn(30, reset_num_timesteps=False)
    assert irl.num_timesteps < going_on.num_timesteps <= 60
    assert going_on.log_likelihood > before - 1e-6


def test_repeatable(maze):
    env, demonstrations = maze
    options = {"demonstrations": demonstrations, "reward": "network", "seed": 3}
    first, second = (MaxEntIRL("TabularPolicy", env, **options).learn(20) for _ in range(2))
    np.testing.assert_array_equal(first.reward_table, second.reward_table)
    other = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, reward="network", seed=4).learn(20)
    assert not np.array_equal(first.reward_table, other.reward_table)


def test_callbacks_see_the_policy_of_the_moment(maze, tmp_path):
    env, demonstrations = maze

    class Watch(BaseCallback):
        def __init__(self):
            super().__init__()
            self.policies, self.likelihoods = [], []

        def _on_step(self):
            self.policies.append(self.model.policy.log_probabilities.numpy().copy())
            self.likelihoods.append(self.model.log_likelihood)
            return self.n_calls < 12

    watch = Watch()
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations).learn(100, callback=watch)
    assert irl.num_timesteps == 12
    steps = demonstrations.transitions()
    for policy, likelihood in zip(watch.policies, watch.likelihoods, strict=True):
        assert policy[steps.observations, steps.actions].mean() == pytest.approx(likelihood, abs=1e-9)
    # the best of all evaluations is kept, not the last one
    assert irl.policy.log_probabilities.numpy()[steps.observations, steps.actions].mean() == pytest.approx(
        irl.log_likelihood, abs=1e-9
    )

    evaluation = EvalCallback(Monitor(gym.make("ilrl/GridMaze-v0", size=4)), eval_freq=5, verbose=0)
    saving = CheckpointCallback(5, str(tmp_path))
    MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations).learn(30, callback=[evaluation, saving])
    assert evaluation.best_mean_reward == 1.0
    assert len(list(tmp_path.glob("*.zip"))) >= 2


def test_several_environments_count_as_one_problem(maze):
    _, demonstrations = maze
    several = make_vec_env("ilrl/GridMaze-v0", n_envs=3, env_kwargs={"size": 4, "slip": 0.1})
    one = MaxEntIRL("TabularPolicy", maze[0], demonstrations=demonstrations).learn(60)
    irl = MaxEntIRL("TabularPolicy", several, demonstrations=demonstrations).learn(60)
    np.testing.assert_allclose(irl.reward_table, one.reward_table)
    assert evaluate_policy(irl, several, 20)[0] == 1.0


def test_tensorboard(maze, tmp_path):
    env, demonstrations = maze
    MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, tensorboard_log=str(tmp_path)).learn(5)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(next(tmp_path.iterdir())))
    events.Reload()
    assert {"irl/loss", "irl/log_likelihood", "irl/gradient"} <= set(events.Tags()["scalars"])


def test_the_learned_reward_trains_an_unmodified_algorithm(maze):
    env, demonstrations = maze
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations).learn(100)
    wrapped = LearnedReward(env, irl.reward)
    cell, _ = wrapped.reset(seed=0)
    following, reward, terminated, _, info = wrapped.step(1)
    assert reward == pytest.approx(irl.reward_table[cell] + 0.99 * terminated * irl.reward_table[following])
    assert info["original_reward"] == 0.0
    PPO("MlpPolicy", wrapped, n_steps=64, batch_size=32, n_epochs=1).learn(128)


def test_the_reward_of_an_ending_is_that_of_two_states(maze):
    env, demonstrations = maze
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, gamma=0.9).learn(50)
    before, goal = np.array([14, 14]), np.array([15, 15])
    table = irl.reward_table
    expected = [table[14] + 0.9 * table[15], table[14]]
    np.testing.assert_allclose(irl.reward(before, np.array([2, 2]), goal, np.array([True, False])), expected)
    assert irl.reward(14).shape == ()
    with pytest.raises(ValueError, match="observations must be whole numbers from 0 to 15"):
        irl.reward(np.array([16]))


def test_features_that_the_environment_publishes():
    env = gym.make("ilrl/ObjectWorld-v0", size=6)
    demonstrations = collect(expert(env), env, n_episodes=10, seed=0)
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations).learn(20)
    assert irl.weights.shape == (env.unwrapped.features.shape[1],)
    table = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, reward="tabular").learn(5)
    assert table.weights.shape == (36,)


def test_a_new_environment_is_read_anew(maze):
    env, demonstrations = maze
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations).learn(20)
    irl.set_env(gym.make("ilrl/GridMaze-v0", size=4, slip=0.3))
    assert irl.mdp.transitions.nnz > 0
    irl.learn(20)
    assert irl.occupancy.shape == (16, 4)


def test_a_process_is_as_good_as_an_environment():
    mdp, features, weights = grid_mdp()
    assert isinstance(mdp, TabularMDP)
    policy = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights)).policy
    demonstrations = demonstrations_of_episodes(mdp, episodes_of(mdp, policy, 10, 5))
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations, features=features).learn(50)
    assert irl.gamma == mdp.gamma
    assert irl.plot().axes


def test_nothing_to_learn_from(maze):
    with pytest.raises(ValueError, match="nothing to learn from"):
        MaxEntIRL("TabularPolicy", maze[0]).learn(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a positive number"),
        ({"objective": "moments"}, "objective must be one of auto, likelihood, dual"),
        ({"reward": "quadratic"}, "reward must be one of"),
        ({"reward": "linear"}, "needs features"),
        ({"reward": "tabular", "features": np.zeros((16, 2))}, "features must be None"),
        ({"features": np.zeros((15, 2))}, r"the shape of features must be \(16, d\)"),
        ({"features": np.zeros((16, 4, 2))}, "reward_on='actions'"),
        ({"features": np.full((16, 2), np.nan)}, "features must be finite"),
        ({"reward_on": "edges"}, "reward_on must be one of"),
        ({"reward_on": "transitions"}, "a function f"),
        ({"reward": "network", "reward_on": "transitions"}, "not averaged"),
        ({"optimizer": "newton"}, "optimizer must be"),
        ({"reward": "network", "optimizer": "lbfgs"}, "optimizer must be"),
        ({"l2_coef": -1.0}, "l2_coef must be"),
        ({"causal": False, "objective": "dual"}, "causal=False"),
        ({"solver": "simplex"}, "solver must be one of"),
        ({"demonstrations": 3}, "demonstrations must be"),
        ({"demonstrations": [np.array([0, 1, 99])]}, "state 99"),
        ({"demonstrations": [np.array([0, 10])]}, "impossible"),
        ({"demonstrations": np.zeros((16, 3))}, "occupancy"),
    ],
)
def test_refused_at_construction(maze, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MaxEntIRL("TabularPolicy", maze[0], **options)


def test_plain_maximum_entropy_needs_a_horizon(maze):
    env, demonstrations = maze
    with pytest.raises(ValueError, match="horizon must be given with causal=False"):
        MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, causal=False)


def test_the_device_of_a_module_is_that_of_the_model(maze):
    env, demonstrations = maze
    own = th.nn.Linear(16, 1)
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, reward=own, device="cpu").learn(3)
    assert irl.reward_model.learned is own
