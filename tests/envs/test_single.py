import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import registry

from gym_ilrl.envs.random_numbers import draw_key, uniform

IDS = sorted(env_id for env_id in registry if env_id.startswith("ilrl/"))


def drive(env, actions):
    return [env.step(action) for action in actions]


def assert_same_steps(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:4] == other[1:4]
        assert one[4].keys() == other[4].keys()
        for key in one[4]:
            np.testing.assert_array_equal(one[4][key], other[4][key])


@pytest.mark.parametrize("env_id", IDS)
def test_set_state_replays(env_id):
    """A state saved in one environment continues identically in another one, whose own seed differs."""
    env, other = gym.make(env_id).unwrapped, gym.make(env_id).unwrapped
    env.reset(seed=1), other.reset(seed=2)
    env.action_space.seed(0)
    drive(env, [env.action_space.sample() for _ in range(4)])
    state, seen = env.get_state(), env.observe()
    actions = [env.action_space.sample() for _ in range(8)]
    expected = drive(env, actions)
    other.set_state(state)
    np.testing.assert_array_equal(other.observe(), seen)
    assert_same_steps(drive(other, actions), expected)
    env.set_state(state)
    assert_same_steps(drive(env, actions), expected)


@pytest.mark.parametrize("env_id", IDS)
def test_steps_leave_the_generator_alone(env_id):
    """Whatever happened in an episode, the next one is the same: only resets draw."""
    starts = []
    for n_steps in (0, 3):
        env = gym.make(env_id).unwrapped
        env.reset(seed=5)
        drive(env, [env.action_space.sample() for _ in range(n_steps)])
        env.reset()
        starts.append(env.get_state())
    assert starts[0] == starts[1]


@pytest.mark.parametrize("env_id", IDS)
def test_renders_in_every_mode(env_id):
    for mode in gym.make(env_id).metadata["render_modes"]:
        env = gym.make(env_id, render_mode=mode)
        env.reset(seed=0)
        picture = env.render()
        if mode == "ansi":
            assert isinstance(picture, str)
        else:
            assert picture.dtype == np.uint8
            assert picture.ndim == 3
            assert picture.shape[2] == 3
            assert picture.std() > 1.0


@pytest.mark.parametrize("env_id", IDS)
def test_refuses_an_unknown_render_mode(env_id):
    env_class = type(gym.make(env_id).unwrapped)
    with pytest.raises(ValueError, match=r"render_mode must be None or one of .*rgb_array"):
        env_class(render_mode="hologram")


def test_view_of_a_row_cannot_be_stepped_alone():
    env_class = type(gym.make("ilrl/LaneKeeping-v0").unwrapped)
    view = env_class.view(env_class.dynamics_class(3), 2)
    with pytest.raises(RuntimeError, match="step\\(\\) was called on environment 2 of a vectorised one"):
        view.step(np.zeros(1, dtype=np.float32))
    with pytest.raises(RuntimeError, match="reset\\(\\)"):
        view.reset()


def split_mix_64(state):
    """One output of SplitMix64 (Steele, Lea and Flood 2014), in Python's unbounded integers."""
    state = (state + 0x9E3779B97F4A7C15) % 2**64
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % 2**64
    return state, mixed ^ (mixed >> 31)


def test_uniform_is_split_mix_64():
    keys = np.array([0, 1, 1234567, 2**63, 2**64 - 1], dtype=np.uint64)
    for key in keys:
        state = int(key)
        for clock in range(50):
            state, output = split_mix_64(state)
            (number,) = uniform(np.array([key]), np.array([clock]))
            assert number == (output >> 11) / 2**53
    assert split_mix_64(1234567)[1] == 6457827717110365317  # the reference implementation's first output


def test_uniform_broadcasts_and_is_uniform():
    keys = np.array([draw_key(np.random.default_rng(seed)) for seed in range(20)])
    numbers = uniform(keys[:, None], np.arange(2000)[None])
    assert numbers.shape == (20, 2000)
    assert (numbers >= 0.0).all()
    assert (numbers < 1.0).all()
    counts = np.histogram(numbers, bins=20, range=(0.0, 1.0))[0]
    chi_square = ((counts - 2000.0) ** 2 / 2000.0).sum()  # 19 degrees of freedom: above 43.8 once in 1000
    assert chi_square < 43.8


def no_actions(space):
    return [None, "0", np.zeros(7), *([np.nan, space.n, -1, 0.5, [0]] if hasattr(space, "n") else [0.5])]


@pytest.mark.parametrize("env_id", IDS)
def test_what_is_no_action_is_refused_and_changes_nothing(env_id):
    """Numpy would take -1 for the last action, and 0.5 for none that is ever correct."""
    env = gym.make(env_id).unwrapped
    env.reset(seed=0)
    before = env.get_state()
    for action in no_actions(env.action_space):
        with pytest.raises(ValueError, match="action"):
            env.step(action)
    assert env.get_state() == before


def test_the_state_of_another_kind_or_size_is_refused():
    maze, rope = gym.make("ilrl/GridMaze-v0").unwrapped, gym.make("ilrl/Tightrope-v0").unwrapped
    large, long = gym.make("ilrl/GridMaze-v0", size=20).unwrapped, gym.make("ilrl/Tightrope-v0", length=150).unwrapped
    for env in (maze, rope, large, long):
        env.reset(seed=0)
    with pytest.raises(ValueError, match="GridMazeEnv"):
        maze.set_state(rope.get_state())
    with pytest.raises(ValueError, match="TightropeEnv"):
        rope.set_state(0)
    for env, other in ((maze, large), (rope, long)):
        state = other.get_state()
        state["cell"] = 149
        other.set_state(state)
        with pytest.raises(ValueError, match="cell"):
            env.set_state(state)
