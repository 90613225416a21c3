"""Every kind of observation and action, through BC and DAgger, on one and on several environments."""

import numpy as np
import pytest
import torch as th
from algorithm_helpers import AnySpaceEnv, constant_expert
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack, VecNormalize, VecTransposeImage

from gym_ilrl import BC, DAgger, collect

VECTOR = spaces.Box(-1, 1, (3,), np.float32)
ACTIONS = {
    "Discrete": spaces.Discrete(3),
    "Discrete from 2": spaces.Discrete(3, start=2),
    "Discrete below 0": spaces.Discrete(3, start=-1),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3, 2]),
    "MultiBinary": spaces.MultiBinary(3),
    "Box": spaces.Box(np.float32([-1, 5]), np.float32([1, 9])),
    "Box of two dimensions": spaces.Box(-1, 1, (2, 2), np.float32),
    "Box of float64": spaces.Box(-1, 1, (2,), np.float64),
}
OBSERVATIONS = {
    "vector": VECTOR,
    "float64": spaces.Box(-1, 1, (3,), np.float64),
    "two dimensions": spaces.Box(-1, 1, (2, 2), np.float32),
    "uint16": spaces.Box(0, 999, (3,), np.uint16),
    "uint32": spaces.Box(0, 999, (3,), np.uint32),
    "int64": spaces.Box(-9, 9, (3,), np.int64),
    "Discrete": spaces.Discrete(4),
    "MultiDiscrete": spaces.MultiDiscrete([3, 4]),
    "MultiBinary": spaces.MultiBinary(4),
    "image, channels last": spaces.Box(0, 255, (36, 40, 3), np.uint8),
    "image, channels first": spaces.Box(0, 255, (1, 36, 40), np.uint8),
    "Dict": spaces.Dict({"vector": VECTOR, "cell": spaces.Discrete(4)}),
    "Dict with an image": spaces.Dict({"camera": spaces.Box(0, 255, (36, 36, 3), np.uint8), "speed": VECTOR}),
}


def policy_of(space):
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if space.dtype == np.uint8 and len(space.shape) == 3 else "MlpPolicy"


def train(algorithm, env, observation_space, act, **kwargs):
    """Learn a constant action; return the model."""
    policy = policy_of(observation_space)
    if algorithm is BC:
        demos = collect(act, env, n_episodes=4)
        return BC(policy, env, demonstrations=demos, learning_rate=0.01, batch_size=8, **kwargs).learn(80)
    options = {"expert": act, "n_steps": 16 // env.num_envs, "n_epochs": 40, "patience": None, "batch_size": 8}
    return DAgger(policy, env, learning_rate=0.01, **options, **kwargs).learn(16)


def check_imitates(model, env, act, space):
    answer, _ = model.predict(env.reset(), deterministic=True)
    assert answer.shape == (env.num_envs, *space.shape)
    assert all(space.contains(action) for action in answer.astype(space.dtype))
    if isinstance(space, spaces.Box):
        scale = 0.5 * (space.high - space.low)
        assert np.all(np.abs(answer - act.action) < 0.5 * scale)
    else:
        np.testing.assert_array_equal(answer, [act.action] * env.num_envs)


@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("name", ACTIONS)
def test_actions(algorithm, name, n_envs):
    space = ACTIONS[name]
    act = constant_expert(space)
    env = make_vec_env(lambda: AnySpaceEnv(VECTOR, space), n_envs, seed=0)
    check_imitates(train(algorithm, env, VECTOR, act, seed=0), env, act, space)


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_observations(algorithm, name):
    space, actions = OBSERVATIONS[name], spaces.Discrete(3)
    act = constant_expert(actions)
    env = make_vec_env(lambda: AnySpaceEnv(space, actions), 2, seed=0)
    model = train(algorithm, env, space, act, seed=0)
    single = make_vec_env(lambda: AnySpaceEnv(space, actions), 1, seed=0)
    check_imitates(model, single, act, actions)


@pytest.mark.parametrize("name", ["vector", "image, channels last", "Dict with an image"])
def test_one_observation_or_a_batch(algorithm, name):
    space = OBSERVATIONS[name]
    act = constant_expert(ACTIONS["Box"])
    env = make_vec_env(lambda: AnySpaceEnv(space, ACTIONS["Box"]), 1, seed=0)
    model = train(algorithm, env, space, act)
    one = space.sample()  # as the environment gives it: HWC
    batch = {key: value[None] for key, value in one.items()} if isinstance(one, dict) else one[None]
    assert model.predict(one)[0].shape == (2,)
    assert model.predict(batch)[0].shape == (1, 2)
    state = object()
    assert model.predict(one, state)[1] is state


def stored(model):
    return {name: column.values.numpy() for name, column in model._training_set._columns.items()}


@pytest.mark.parametrize("name", ["image, channels last", "image, channels first", "Dict with an image"])
def test_images_are_kept_as_bytes_with_channels_first(name):
    space = OBSERVATIONS[name]
    seen = []

    def act(observations):
        seen.append(observations)
        first = next(iter(observations.values())) if isinstance(observations, dict) else observations
        return np.zeros(len(first), dtype=int)

    env = make_vec_env(lambda: AnySpaceEnv(space, spaces.Discrete(2)), 1, seed=0)
    columns = stored(DAgger(policy_of(space), env, expert=act, n_steps=8, n_epochs=1).learn(8))
    key = "camera" if isinstance(space, spaces.Dict) else None
    raw = np.concatenate([batch[key] if key else batch for batch in seen])
    assert raw.shape[1:] == (space[key].shape if key else space.shape)  # the expert sees what the environment gives
    kept = columns["observations/camera" if key else "observations"]
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, raw if name.endswith("first") else raw.transpose(0, 3, 1, 2))


def test_stacked_frames(algorithm):
    env = VecFrameStack(make_vec_env(lambda: AnySpaceEnv(VECTOR, spaces.Discrete(3)), 2, seed=0), 2)
    act = constant_expert(spaces.Discrete(3))
    check_imitates(train(algorithm, env, env.observation_space, act, seed=0), env, act, spaces.Discrete(3))


def test_environments_in_other_processes():
    env = make_vec_env("CartPole-v1", 2, seed=0, vec_env_cls=SubprocVecEnv)
    act = constant_expert(spaces.Discrete(2))
    try:
        check_imitates(train(DAgger, env, env.observation_space, act, seed=0), env, act, spaces.Discrete(2))
    finally:
        env.close()


@pytest.mark.parametrize("inside", [True, False], ids=["transposed below", "transposed above"])
def test_images_beside_normalised_vectors(algorithm, inside):
    space = OBSERVATIONS["Dict with an image"]
    env = make_vec_env(lambda: AnySpaceEnv(space, spaces.Discrete(3)), 2, seed=0)
    env = VecNormalize(VecTransposeImage(env) if inside else env, norm_obs_keys=["speed"])
    act = constant_expert(spaces.Discrete(3))
    check_imitates(train(algorithm, env, space, act, seed=0), env, act, spaces.Discrete(3))


def test_normalised_images(algorithm):
    space, actions = OBSERVATIONS["image, channels last"], spaces.Discrete(3)
    env = VecNormalize(VecTransposeImage(make_vec_env(lambda: AnySpaceEnv(space, actions), 2, seed=0)))
    act = constant_expert(actions)
    model = train(algorithm, env, space, act, policy_kwargs={"normalize_images": False}, seed=0)
    check_imitates(model, env, act, actions)
    assert env.obs_rms.mean.shape == (3, 36, 40)


def test_statistics_are_seeded_by_the_demonstrations(demos):
    env = VecNormalize(make_vec_env("CartPole-v1"))
    observations = demos.transitions().observations
    model = BC("MlpPolicy", env, demonstrations=demos).learn(3)
    np.testing.assert_allclose(env.obs_rms.mean, observations.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(env.obs_rms.var, observations.var(axis=0), rtol=0.01, atol=1e-3)
    count = env.obs_rms.count
    model.learn(3)  # they are not counted twice
    assert env.obs_rms.count <= count + 1


def test_statistics_that_do_not_move_are_used_as_they_are(demos):
    env = VecNormalize(make_vec_env("CartPole-v1"), training=False)
    env.obs_rms.mean[:] = 3
    BC("MlpPolicy", env, demonstrations=demos).learn(3)
    np.testing.assert_array_equal(env.obs_rms.mean, 3)


def test_clone_sees_normalised_observations(demos):
    env = VecNormalize(make_vec_env("CartPole-v1"))
    model = BC("MlpPolicy", env, demonstrations=demos)
    training_set = model._labelled_demonstrations()
    observations = training_set.batch(th.arange(len(training_set))).observations.numpy()
    np.testing.assert_allclose(observations.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(observations, env.normalize_obs(demos.transitions().observations), rtol=1e-4, atol=1e-5)
