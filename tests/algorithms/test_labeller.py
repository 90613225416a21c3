"""Everything that may label for DAgger, and everything that may not."""

import numpy as np
import pytest
from algorithm_helpers import AnySpaceEnv
from gymnasium import spaces
from sb3_contrib import QRDQN, TQC, RecurrentPPO
from stable_baselines3 import DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import BC, DAgger, expert
from gym_ilrl import make_vec_env as make_native_vec_env
from gym_ilrl.algorithms.labeller import Labeller
from gym_ilrl.experts.cart_pole import CartPoleExpert

ENV_OF = {DQN: "CartPole-v1", QRDQN: "CartPole-v1", PPO: "Pendulum-v1", SAC: "Pendulum-v1", TD3: "Pendulum-v1",
          DDPG: "Pendulum-v1", TQC: "Pendulum-v1"}  # fmt: skip


def observations_of(env, n=6):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, *env.observation_space.shape)).astype(np.float32)


@pytest.mark.parametrize("algorithm", ENV_OF, ids=lambda algorithm: algorithm.__name__)
@pytest.mark.parametrize("given_as", ["model", "policy", "path", "name"])
def test_sb3_model_labels_as_it_acts(algorithm, given_as, tmp_path):
    env = make_vec_env(ENV_OF[algorithm])
    off_policy = {} if algorithm is PPO else {"buffer_size": 10}
    model = algorithm("MlpPolicy", env, seed=0, policy_kwargs={"net_arch": [8]}, **off_policy)
    model.save(tmp_path / "teacher")
    given = {
        "model": model,
        "policy": model.policy,
        "path": tmp_path / "teacher.zip",
        "name": str(tmp_path / "teacher"),
    }
    labeller = Labeller(given[given_as], env)
    assert labeller.can_label_later
    observations = observations_of(env)
    answer = labeller.label(observations, np.zeros(6, dtype=bool))
    np.testing.assert_array_equal(answer, model.predict(observations, deterministic=True)[0])


@pytest.mark.parametrize("base", [PPO, DDPG, SAC])
@pytest.mark.parametrize("use_sde", [False, True])
def test_saved_clone_labels_as_it_acts(base, use_sde, tmp_path):
    if use_sde and base is DDPG:
        pytest.skip("DDPG has no state-dependent exploration")
    model = BC("MlpPolicy", "Pendulum-v1", base=base, use_sde=use_sde, policy_kwargs={"net_arch": [8]})
    model.save(tmp_path / "clone")
    observations = observations_of(model.env)
    answer = Labeller(tmp_path / "clone", model.env).label(observations, np.zeros(6, dtype=bool))
    np.testing.assert_allclose(answer, model.predict(observations, deterministic=True)[0], atol=1e-6)


def test_path_is_enough_for_dagger(tmp_path):
    PPO("MlpPolicy", "CartPole-v1").save(tmp_path / "teacher")
    model = DAgger("MlpPolicy", "CartPole-v1", expert=tmp_path / "teacher", n_steps=20, n_epochs=1).learn(40)
    assert model.n_labels == 40


class Remembering:
    """Counts the steps of each episode in its state: its answer needs the memory and the episode starts."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        n = len(observation)
        clock = np.zeros(n, dtype=int) if state is None else np.where(episode_start, 0, state[0] + 1)
        return clock % 2, (clock,)


@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("n_steps", [3, 7])
def test_memory_of_the_expert_lives_as_long_as_the_episode(n_envs, n_steps):
    """Episodes last five steps, rounds do not: the memory goes on from round to round."""
    env = make_vec_env(lambda: AnySpaceEnv(spaces.Box(-1, 1, (2,)), spaces.Discrete(2)), n_envs)
    model = DAgger("MlpPolicy", env, expert=Remembering(), n_steps=n_steps, n_epochs=1)
    model.learn(6 * n_steps * n_envs)
    labels = model._training_set.actions.numpy().reshape(6, n_envs, n_steps).transpose(1, 0, 2).reshape(n_envs, -1)
    np.testing.assert_array_equal(labels, np.tile(np.arange(6 * n_steps) % 5 % 2, (n_envs, 1)))


def test_recurrent_model_labels_step_by_step():
    teacher = RecurrentPPO("MlpLstmPolicy", "CartPole-v1", seed=0)
    env = make_vec_env("CartPole-v1", 2, seed=0)
    assert not Labeller(teacher, env).can_label_later
    model = DAgger("MlpPolicy", env, expert=teacher, n_steps=15, n_epochs=1, beta_schedule=lambda i: 0.0).learn(30)
    observations = model._training_set._columns["observations"].values.numpy().reshape(2, 15, 4)
    starts = model._training_set.episode_starts.numpy().reshape(2, 15)
    for env_index in range(2):
        state = None
        for step in range(15):
            action, state = teacher.predict(
                observations[env_index, step], state, starts[env_index, step : step + 1], deterministic=True
            )
            assert action == model._training_set.actions[env_index * 15 + step].item()


def test_environments_own_expert_is_the_default():
    env = make_vec_env("CartPole-v1")
    labeller = Labeller(None, env)
    assert isinstance(labeller._expert, CartPoleExpert)
    assert labeller.can_label_later


@pytest.mark.parametrize("make", [make_vec_env, make_native_vec_env], ids=["DummyVecEnv", "native"])
def test_privileged_expert_reads_the_state_of_the_learners_environments(make):
    env = make("ilrl/LaneKeeping-v0", 2, seed=0)
    labeller = Labeller(expert("ilrl/LaneKeeping-v0"), env)
    assert not labeller.can_label_later
    model = DAgger("MlpPolicy", env, expert=expert("ilrl/LaneKeeping-v0"), n_steps=10, n_epochs=1).learn(20)
    assert model.n_labels == 20


def test_asking_late_gives_the_same_labels_as_asking_at_once():
    found = expert("CartPole-v1")
    labels = {}
    for late in (True, False):
        teacher = found if late else lambda observations: found.predict(observations)[0]
        env = make_vec_env("CartPole-v1", 2, seed=0)
        options = {"expert": teacher, "n_steps": 25, "n_epochs": 1, "seed": 0}
        model = DAgger("MlpPolicy", env, beta_schedule=lambda i: 0.0, **options).learn(100)
        labels[late] = model._training_set.actions.numpy()
    np.testing.assert_array_equal(labels[True], labels[False])


BOX = spaces.Box(np.float32([-1, -2]), np.float32([1, 2]))
WRONG_ANSWERS = [
    (BOX, lambda obs: np.full((len(obs), 2), np.nan), "NaN"),
    (BOX, lambda obs: np.full((len(obs), 2), np.inf), "infinite"),
    (BOX, lambda obs: np.full((len(obs), 2), 1.5), "outside"),
    (BOX, lambda obs: np.zeros(len(obs)), "shape"),
    (BOX, lambda obs: np.zeros((len(obs), 3)), "shape"),
    (BOX, lambda obs: np.zeros((len(obs) + 1, 2)), "2 actions for 1 observations"),
    (BOX, lambda obs: None, "shape"),
    (spaces.Discrete(3), lambda obs: np.full(len(obs), 3), "outside"),
    (spaces.Discrete(3), lambda obs: np.full(len(obs), -1), "outside"),
    (spaces.Discrete(3), lambda obs: np.full(len(obs), 0.5), "without loss"),
    (spaces.Discrete(3, start=5), lambda obs: np.full(len(obs), 0), "outside"),
    (spaces.Discrete(3), lambda obs: np.zeros((len(obs), 1), dtype=int), "shape"),
    (spaces.MultiDiscrete([2, 3]), lambda obs: np.full((len(obs), 2), 2), "outside"),
    (spaces.MultiBinary(2), lambda obs: np.full((len(obs), 2), 2), "outside"),
    (spaces.Discrete(3), lambda obs: ["left"] * len(obs), "without loss"),
]


@pytest.mark.parametrize(("space", "answer", "message"), WRONG_ANSWERS)
def test_wrong_answers_are_refused(space, answer, message):
    env = make_vec_env(lambda: AnySpaceEnv(spaces.Box(-1, 1, (2,)), space))
    with pytest.raises(ValueError, match=message):
        DAgger("MlpPolicy", env, expert=answer).learn(10)


def test_rounding_errors_at_the_bounds_are_forgiven():
    env = make_vec_env(lambda: AnySpaceEnv(spaces.Box(-1, 1, (2,)), BOX))
    labeller = Labeller(lambda obs: np.float32([[1, 2]]) * np.float32(1 + 5e-7), env)
    np.testing.assert_array_equal(labeller.label(np.zeros((1, 2)), np.ones(1, dtype=bool)), BOX.high[None])


def test_predict_that_forgets_the_state_is_refused():
    class Half:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros(len(observation), dtype=int)

    with pytest.raises(ValueError, match=r"must return \(actions, state\)"):
        DAgger("MlpPolicy", "CartPole-v1", expert=Half()).learn(10)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, TypeError, "not int"),
        (np.zeros(3), TypeError, "not ndarray"),
        (PPO, TypeError, "not the class PPO"),
        ("no/such/model", ValueError, "no such file"),
    ],
)
def test_what_cannot_label_is_refused_at_once(given, error, message):
    with pytest.raises(error, match=message):
        DAgger("MlpPolicy", "CartPole-v1", expert=given)
    with pytest.raises(error, match=message):
        DAgger("MlpPolicy", "CartPole-v1").set_expert(given)


def test_loaded_model_does_not_take_another_expert_for_its_own(tmp_path):
    options = {"n_steps": 10, "n_epochs": 1}
    DAgger("MlpPolicy", "CartPole-v1", expert=lambda obs: np.zeros(len(obs), int), **options).save(tmp_path / "given")
    DAgger("MlpPolicy", "CartPole-v1", **options).save(tmp_path / "own")
    env = make_vec_env("CartPole-v1")
    assert DAgger.load(tmp_path / "own", env=env).learn(10).n_labels == 10
    loaded = DAgger.load(tmp_path / "given", env=env)
    with pytest.raises(ValueError, match="set_expert"):
        loaded.learn(10)
    loaded.set_expert(None)
    assert loaded.learn(10).n_labels == 10
    again = DAgger.load(tmp_path / "given", env=env, expert=lambda obs: np.ones(len(obs), int))
    assert again.learn(10)._training_set.actions.tolist() == [1] * 10


def test_model_that_learned_from_normalised_observations_is_refused():
    model = PPO("MlpPolicy", VecNormalize(make_vec_env("CartPole-v1")))
    with pytest.raises(ValueError, match="normalised by VecNormalize"):
        DAgger("MlpPolicy", "CartPole-v1", expert=model)
    raw = PPO("MlpPolicy", VecNormalize(make_vec_env("CartPole-v1"), norm_obs=False))
    assert DAgger("MlpPolicy", "CartPole-v1", expert=raw).expert is raw


def test_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "teacher.zip").write_text("nothing")
    with pytest.raises(ValueError, match="no saved SB3 model"):
        DAgger("MlpPolicy", "CartPole-v1", expert=tmp_path / "teacher.zip").learn(10)


def test_environment_without_expert_says_so():
    env = make_vec_env(lambda: AnySpaceEnv(spaces.Box(-1, 1, (2,)), spaces.Discrete(2)))
    with pytest.raises((LookupError, ValueError), match=r"expert|spec"):
        DAgger("MlpPolicy", env).learn(10)


def test_model_of_another_environment_is_refused():
    with pytest.raises(ValueError, match="observation shape"):
        DAgger("MlpPolicy", "CartPole-v1", expert=PPO("MlpPolicy", "Pendulum-v1")).learn(10)
