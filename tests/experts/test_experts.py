"""Each expert does its task, and does it for batches as for single observations."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import find_highest_version
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from gym_ilrl.experts.registry import expert, newest_version
from gym_ilrl.wrappers import TupleToMultiDiscrete

# Gymnasium 0.29's own code of these two fails under NumPy 2, whatever acts in them
_NEEDS_NUMPY_1 = ("Acrobot", "LunarLanderContinuous")

# name, episodes, least mean return: what the task calls solved, or the closed form of a perfect player with its error
SOLVED = [
    ("CartPole", 10, 500.0),
    ("Acrobot", 20, -100.0),
    ("Pendulum", 20, -200.0),
    ("MountainCar", 20, -115.0),
    ("MountainCarContinuous", 10, 96.0),
    ("LunarLander", 15, 200.0),
    ("LunarLanderContinuous", 15, 250.0),
    ("FrozenLake", 100, 0.6),
    ("FrozenLake8x8", 50, 0.75),
    ("Taxi", 50, 7.0),
    ("CliffWalking", 1, -13.0),
    ("Blackjack", 500, -0.15),
    ("InvertedPendulum", 3, 1000.0),
    ("InvertedDoublePendulum", 3, 9350.0),
    ("Reacher", 20, -4.5),
    ("ilrl/SparsePointMaze", 20, 1.0),
    ("ilrl/RoadNetwork", 20, -25.0),
]
NAMES = [name for name, _, _ in SOLVED]


def make(name: str, **kwargs) -> gym.Env:
    if name in _NEEDS_NUMPY_1 and gym.__version__ < "1" and np.__version__ >= "2":
        pytest.skip(f"{name} of Gymnasium {gym.__version__} fails under NumPy {np.__version__}")
    env = gym.make(newest_version(name), **kwargs)
    return TupleToMultiDiscrete(env) if name == "Blackjack" else env


def episode(env: gym.Env, policy, seed: int):
    """Return the observations and the return of one episode."""
    observation, _ = env.reset(seed=seed)
    observations, total, done = [observation], 0.0, False
    while not done:
        action, _ = policy.predict(observation)
        assert env.action_space.contains(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        total, done = total + float(reward), terminated or truncated
    return observations, total


@pytest.mark.parametrize(("name", "n_episodes", "least"), SOLVED)
def test_mean_return(name, n_episodes, least):
    env = make(name)
    teacher = expert(env)
    returns = [episode(env, teacher, seed)[1] for seed in range(n_episodes)]
    assert np.mean(returns) >= least


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_answered_like_its_rows(name):
    env = make(name)
    teacher = expert(env)
    visited = np.array(episode(env, teacher, seed=3)[0])
    rng = np.random.default_rng(0)
    batch = (
        np.concatenate([visited, visited + 0.1 * rng.normal(size=visited.shape)])
        if visited.dtype.kind == "f"
        else visited
    )
    batch = batch.astype(env.observation_space.dtype)
    state = (np.zeros(1),)

    actions, returned_state = teacher.predict(batch, state, episode_start=np.ones(len(batch), bool), deterministic=True)

    assert returned_state is state
    assert actions.shape == (len(batch), *env.action_space.shape)
    assert actions.dtype == env.action_space.dtype
    assert all(env.action_space.contains(action) for action in actions)
    one_by_one = [teacher.predict(observation)[0] for observation in batch]
    np.testing.assert_allclose(actions, one_by_one, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["CartPole", "Pendulum", "Taxi", "Reacher"])
def test_actions_are_fresh_arrays(name):
    env = make(name)
    teacher = expert(env)
    batch = np.stack([env.reset(seed=seed)[0] for seed in range(4)])
    before = batch.copy()
    first = teacher.predict(batch)[0]
    expected = first.copy()
    first[:] = env.action_space.sample()
    np.testing.assert_array_equal(teacher.predict(batch)[0], expected)
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("name", NAMES)
def test_it_survives_pickling(name):
    env = make(name)
    observation, _ = env.reset(seed=0)
    teacher = expert(env)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(teacher)).predict(observation)[0], teacher.predict(observation)[0]
    )


@pytest.mark.parametrize("name", ["CartPole", "Taxi", "Blackjack", "Pendulum"])
def test_sb3_evaluates_it(name):
    env = Monitor(make(name))
    mean, std = evaluate_policy(expert(env), env, n_eval_episodes=2)
    assert np.isfinite(mean)
    assert np.isfinite(std)


@pytest.mark.parametrize("name", ["InvertedPendulum", "Pendulum", "FrozenLake", "LunarLander"])
def test_asking_for_an_expert_leaves_the_environment_as_it_was(name):
    env, untouched = make(name), make(name)
    env.reset(seed=1), untouched.reset(seed=1)
    expert(env).predict(env.reset(seed=2)[0])
    untouched.reset(seed=2)
    action = env.action_space.sample()
    for ours, theirs in zip(env.step(action)[:3], untouched.step(action)[:3], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(
    ("name", "least"), [("InvertedPendulum", 1000), ("InvertedDoublePendulum", 9350), ("Reacher", -8)]
)
def test_both_versions_of_the_mujoco_observations(name, version, least):
    if version > find_highest_version(None, name):
        pytest.skip(f"Gymnasium {gym.__version__} has no {name}-v{version}")
    env = gym.make(f"{name}-v{version}")
    assert episode(env, expert(env), seed=0)[1] >= least


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "ilrl/GridMaze-v0"])
def test_planned_experts_refuse_what_is_no_state(env_id):
    teacher = expert(env_id)
    for observation in (-1, 64, 1.0, None, np.array([]), np.array([0, 64]), np.array([True])):
        with pytest.raises(ValueError, match="expected observations of Discrete"):
            teacher.predict(observation)
    assert len(teacher.predict(np.zeros(0, dtype=np.int64))[0]) == 0
