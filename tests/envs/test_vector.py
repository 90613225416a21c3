import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import registry

from gym_ilrl.envs.compat import NATIVE_VECTOR_ENVS, AutoresetMode

if not NATIVE_VECTOR_ENVS:
    pytest.skip("Gymnasium before 1.1 has no native vector environments", allow_module_level=True)

IDS = sorted(env_id for env_id in registry if env_id.startswith("ilrl/"))
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


def assert_same(actual, expected, path="infos"):
    """Compare nested dicts of arrays, value for value and type for type."""
    assert type(actual) is type(expected), path
    if isinstance(actual, dict):
        assert actual.keys() == expected.keys(), path
        for key in expected:
            assert_same(actual[key], expected[key], f"{path}[{key!r}]")
        return
    assert actual.dtype == expected.dtype, path
    assert actual.shape == expected.shape, path
    if actual.dtype == object:
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=path)
    else:
        np.testing.assert_array_equal(actual, expected, err_msg=path)


def pair(env_id, mode, num_envs=5, **kwargs):
    native = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    loop = gym.make_vec(
        env_id, num_envs=num_envs, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **kwargs
    )
    return native, loop


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [None, 7])
def test_equals_sync_vector_env(env_id, mode, limit):
    kwargs = {} if limit is None else {"max_episode_steps": limit}
    native, loop = pair(env_id, mode, **kwargs)
    assert native.observation_space == loop.observation_space
    assert native.action_space == loop.action_space
    assert native.metadata == loop.metadata
    loop.action_space.seed(0)
    terminated = truncated = 0
    for seed in (11, None, [3, 1, 4, 1, 5]):
        ours, theirs = native.reset(seed=seed), loop.reset(seed=seed)
        if seed is None:
            continue  # continues the generators of the first reset
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert_same(ours[1], theirs[1])
        for _ in range(210):
            actions = loop.action_space.sample()
            ours, theirs = native.step(actions), loop.step(actions)
            for one, other in zip(ours[:4], theirs[:4], strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
            assert_same(ours[4], theirs[4])
            terminated, truncated = terminated + theirs[2].sum(), truncated + theirs[3].sum()
    assert terminated + truncated > 0
    assert limit is None or truncated > 0


def test_reset_without_seed_continues_the_generators():
    native, loop = pair("ilrl/LaneKeeping-v0", AutoresetMode.NEXT_STEP)
    for seed in (2, None, None):
        np.testing.assert_array_equal(native.reset(seed=seed)[0], loop.reset(seed=seed)[0])


def test_disabled_autoreset_with_reset_mask():
    native, loop = pair("ilrl/LaneKeeping-v0", AutoresetMode.DISABLED, max_episode_steps=4)
    native.reset(seed=0), loop.reset(seed=0)
    actions = np.zeros((5, 1), dtype=np.float32)
    for _ in range(4):
        native.step(actions)
        loop.step(actions)
    with pytest.raises(ValueError, match="reset_mask"):
        native.step(actions)
    for mask in (np.array([True, False, True, False, False]), np.array([False, True, False, True, True])):
        ours, theirs = (envs.reset(options={"reset_mask": mask}) for envs in (native, loop))
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert_same(ours[1], theirs[1])
    np.testing.assert_array_equal(native.step(actions)[0], loop.step(actions)[0])


@pytest.mark.parametrize("mask", [[True] * 5, np.ones(4, dtype=bool), np.zeros(5, dtype=bool), np.ones(5)])
def test_refuses_a_wrong_reset_mask(mask):
    native = gym.make_vec("ilrl/LaneKeeping-v0", num_envs=5)
    with pytest.raises(ValueError, match="reset_mask"):
        native.reset(options={"reset_mask": mask})


def test_refuses_wrong_arguments():
    with pytest.raises(ValueError, match="one seed, or a list of 2"):
        gym.make_vec("ilrl/LaneKeeping-v0", num_envs=2).reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="num_envs"):
        gym.make_vec("ilrl/LaneKeeping-v0", num_envs=0)
    with pytest.raises(ValueError, match="max_episode_steps"):
        gym.make_vec("ilrl/LaneKeeping-v0", num_envs=1, max_episode_steps=0)


def test_results_are_fresh():
    """What a caller keeps does not change under later steps."""
    envs = gym.make_vec("ilrl/LaneKeeping-v0", num_envs=2)
    observations, infos = envs.reset(seed=0)
    kept, kept_cameras = observations.copy(), infos["cameras"].copy()
    for _ in range(3):
        envs.step(envs.action_space.sample())
    np.testing.assert_array_equal(observations, kept)
    np.testing.assert_array_equal(infos["cameras"], kept_cameras)


def test_renders_every_environment():
    envs = gym.make_vec("ilrl/LaneKeeping-v0", num_envs=2, render_mode="rgb_array")
    envs.reset(seed=0)
    frames = envs.render()
    for seed, frame in enumerate(frames):
        single = gym.make("ilrl/LaneKeeping-v0", render_mode="rgb_array")
        single.reset(seed=seed)
        np.testing.assert_array_equal(frame, single.render())


def test_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode must be None or one of rgb_array"):
        gym.make_vec("ilrl/LaneKeeping-v0", num_envs=2, render_mode="nonsense")


@pytest.mark.parametrize("env_id", IDS)
def test_what_is_no_batch_of_actions_is_refused(env_id):
    env = gym.make_vec(env_id, num_envs=3)
    good = env.action_space.sample()
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        env.step(good)
    env.reset(seed=0)
    for actions in (None, 0, good[:2], good[:, None], np.full(3, 99), good.astype(str)):
        with pytest.raises(ValueError, match="action"):
            env.step(actions)


def test_numpy_integers_are_seeds():
    env = gym.make_vec("ilrl/LaneKeeping-v0", num_envs=3)
    expected, _ = env.reset(seed=4)
    for seed in (np.int64(4), np.array([4, 5, 6]), [4, np.int64(5), 6]):
        np.testing.assert_array_equal(env.reset(seed=seed)[0], expected)
    with pytest.raises(ValueError, match="seed"):
        env.reset(seed=1.5)
