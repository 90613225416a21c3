"""What DAgger does in its rounds: who acts, who is asked, what is counted."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from algorithm_helpers import AnySpaceEnv
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import DAgger
from gym_ilrl.algorithms.beta_schedules import (
    ExponentialBetaSchedule,
    IndicatorBetaSchedule,
    LinearBetaSchedule,
    resolve_beta_schedule,
)
from gym_ilrl.algorithms.dagger import is_failure

OBSERVATION, ACTION = spaces.Box(-1, 1, (2,), np.float32), spaces.Box(-1, 1, (1,), np.float32)
SILENT = 0.8125  # an action that a fresh learner, whose means are near zero, never takes


class Noting(AnySpaceEnv):
    """Keeps every observation it gave and every action it was given, and how often it was reset."""

    def __init__(self):
        super().__init__(OBSERVATION, ACTION)
        self.observations, self.actions, self.n_resets = [], [], 0

    def reset(self, **kwargs):
        self.n_resets += 1
        observation, info = super().reset(**kwargs)
        self.last = observation
        return observation, info

    def step(self, action):
        self.observations.append(self.last)
        self.actions.append(float(action[0]))
        result = super().step(action)
        self.last = result[0]
        return result


class Teacher:
    """Answers ``SILENT`` and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, observations):
        self.asked.extend(observations)
        return np.full((len(observations), 1), SILENT)


def run(beta, total=400, n_envs=1, **kwargs):
    envs = [Noting() for _ in range(n_envs)]
    venv = make_vec_env(lambda: envs.pop(0), n_envs, seed=0)
    teacher = Teacher()
    options = {"expert": teacher, "beta_schedule": beta, "n_steps": 50, "n_epochs": 1, "learning_rate": 1e-6, "seed": 0}
    model = DAgger("MlpPolicy", venv, **{**options, **kwargs}).learn(total)
    return model, [env.unwrapped for env in venv.envs], teacher


def test_schedules():
    rounds = range(5)
    assert list(map(IndicatorBetaSchedule(), rounds)) == [1, 0, 0, 0, 0]
    assert list(map(LinearBetaSchedule(4), rounds)) == [1, 0.75, 0.5, 0.25, 0]
    assert list(map(ExponentialBetaSchedule(0.5), rounds)) == [1, 0.5, 0.25, 0.125, 0.0625]
    assert ExponentialBetaSchedule(0)(0) == 1
    for name, schedule in (("indicator", IndicatorBetaSchedule), ("linear", LinearBetaSchedule)):
        assert resolve_beta_schedule(name) == schedule()
    assert resolve_beta_schedule("exponential") == ExponentialBetaSchedule(0.5)
    assert resolve_beta_schedule(max) is max


@pytest.mark.parametrize("n_envs", [1, 4])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_expert_acts_with_probability_beta_and_labels_everything(beta, n_envs):
    model, envs, teacher = run(lambda round_number: beta, n_envs=n_envs, total=400)
    actions = np.concatenate([env.actions for env in envs])
    n_by_expert = int((actions == SILENT).sum())
    deviation = np.sqrt(400 * beta * (1 - beta))
    assert abs(n_by_expert - 400 * beta) <= 4 * deviation
    assert model.n_expert_steps == n_by_expert
    assert th.all(model._training_set.actions == SILENT)
    assert len(teacher.asked) == model.n_labels == model.num_timesteps == sum(env.n_steps for env in envs) == 400


def test_coin_is_tossed_for_every_step_of_every_environment():
    _, envs, _ = run(lambda round_number: 0.5, n_envs=2)
    first, second = (np.array(env.actions) == SILENT for env in envs)
    assert 50 < (first != second).sum() < 150  # of 200: independent
    assert 50 < (first[1:] != first[:-1]).sum() < 150


def test_indicator_lets_the_expert_act_in_the_first_round_only():
    model, [env], _ = run("indicator", total=150)
    by_expert = np.array(env.actions) == SILENT
    assert by_expert[:50].all()
    assert not by_expert[50:].any()
    assert (model.n_rounds, model.n_expert_steps) == (3, 50)


def test_demonstrations_are_the_first_round_and_make_no_step(demos):
    env = make_vec_env("CartPole-v1")
    model = DAgger("MlpPolicy", env, demonstrations=demos, n_steps=20, n_epochs=1)
    model.learn(0)
    assert (model.num_timesteps, model.n_labels, model.n_rounds) == (0, 0, 1)
    assert model._n_updates == round(demos.n_transitions / model.batch_size)
    model.learn(20)
    assert (model.num_timesteps, model.n_labels, model.n_expert_steps, model.n_rounds) == (20, 20, 0, 2)
    assert len(model._training_set) == demos.n_transitions + 20


@pytest.mark.parametrize("n_envs", [1, 3])
def test_labels_belong_to_the_states_that_were_visited(n_envs):
    """The labels of a round lie environment by environment, each episode in its order."""
    model, envs, teacher = run(lambda round_number: 0.3, n_envs=n_envs, total=20 * n_envs, n_steps=20)
    visited = np.concatenate([env.observations for env in envs])
    np.testing.assert_array_equal(model._training_set._columns["observations"].values.numpy(), visited)
    starts = model._training_set.episode_starts.numpy()
    np.testing.assert_array_equal(np.flatnonzero(starts), np.arange(0, 20 * n_envs, 5))
    by_time = np.stack([env.observations for env in envs], axis=1).reshape(-1, 2)
    np.testing.assert_array_equal(np.array(teacher.asked), by_time)


def test_aggregate_grows_over_calls_of_learn():
    model, _, _ = run("indicator", total=100)
    model.learn(100, reset_num_timesteps=False)
    assert len(model._training_set) == model.n_labels == model.num_timesteps == 200
    model.learn(50)
    assert (model.num_timesteps, model.n_labels, model.n_rounds) == (50, 250, 5)


def test_new_demonstrations_join_the_aggregate(demos):
    model = DAgger("MlpPolicy", "CartPole-v1", n_steps=20, n_epochs=1).learn(20)
    model.set_demonstrations(demos)
    model.learn(20, reset_num_timesteps=False)
    assert len(model._training_set) == demos.n_transitions + 40


def test_total_is_rounded_up_to_rounds():
    model, _, _ = run("indicator", total=101)
    assert model.num_timesteps == 150


def test_expert_is_shown_what_the_environment_gave():
    """Under VecNormalize the learner sees normalised observations, the expert raw ones."""
    envs = [Noting(), Noting()]
    venv = VecNormalize(make_vec_env(lambda: envs.pop(0), 2, seed=0))
    teacher = Teacher()
    DAgger("MlpPolicy", venv, expert=teacher, n_steps=10, n_epochs=1).learn(40)
    given = np.stack([env.unwrapped.observations for env in venv.unwrapped.envs], axis=1).reshape(-1, 2)
    np.testing.assert_array_equal(np.array(teacher.asked), given)


def test_learner_trains_on_observations_as_it_is_shown_them():
    venv = VecNormalize(make_vec_env("CartPole-v1", 2, seed=0))
    model = DAgger("MlpPolicy", venv, n_steps=30, n_epochs=1).learn(180)
    raw = np.concatenate(model._training_set._raw)
    expected = venv.normalize_obs(raw)  # with the statistics of now, not of when they were visited
    np.testing.assert_allclose(model._training_set._columns["observations"].values.numpy(), expected, rtol=1e-5)


def test_learner_may_draw_its_actions():
    _, [env], _ = run(lambda round_number: 0.0, total=100)
    _, [drawing_env], _ = run(lambda round_number: 0.0, total=100, deterministic=False)
    assert np.std(env.actions) < 0.1
    assert np.std(drawing_env.actions) > 0.3


def test_too_few_episodes_to_hold_out_hold_out_none():
    model = DAgger("MlpPolicy", "CartPole-v1", n_steps=20, n_epochs=1, validation_fraction=0.3).learn(100)
    assert model.num_timesteps == 100


@pytest.mark.parametrize(
    ("done", "info", "failed"),
    [
        (False, {}, False),
        (True, {}, True),
        (True, {"TimeLimit.truncated": True}, False),
        (True, {"TimeLimit.truncated": False, "is_success": True}, False),
        (np.True_, {"is_success": False}, True),
    ],
)
def test_failures(done, info, failed):
    assert is_failure(done, info) is failed


def test_another_environment_takes_the_place_of_the_first():
    model = DAgger("MlpPolicy", VecNormalize(make_vec_env("CartPole-v1")), n_steps=20, n_epochs=1).learn(20)
    model.set_env(VecNormalize(make_vec_env("CartPole-v1")))
    model.learn(20, reset_num_timesteps=False)
    model.set_env(make_vec_env("CartPole-v1"))
    model.learn(20, reset_num_timesteps=False)
    assert model.n_labels == 60
    values = model._training_set._columns["observations"].values.numpy()
    np.testing.assert_array_equal(values, np.concatenate(model._training_set._raw))
    plain = DAgger("MlpPolicy", gym.make("CartPole-v1"), n_steps=20, n_epochs=1).learn(20)
    plain.set_env(VecNormalize(make_vec_env("CartPole-v1")))
    with pytest.raises(ValueError, match="without VecNormalize"):
        plain.learn(20)
