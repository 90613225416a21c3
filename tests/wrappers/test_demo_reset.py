"""Starting where a demonstration has been: the states are right, and the start moves as the rule says."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env

import gym_ilrl
from gym_ilrl import Demonstrations, collect, make_vec_env
from gym_ilrl.wrappers import DemoReset, RecordState
from gym_ilrl.wrappers.simulator_state import simulator

LENGTH = 12
SIMULATED = [  # without a version: the newest one that there is
    "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1",
    "FrozenLake-v1", "Taxi", "CliffWalking", "Hopper-v4", "Reacher-v4",
    "ilrl/GridMaze-v0", "ilrl/LaneKeeping-v0", "ilrl/Tightrope-v0", "ilrl/SparsePointMaze-v0",
]  # fmt: skip


class Chain(gym.Env):
    """One reward at the far end of a chain; a wrong action, of ten, leads back to the start."""

    def __init__(self, gives_success=False):
        self.gives_success = gives_success
        self.observation_space = spaces.Box(0, LENGTH, (1,), np.float32)
        self.action_space = spaces.Discrete(10)

    def observe(self):
        return np.array([self.cell], np.float32)

    def get_state(self):
        return np.array([self.cell], np.float64)

    def set_state(self, state):
        self.cell = int(state[0])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return self.observe(), {}

    def step(self, action):
        self.cell = self.cell + 1 if action == 3 else 0
        done = self.cell == LENGTH
        return self.observe(), float(done), done, False, {"is_success": done} if self.gives_success else {}


def chain_demonstrations(n_episodes=1, with_rewards=True):
    observations = np.arange(LENGTH + 1, dtype=np.float32)[:, None]
    rewards = (np.arange(LENGTH) == LENGTH - 1).astype(float)
    episode = {
        "observations": observations,
        "actions": np.full(LENGTH, 3),
        "terminations": np.arange(LENGTH) == LENGTH - 1,
        "infos": {"state": observations.astype(np.float64)},
    }
    if with_rewards:
        episode["rewards"] = rewards
    return Demonstrations.from_episodes([episode] * n_episodes, Chain())


def play(env, n_right, n_steps):
    """Reset, take ``n_right`` right actions and then wrong ones; return where the episode started."""
    observation, _ = env.reset()
    for step in range(n_steps):
        if any(env.step(3 if step < n_right else 0)[2:4]):
            break
    return int(observation[0])


@pytest.mark.parametrize("env_id", SIMULATED)
def test_a_state_that_was_read_and_set_replays_to_the_same_observations(env_id):
    env = RecordState(gym.make(env_id))
    env.action_space.seed(3)
    env.reset(seed=1)
    for _ in range(3):
        observation, *_, info = env.step(env.action_space.sample())
    state = info["state"].copy()
    assert state.ndim == 1
    assert state.dtype in (np.float64, np.uint8)
    chance = env.unwrapped.np_random.bit_generator.state
    actions = [env.action_space.sample() for _ in range(4)]
    future = [env.step(action)[0] for action in actions]

    if env_id.startswith("ilrl/"):  # the random numbers of an episode are keyed: the same key, so the same seed
        env.reset(seed=1)
    else:
        env.reset(seed=9)
    env.unwrapped.np_random.bit_generator.state = chance
    simulated = simulator(env)
    simulated.set_state(state)
    np.testing.assert_allclose(simulated.observe(), observation, atol=1e-4)  # MuJoCo's sites lag a little
    for action, expected in zip(actions, future, strict=True):
        np.testing.assert_allclose(env.step(action)[0], expected, atol=1e-4)


def test_each_episode_meets_its_own_chance():
    env = gym.make("ilrl/Tightrope-v0")
    env.reset(seed=0)
    state = simulator(env).get_state()
    env.reset()
    key = env.unwrapped.get_state()["key"]
    simulator(env).set_state(state)
    assert env.unwrapped.get_state()["key"] == key


@pytest.mark.parametrize("env_id", ["CartPole-v1", "ilrl/GridMaze-v0", "Reacher-v4"])
def test_starts_are_the_states_of_recorded_demonstrations(env_id):
    demos = collect(gym_ilrl.expert(env_id), RecordState(gym.make(env_id)), n_episodes=3, seed=0, infos=["state"])
    env = DemoReset(gym.make(env_id), demos, curriculum="uniform", demo_probability=1.0)
    begins = demos.offsets[:-1] + np.arange(3)
    env.reset(seed=0)
    for _ in range(20):
        observation, info = env.reset()
        steps_left = info["demo_reset/steps_left"]
        candidates = [
            demos.observations[begin + length - steps_left]
            for begin, length in zip(begins, demos.episode_lengths, strict=True)
            if steps_left <= length
        ]
        assert any(np.allclose(observation, candidate, atol=1e-3) for candidate in candidates)
        assert env.observation_space.contains(observation)


def test_the_start_moves_back_when_success_comes():
    env = DemoReset(Chain(), chain_demonstrations(), step_back=2, window=4, success_threshold=0.5, demo_probability=1)
    env.reset(seed=0)
    starts = [play(env, n_right=LENGTH, n_steps=LENGTH) for _ in range(4)]
    assert set(starts) <= {LENGTH - 1, LENGTH - 2}
    env.reset()
    assert env.distance == 4
    starts = [play(env, n_right=0, n_steps=1) for _ in range(3)] + [play(env, LENGTH, LENGTH)]
    assert set(starts) <= {LENGTH - 3, LENGTH - 4}
    assert env.distance == 4  # one of four is too few
    play(env, LENGTH, LENGTH)
    env.reset()
    assert env.distance == 6  # two of the last four
    for _ in range(40):
        play(env, LENGTH, LENGTH)
    assert env.distance == LENGTH
    assert {play(env, LENGTH, LENGTH) for _ in range(20)} == {0, 1}


def test_resets_without_a_step_do_not_count():
    env = DemoReset(Chain(), chain_demonstrations(), window=1, success_threshold=0.0, demo_probability=1.0)
    for _ in range(5):
        env.reset(seed=0)
    assert env.distance == 5


def test_usual_starts_come_as_often_as_asked_and_do_not_count():
    env = DemoReset(Chain(), chain_demonstrations(), demo_probability=0.25, success_threshold=1.0)
    env.reset(seed=0)
    usual = [env.reset()[1]["demo_reset/steps_left"] == -1 for _ in range(2000)]
    assert np.mean(usual) == pytest.approx(0.75, abs=0.04)  # four standard deviations
    never = DemoReset(Chain(), chain_demonstrations(), demo_probability=0.0, window=1, success_threshold=0.0)
    assert {play(never, LENGTH, LENGTH) for _ in range(5)} == {0}
    assert never.distance == 5


def test_seeds_repeat_the_starts():
    def starts(seed):
        env = DemoReset(Chain(), chain_demonstrations(), curriculum="uniform")
        env.reset(seed=seed)
        return [int(env.reset()[0][0]) for _ in range(10)]

    assert starts(1) == starts(1) != starts(2)


def test_uniform_starts_at_every_transition_equally_often():
    env = DemoReset(Chain(), chain_demonstrations(2), curriculum="uniform", demo_probability=1.0)
    env.reset(seed=0)
    counts = np.bincount([int(env.reset()[0][0]) for _ in range(2400)], minlength=LENGTH + 1)
    assert counts[LENGTH] == 0  # nothing is left to do there
    assert np.abs(counts[:LENGTH] - 200).max() < 4 * np.sqrt(200)


@pytest.mark.parametrize("outside", [True, False])
def test_works_on_both_sides_of_a_time_limit(outside):
    demos = chain_demonstrations()
    if outside:
        env = DemoReset(TimeLimit(Chain(), 6), demos, window=2, success_threshold=1.0, demo_probability=1.0)
    else:
        env = TimeLimit(DemoReset(Chain(), demos, window=2, success_threshold=1.0, demo_probability=1.0), 6)
    wrapper = env if outside else env.env
    for _ in range(4):
        play(env, n_right=0, n_steps=6)
    env.reset()
    assert wrapper.distance == 5  # cut off, so failed
    for _ in range(4):
        play(env, LENGTH, LENGTH)
    env.reset()
    assert wrapper.distance > 5


def test_success_is_what_the_environment_says_or_else_the_return():
    without_rewards = chain_demonstrations(with_rewards=False)
    said = DemoReset(Chain(gives_success=True), without_rewards, window=1, success_threshold=1.0, demo_probability=1.0)
    play(said, LENGTH, LENGTH)
    said.reset()
    assert said.distance == 10
    silent = DemoReset(Chain(), without_rewards, demo_probability=1.0)
    play(silent, LENGTH, LENGTH)
    with pytest.raises(ValueError, match="what a success is"):
        silent.reset()


def test_returns_below_zero_are_compared_as_magnitudes():
    demos = chain_demonstrations()
    env = DemoReset(Chain(), demos, return_tolerance=0.1)
    env._returns_to_go = np.full(LENGTH, -10.0)
    assert env._succeeded(0, {}, -10.9)
    assert not env._succeeded(0, {}, -11.1)


def random_successes(env, n_steps):
    """Act at random; return the successes, and learn nothing."""
    env.action_space.seed(0)
    env.reset(seed=0)
    successes = 0
    for _ in range(n_steps):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        successes += reward > 0
        if terminated or truncated:
            env.reset()
    return successes


def learn_a_table(env, n_steps):
    """Tabular Q-learning; return the greedy policy's cells that act right, counted from the end."""
    generator = np.random.default_rng(0)
    q = np.zeros((LENGTH + 1, 10))
    observation, _ = env.reset(seed=0)
    for _ in range(n_steps):
        cell = int(observation[0])
        best = np.flatnonzero(q[cell] == q[cell].max())
        action = int(generator.integers(10)) if generator.random() < 0.1 else int(generator.choice(best))
        observation, reward, terminated, truncated, _ = env.step(action)
        target = reward + (0.0 if terminated else 0.95 * q[int(observation[0])].max())
        q[cell, action] += 0.5 * (target - q[cell, action])
        if terminated or truncated:
            observation, _ = env.reset()
    return int((q[:LENGTH].argmax(axis=1) == 3).sum())


def test_what_random_exploration_never_solves_is_solved_backwards():
    """A random walk reaches the end with probability 1e-12 an attempt."""
    limit = 30
    assert random_successes(TimeLimit(Chain(), limit), 5_000) == 0
    assert learn_a_table(TimeLimit(Chain(), limit), 20_000) <= 1  # argmax of zeros is action 0
    env = DemoReset(TimeLimit(Chain(), limit), chain_demonstrations(), step_back=1, demo_probability=1.0)
    assert learn_a_table(env, 20_000) == LENGTH
    assert env.distance == LENGTH


def test_works_in_sb3_vec_envs():
    env_id = "ilrl/GridMaze-v0"
    demos = collect(gym_ilrl.expert(env_id), RecordState(gym.make(env_id)), n_episodes=2, seed=0, infos=["state"])
    kwargs = {"demonstrations": demos, "demo_probability": 1.0, "step_back": 1}
    venv = make_vec_env(env_id, n_envs=2, seed=0, wrapper_class=DemoReset, wrapper_kwargs=kwargs)
    assert venv.get_attr("distance") == [1, 1]
    observations = venv.reset()
    ends = demos.offsets[1:] + np.arange(2)  # rows of the final observations
    for observation in observations:
        assert any(np.array_equal(observation, demos.observations[end - 1]) for end in ends)
    PPO("MlpPolicy", venv, n_steps=32, n_epochs=1, batch_size=32).learn(64)


def test_observations_that_are_states_need_no_recorded_ones():
    demos = collect(gym_ilrl.expert("CartPole-v1"), "CartPole-v1", n_episodes=1, seed=0)
    with pytest.raises(ValueError, match=r"no infos\['state'\]"):
        DemoReset(gym.make("CartPole-v1"), demos)
    env = DemoReset(gym.make("CartPole-v1"), demos, demo_probability=1.0, state_of=np.array)
    observation, info = env.reset(seed=0)
    np.testing.assert_allclose(observation, demos.observations[-1 - info["demo_reset/steps_left"]])
    maze = collect(gym_ilrl.expert("ilrl/SparsePointMaze-v0"), "ilrl/SparsePointMaze-v0", n_episodes=1, seed=0)
    env = DemoReset(gym.make("ilrl/SparsePointMaze-v0"), maze, demo_probability=1.0, state_of=np.array)
    observation, info = env.reset(seed=0)
    np.testing.assert_array_equal(observation, maze.observations[-1 - info["demo_reset/steps_left"]])


class Doubled(gym.ObservationWrapper):
    def observation(self, observation):
        return 2 * observation


class Stacked(gym.Wrapper):
    """Adds the previous observation, which no state of the simulator tells."""

    def reset(self, **kwargs):
        observation, info = self.env.reset(**kwargs)
        return np.concatenate([observation, observation]), info


def test_wrappers_inside_are_followed_or_refused():
    env = DemoReset(Doubled(Chain()), chain_demonstrations(), demo_probability=1.0)
    observation, info = env.reset(seed=0)
    assert observation[0] == 2 * (LENGTH - info["demo_reset/steps_left"])
    with pytest.raises(ValueError, match="put DemoReset inside"):
        DemoReset(Stacked(Chain()), chain_demonstrations()).reset()


def test_infos_belong_to_the_state():
    env_id = "ilrl/LaneKeeping-v0"
    recording = RecordState(gym.make(env_id))
    demos = collect(gym_ilrl.expert(env_id), recording, 1, seed=0, infos=["state", "lateral_error"])
    _, info = DemoReset(gym.make(env_id), demos, demo_probability=1.0).reset(seed=5)
    assert info["lateral_error"] == demos.infos["lateral_error"][-1 - info["demo_reset/steps_left"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curriculum": "forward"}, "curriculum must be"),
        ({"demo_probability": 1.5}, "demo_probability must be"),
        ({"step_back": 0}, "step_back must be"),
        ({"window": 2.5}, "window must be"),
        ({"success_threshold": -0.1}, "success_threshold must be"),
        ({"return_tolerance": -1}, "return_tolerance must be"),
        ({"demonstrations": None}, "needs demonstrations"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DemoReset(Chain(), **{"demonstrations": chain_demonstrations(), **arguments})


def test_environments_and_states_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="cannot be set"):
        RecordState(gym.make("Blackjack-v1"))
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="expected a state of CartPoleEnv"):
        simulator(env).set_state(np.zeros(3))
    lane = gym.make("ilrl/LaneKeeping-v0")
    lane.reset(seed=0)
    with pytest.raises(ValueError, match="expected a state of LaneKeeping"):
        simulator(lane).set_state(np.zeros(simulator(lane).get_state().shape))


def test_is_rebuilt_copied_and_pickled(tmp_path):
    demos = collect(gym_ilrl.expert("CartPole-v1"), RecordState(gym.make("CartPole-v1")), 1, seed=0, infos=["state"])
    demos.save(tmp_path / "d.npz")
    env = DemoReset(gym.make("CartPole-v1"), str(tmp_path / "d.npz"))
    check_env(env, skip_render_check=True)
    assert isinstance(gym.make(EnvSpec.from_json(env.spec.to_json())), DemoReset)
    expected, _ = env.reset(seed=4)
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        np.testing.assert_array_equal(other.reset(seed=4)[0], expected)
        other.step(0)
        assert not np.array_equal(other.unwrapped.state, env.unwrapped.state)  # its own simulator
