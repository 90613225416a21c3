"""Collecting: against a loop over one environment written by hand, and without bias to short episodes."""

import sys

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env as sb3_make_vec_env
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from gym_ilrl import collect
from gym_ilrl.data import Demonstrations
from gym_ilrl.experts.base import Expert, PrivilegedExpert


class TableEnv(gym.Env):
    """Episodes of the lengths in a table; the observation tells the environment, the episode and the step."""

    def __init__(self, lengths=(1,), number=0, truncate=False):
        self.lengths, self.number, self.truncate = lengths, number, truncate
        self.episode = -1
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = spaces.Discrete(4, start=1)

    def _observe(self):
        info = {"half": self.t / 2, "masks": np.arange(4) == self.t % 4}
        return np.array([self.number, self.episode, self.t], np.float32), info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.t = self.episode + 1, 0
        return self._observe()

    def step(self, action):
        self.t += 1
        over = self.t == self.lengths[self.episode % len(self.lengths)]
        observation, info = self._observe()
        return observation, 10.0 * self.episode + self.t, over and not self.truncate, over and self.truncate, info

    def action_masks(self):
        return np.arange(4) != self.t % 4


def table_venv(tables, **kwargs):
    return DummyVecEnv([lambda i=i, table=table: TableEnv(table, i, **kwargs) for i, table in enumerate(tables)])


def one(observations):
    return np.ones(len(observations), int)


def who_and_when(demos):
    """Return (environment, episode) of each episode, having checked that every step is there once and in order."""
    for episode in demos:
        assert episode.observations[:, 2].tolist() == list(range(len(episode) + 1))
        assert len(np.unique(episode.observations[:, :2], axis=0)) == 1
        assert episode.rewards.tolist() == [10 * episode.observations[0, 1] + t for t in range(1, len(episode) + 1)]
    return [tuple(episode.observations[0, :2].astype(int)) for episode in demos]


# ---- which episodes


def test_quota_takes_the_first_episodes_of_each_environment():
    demos = collect(one, table_venv([(1,), (9,), (30, 2)]), n_episodes=8)
    assert who_and_when(demos) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2), (1, 2)]
    assert demos.episode_lengths.tolist() == [1, 9, 30, 1, 9, 2, 1, 9]
    assert who_and_when(collect(one, table_venv([(3,)] * 4), n_episodes=2)) == [(0, 0), (1, 0)]


def test_timesteps_finish_every_episode_that_was_started():
    """Three environments, 12 steps: after 4 steps of each nothing new is begun."""
    demos = collect(one, table_venv([(1,), (3,), (50,)]), n_timesteps=12)
    assert who_and_when(demos) == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (0, 2), (0, 3)]
    assert demos.n_transitions == 4 * 1 + 2 * 3 + 50
    assert collect(one, table_venv([(5,)]), n_timesteps=5).n_transitions == 5
    assert collect(one, table_venv([(5,)]), n_timesteps=6).n_transitions == 10


class CoinEnv(TableEnv):
    """Episodes of 1 or 20 steps, by a fair coin."""

    def reset(self, *, seed=None, options=None):
        result = super().reset(seed=seed)
        self.lengths = (int(self.np_random.choice([1, 20])),)
        return result


@pytest.mark.parametrize("amount", [{"n_episodes": 8}, {"n_timesteps": 60}])
def test_short_episodes_are_not_favoured(amount):
    """Half of the episodes are long, in the mean over many collections (Wald: E[long] = E[episodes] / 2)."""
    n_long = n_all = 0
    venv = DummyVecEnv([CoinEnv] * 8)
    for seed in range(150):
        lengths = collect(one, venv, **amount, seed=1000 * seed).episode_lengths
        n_long, n_all = n_long + (lengths == 20).sum(), n_all + len(lengths)
    assert abs(n_long / n_all - 0.5) < 4 * 0.5 / np.sqrt(n_all)


# ---- what is recorded


@pytest.mark.parametrize("truncate", [False, True])
def test_ends_are_told_apart_and_final_observations_kept(truncate):
    demos = collect(one, table_venv([(2, 3)], truncate=truncate), n_episodes=2)
    last = [False, True, False, False, True]
    assert demos.truncations.tolist() == [truncate and end for end in last]
    assert demos.terminations.tolist() == [end and not truncate for end in last]
    assert demos.observations[:, 2].tolist() == [0, 1, 2, 0, 1, 2, 3]


def run_by_hand(model, env, n_episodes, seed):
    """The loop everyone writes, over one environment."""
    episodes = []
    for i in range(n_episodes):
        observation, _ = env.reset(seed=seed if i == 0 else None)
        observations, actions, rewards, ended, state, start = [observation], [], [], False, None, np.ones(1, bool)
        while not ended:
            action, state = model.predict(observation[None], state, start, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action[0])
            ended, start = terminated or truncated, np.zeros(1, bool)
            observations.append(observation)
            actions.append(action[0])
            rewards.append(np.float32(reward))
        episodes.append(
            {
                "observations": np.stack(observations),
                "actions": np.stack(actions),
                "rewards": np.array(rewards),
                "terminations": np.arange(len(actions)) == (len(actions) - 1 if terminated else -1),
                "truncations": np.arange(len(actions)) == (len(actions) - 1 if truncated else -1),
            }
        )
    return Demonstrations.from_episodes(episodes, env)


def small():
    return {"policy_kwargs": {"net_arch": [8]}, "seed": 0}


@pytest.mark.parametrize(
    ("make", "env_id"),
    [
        (lambda env: PPO("MlpPolicy", env, **small()), "CartPole-v1"),
        (lambda env: PPO("MlpPolicy", env, use_sde=True, **small()), "Pendulum-v1"),
        (lambda env: A2C("MlpPolicy", env, **small()), "Pendulum-v1"),
        (lambda env: SAC("MlpPolicy", env, **small()), "Pendulum-v1"),
        (lambda env: TD3("MlpPolicy", env, **small()).policy, "Pendulum-v1"),
        (lambda env: DQN("MlpPolicy", env, **small()), "CartPole-v1"),
        (lambda env: RecurrentPPO("MlpLstmPolicy", env, n_steps=8, batch_size=8, seed=0), "CartPole-v1"),
    ],
)
def test_agrees_with_a_loop_over_one_environment(make, env_id):
    env = gym.make(env_id, max_episode_steps=30)
    model = make(env)
    demos = collect(model, env, n_episodes=2, seed=3)
    by_hand = run_by_hand(model, gym.make(env_id, max_episode_steps=30), 2, 3)
    assert demos.episode_lengths.tolist() == by_hand.episode_lengths.tolist()
    for name in ("observations", "actions", "rewards", "terminations", "truncations"):
        np.testing.assert_array_equal(getattr(demos, name), getattr(by_hand, name))
    assert demos.spec.id == env_id
    assert demos.spec.max_episode_steps == 30


def test_policy_is_asked_with_its_state_and_the_starts_of_episodes():
    class Counting:
        """Its action is how many steps it remembers of this episode (at most 4)."""

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            count = np.where(episode_start, 0, 0 if state is None else state[0] + 1)
            return np.minimum(count, 3) + 1, (count,)

    demos = collect(Counting(), table_venv([(2,), (4,)]), n_episodes=4)
    assert [episode.actions.tolist() for episode in demos] == [[1, 2], [1, 2, 3, 4], [1, 2], [1, 2, 3, 4]]


def test_normalised_environments_are_recorded_raw_and_left_alone():
    def make():
        return DummyVecEnv([lambda: gym.make("Pendulum-v1", max_episode_steps=20)] * 2)

    normalised = VecNormalize(make())
    model = PPO("MlpPolicy", normalised, n_steps=32, batch_size=64, seed=0).learn(64)
    mean, count = normalised.obs_rms.mean.copy(), normalised.obs_rms.count
    demos = collect(model, normalised, n_episodes=2, seed=0)
    assert (normalised.obs_rms.mean == mean).all()
    assert normalised.obs_rms.count == count

    def by_hand(observations):
        scaled = (observations - mean) / np.sqrt(normalised.obs_rms.var + normalised.epsilon)
        return model.predict(np.clip(scaled, -10, 10).astype(np.float32), deterministic=True)[0]

    expected = collect(by_hand, make(), n_episodes=2, seed=0)
    np.testing.assert_allclose(demos.observations, expected.observations, atol=1e-5)
    np.testing.assert_allclose(demos.rewards, expected.rewards, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(demos.observations[:, :2], axis=1), 1, atol=1e-5)  # cos and sin, raw
    demos.check_compatible(normalised)
    with pytest.raises(ValueError, match="normalised by VecNormalize and the environment gives raw"):
        collect(model, make(), n_episodes=1)
    assert len(collect(model, VecMonitor(normalised), n_episodes=1)) == 1
    with pytest.raises(ValueError, match="put VecNormalize"):
        collect(one, VecFrameStack(normalised, 2), n_episodes=1)


class PictureEnv(TableEnv):
    """Draws the step into an image, alone or in a Dict."""

    def __init__(self, as_dict=False):
        super().__init__((3,))
        self.as_dict = as_dict
        image = spaces.Box(0, 255, (36, 36, 3), np.uint8)
        vector = spaces.Box(-1, 1, (2,), np.float64)
        self.observation_space = spaces.Dict(image=image, vector=vector) if as_dict else image
        self.action_space = spaces.Discrete(4)

    def _observe(self):
        image = np.full((36, 36, 3), 40 * self.t, np.uint8)
        image[0] = np.array([1, 2, 3])
        return ({"image": image, "vector": np.full(2, self.t / 7)} if self.as_dict else image), {}


def test_images_are_recorded_as_the_environment_gives_them():
    model = PPO("CnnPolicy", PictureEnv(), n_steps=8, batch_size=8, seed=0)
    assert isinstance(model.get_env(), VecTransposeImage)
    for env in (model.get_env(), PictureEnv()):
        demos = collect(model, env, n_episodes=2)
        assert demos.observations.dtype == np.uint8
        assert demos.observations.shape == (8, 36, 36, 3)
        assert demos.observations[:, 5, 5, 0].tolist() == [0, 40, 80, 120] * 2
        demos.check_compatible(model.get_env())


def test_dict_observations():
    model = PPO("MultiInputPolicy", PictureEnv(True), n_steps=8, batch_size=8, seed=0)
    demos = collect(model, PictureEnv(True), n_episodes=2)
    assert demos.observations["image"].shape == (8, 36, 36, 3)
    assert demos.observations["vector"][:, 0].tolist() == [t / 7 for t in range(4)] * 2
    assert demos.observations["vector"].dtype == np.float64


def test_infos_belong_to_their_observations():
    for venv in (table_venv([(2,), (3,)]), VecMonitor(table_venv([(2,), (3,)]))):
        demos = collect(one, venv, n_episodes=4, infos=["half", "masks"])
        assert demos.infos["half"].tolist() == (demos.observations[:, 2] / 2).tolist()
        assert demos.infos["masks"].argmax(1).tolist() == (demos.observations[:, 2] % 4).tolist()
    with pytest.raises(ValueError, match=r"infos='missing'.*\['half', 'masks'"):
        collect(one, table_venv([(2,)]), n_episodes=1, infos=["missing"])


def test_action_masks_are_used_and_kept():
    class Env(TableEnv):
        def __init__(self):
            super().__init__((6, 3))
            self.action_space = spaces.Discrete(4)

    model = MaskablePPO("MlpPolicy", Env(), n_steps=8, batch_size=8, seed=0)
    demos = collect(model, DummyVecEnv([Env, Env]), n_episodes=4, deterministic=False, seed=0)
    for episode in demos:
        masks = episode.infos["action_masks"]
        assert (masks[:-1] == (np.arange(4) != episode.observations[:-1, 2:] % 4)).all()
        assert masks[-1].all()
        assert masks[np.arange(len(episode)), episode.actions].all()
    assert collect(one, DummyVecEnv([Env]), n_episodes=1).infos is None
    assert "action_masks" in collect(one, DummyVecEnv([Env]), n_episodes=1, infos=["action_masks"]).infos


# ---- seeds, kinds of environments and policies


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_seed_repeats_everything_and_leaves_the_generators_alone(algorithm, deterministic):
    model = algorithm("MlpPolicy", "CartPole-v1", seed=0)
    model.exploration_rate = 0.5
    kwargs = {"n_timesteps": 60, "n_envs": 3, "deterministic": deterministic}
    th.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = th.rand(1), np.random.rand()  # noqa: NPY002
    th.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    first = collect(model, "CartPole-v1", seed=1, **kwargs)
    assert (th.rand(1), np.random.rand()) == expected  # noqa: NPY002
    assert collect(model, "CartPole-v1", seed=1, **kwargs) == first
    assert collect(model, "CartPole-v1", seed=2, **kwargs) != first
    assert first.metadata["policy"] == algorithm.__name__
    assert first.metadata["seed"] == 1


def test_native_and_sb3_environments_give_the_same():
    class Straight(Expert):
        def act(self, observations):
            n = len(next(iter(observations.values())) if isinstance(observations, dict) else observations)
            return np.zeros((n, *self.action_space.shape), self.action_space.dtype)

    env = gym.make("ilrl/LaneKeeping-v0")
    policy = Straight(env.observation_space, env.action_space)
    venv = DummyVecEnv([lambda: gym.make("ilrl/LaneKeeping-v0")] * 3)
    native = collect(policy, "ilrl/LaneKeeping-v0", n_episodes=5, n_envs=3, seed=0)
    stepped = collect(policy, venv, n_episodes=5, seed=0)
    np.testing.assert_array_equal(native.observations, stepped.observations)
    np.testing.assert_array_equal(native.rewards, stepped.rewards)
    assert native.spec.id == stepped.spec.id == "ilrl/LaneKeeping-v0"


@pytest.mark.parametrize("env_id", ["CartPole-v1", "gym_ilrl:ilrl/LaneKeeping-v0"])
def test_spec_remakes_the_environment_without_monitor_and_renderer(env_id):
    def sampled(observations):
        return np.stack([space.sample() for _ in observations])

    space = gym.make(env_id).action_space
    plain = gym.make(env_id).spec
    for env in (env_id, sb3_make_vec_env(env_id, 2), gym.make(env_id, render_mode="rgb_array")):
        demos = collect(sampled, env, n_episodes=1)
        assert demos.spec == plain
        assert gym.make(demos.spec).render_mode is None


def test_subprocess_environments():
    venv = SubprocVecEnv([lambda i=i: TableEnv((i + 1,), i) for i in range(2)], start_method="fork")
    demos = collect(one, venv, n_episodes=4, infos=["half"])
    assert who_and_when(demos) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert demos.infos["half"].tolist() == (demos.observations[:, 2] / 2).tolist()
    venv.close()


def test_experts_are_bound_to_the_environments():
    class Knows(PrivilegedExpert):
        def act_on_state(self, privileged_states):
            return privileged_states[:, 0].astype(int) % 4 + 1

    class Env(TableEnv):
        def privileged_state(self):
            return np.array([self.t + 1.0])

    expert = Knows(Env().observation_space, Env().action_space)
    demos = collect(expert, VecMonitor(DummyVecEnv([Env, Env])), n_episodes=2)
    assert (demos.actions == (demos.transitions().observations[:, 2] + 1) % 4 + 1).all()


def test_actions_are_recorded_as_executed():
    class Env(TableEnv):
        def __init__(self):
            super().__init__((2,))
            self.action_space = spaces.Box(-1, 1, (1,), np.float32)

        def step(self, action):
            assert action.dtype == np.float32
            return super().step(action)

    demos = collect(lambda observations: np.full((len(observations), 1), 0.1), DummyVecEnv([Env]), n_episodes=1)
    assert demos.actions.dtype == np.float32


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, "either n_episodes or n_timesteps"),
        ({"n_episodes": 1, "n_timesteps": 1}, "either n_episodes or n_timesteps"),
        ({"n_episodes": 0}, "n_episodes=0"),
        ({"n_episodes": 1, "n_envs": 0}, "n_envs=0"),
        ({"n_timesteps": -3}, "n_timesteps=-3"),
        ({"n_timesteps": 1.5}, r"n_timesteps=1\.5"),
        ({"n_episodes": 1, "n_envs": 3}, "n_envs=3"),
        ({"n_episodes": 1, "policy": 3}, "neither"),
        ({"n_episodes": 1, "env": 3}, "expected an environment id"),
        ({"n_episodes": 1, "policy": lambda observations: np.zeros(2, int)}, r"outside Discrete\(4, start=1\)"),
        ({"n_episodes": 1, "policy": lambda observations: np.ones(1, int)}, "1 actions for a batch of 2"),
        ({"n_episodes": 1, "policy": lambda observations: np.ones((2, 1), int)}, "shape"),
        ({"n_episodes": 1, "policy": lambda observations: np.ones(2)}, "cannot become the int64"),
        ({"n_episodes": 1, "policy": A2C("MlpPolicy", TableEnv(), seed=0)}, "outside"),  # SB3 counts from 0
        ({"n_episodes": 1, "env": gym.make("Blackjack-v1")}, "observation space Tuple"),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        collect(**{"policy": one, "env": table_venv([(1,), (2,)]), **kwargs})


def test_progress_bar(capsys, monkeypatch):
    collect(one, table_venv([(2,), (3,)]), n_episodes=3, progress_bar=True)
    assert "3/3" in capsys.readouterr().err
    collect(one, table_venv([(2,), (3,)]), n_episodes=3)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"gym-ilrl\[progress\]"):
        collect(one, table_venv([(2,)]), n_episodes=1, progress_bar=True)


class InfoEnv(TableEnv):
    """Episodes of three steps, whose info ``value`` is one of four, by the step."""

    def __init__(self, values):
        super().__init__((3,))
        self.values = values

    def _observe(self):
        observation, info = super()._observe()
        return observation, {**info, "value": self.values[self.t]}


@pytest.mark.parametrize("values", [(0, 0.5, 1, 2), (0, 1, 2, 2.5), (False, 1, 2, 3), (False, True, True, 0.5)])
def test_an_info_that_changes_its_type_keeps_its_values(values):
    demos = collect(one, InfoEnv(values), n_episodes=1, infos=["value"])
    np.testing.assert_array_equal(demos.infos["value"], values)


@pytest.mark.parametrize("values", [([0, 0], 1, 1, 1), ([0, 0], [0, 0], [0, 0], 1), (1, [2, 3], 1, 1)])
def test_an_info_that_changes_its_shape_is_refused(values):
    with pytest.raises(ValueError, match="infos/value had shape"):
        collect(one, InfoEnv(values), n_episodes=1, infos=["value"])


def test_a_numpy_integer_is_a_seed():
    ours, theirs = (collect(one, TableEnv((3,)), n_episodes=1, seed=seed) for seed in (np.int64(7), 7))
    assert ours == theirs


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda observation: int(observation[2] > 0), r"batch of observations, here of shape \(1, 4\)"),
        (lambda observations: (np.zeros(len(observations), int), None), "pair"),
        ("model.zip", "load a saved model first"),
    ],
)
def test_a_policy_that_is_none_is_refused_with_the_fix(policy: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collect(policy, "CartPole-v1", n_episodes=1)


def test_a_seed_with_a_fraction_is_refused() -> None:
    with pytest.raises(TypeError, match="integer"):
        collect(lambda observations: np.zeros(len(observations), int), "CartPole-v1", n_episodes=1, seed=1.5)


class Switches(gym.Env):
    """Two switches, one step."""

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = spaces.MultiBinary(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), float(np.sum(action)), True, False, {}


@pytest.mark.parametrize("deterministic", [True, False])
def test_binary_actions_which_sb3_samples_as_floats(deterministic):
    model = PPO("MlpPolicy", Switches(), n_steps=8, batch_size=8, device="cpu", seed=0)
    assert model.predict(np.zeros(1, np.float32))[0].dtype == np.float32
    demos = collect(model, Switches(), n_episodes=20, seed=0, deterministic=deterministic)
    assert demos.actions.dtype == np.int8
    np.testing.assert_array_equal(demos.actions.sum(axis=1), demos.rewards)
    assert deterministic or 0 < demos.actions.mean() < 1
    given = collect(lambda observations: np.full((len(observations), 2), 1.0), Switches(), n_episodes=2)
    assert given.actions.all()
    with pytest.raises(ValueError, match="without loss"):
        collect(lambda observations: np.full((len(observations), 2), 0.5), Switches(), n_episodes=1)
