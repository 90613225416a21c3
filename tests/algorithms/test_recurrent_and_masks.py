"""Policies with a memory and policies with action masks."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_maskable
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from gym_ilrl import BC, DAgger, Demonstrations, collect
from gym_ilrl.supervised.minibatches import cut_windows
from gym_ilrl.supervised.training_set import Labels, TrainingSet


class RememberFirst(gym.Env):
    """The first observation says which action to take in all six steps; the others are zero."""

    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.secret, self.clock = int(self.np_random.integers(2)), 0
        return np.array([2 * self.secret - 1], dtype=np.float32), {}

    def step(self, action):
        self.clock += 1
        return np.zeros(1, dtype=np.float32), float(action == self.secret), self.clock == 6, False, {}


class Remembering:
    """The expert: its memory is the secret."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        seen = (observation[:, 0] > 0).astype(int)
        memory = seen if state is None else np.where(episode_start, seen, state[0])
        return memory, (memory,)


LSTM = {"base": RecurrentPPO, "learning_rate": 0.02, "sequence_length": 6, "batch_size": 48, "seed": 0}
SMALL = {"policy_kwargs": {"net_arch": [], "lstm_hidden_size": 8, "enable_critic_lstm": False, "shared_lstm": True}}


def test_recurrent_policy_learns_to_remember(algorithm):
    env = make_vec_env(RememberFirst, 2, seed=0)
    if algorithm is BC:
        demos = collect(Remembering(), env, n_episodes=20, seed=0)
        model = BC("MlpLstmPolicy", env, demonstrations=demos, **LSTM, **SMALL).learn(100)
    else:
        options = {"expert": Remembering(), "n_steps": 60, "n_epochs": 20, "patience": None}
        model = DAgger("MlpLstmPolicy", env, **options, **LSTM, **SMALL).learn(480)
    assert evaluate_policy(model, make_vec_env(RememberFirst, 1, seed=5), 20) == (6, 0)
    agent = model.to(RecurrentPPO, n_steps=12, batch_size=12)
    assert evaluate_policy(agent, make_vec_env(RememberFirst, 1, seed=5), 20) == (6, 0)
    agent.learn(24)


@pytest.mark.parametrize("length", [1, 3, 4, 100])
def test_windows_hold_every_label_once_and_never_two_episodes(length):
    lengths = [5, 1, 8, 3]
    starts = np.zeros(17, dtype=bool)
    starts[np.cumsum([0, *lengths[:-1]])] = True
    policy = BC("MlpPolicy", RememberFirst()).policy
    training_set = TrainingSet(policy)
    training_set.extend(Labels(np.zeros((17, 1), np.float32), np.zeros(17, int), starts))
    part = th.tensor([i for i in range(17) if i not in range(6, 14)])  # the episode of eight is held out
    first, n = cut_windows(training_set, part, length)
    covered = [list(range(begin, begin + size)) for begin, size in zip(first.tolist(), n.tolist(), strict=True)]
    assert sorted(index for window in covered for index in window) == part.tolist()
    episode = np.repeat(np.arange(4), lengths)
    assert all(len(set(episode[window])) == 1 and len(window) <= length for window in covered)
    batch = training_set.sequences(first, n)
    assert batch.valid.sum() == len(part)
    assert batch.n_sequences == len(first)


class Gates(gym.Env):
    """Two of four actions are allowed in each step, and the observation names the better one of them."""

    observation_space, action_space = spaces.Box(0, 1, (4,)), spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock = 0
        return self._draw(), {}

    def step(self, action):
        assert self.allowed[action]
        reward, self.clock = float(action == self.best), self.clock + 1
        return self._draw(), reward, self.clock == 5, False, {}

    def _draw(self):
        self.best, other = self.np_random.permutation(4)[:2]
        self.allowed = np.isin(np.arange(4), [self.best, other])
        return np.eye(4, dtype=np.float32)[self.best]

    def action_masks(self):
        return self.allowed


def best_gate(observations):
    return observations.argmax(axis=1)


@pytest.fixture
def gates():
    return make_vec_env(Gates, 2, seed=0)


@pytest.fixture
def masked_demos(gates):
    return collect(best_gate, gates, n_episodes=10, seed=0, infos=["action_masks"])


def test_maskable_policy(algorithm, gates, masked_demos):
    options = {"base": MaskablePPO, "learning_rate": 0.02, "seed": 0}
    if algorithm is BC:
        model = BC("MlpPolicy", gates, demonstrations=masked_demos, **options).learn(60)
    else:
        model = DAgger("MlpPolicy", gates, expert=best_gate, n_steps=50, n_epochs=15, **options).learn(200)
        assert model._training_set._columns["action_masks"].values.sum(dim=1).unique().tolist() == [2]
    assert evaluate_maskable(model, make_vec_env(Gates, 1, seed=5), 10) == (5, 0)
    agent = model.to(MaskablePPO, n_steps=10, batch_size=10)
    assert evaluate_maskable(agent, make_vec_env(Gates, 1, seed=5), 10) == (5, 0)
    agent.learn(20)


def test_maskable_policy_draws_what_is_allowed(gates):
    model = BC("MlpPolicy", gates, base=MaskablePPO)
    masks = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(model.predict(np.eye(4, dtype=np.float32), action_masks=masks)[0], np.arange(4))


def test_maskable_policy_needs_masks_in_the_demonstrations(algorithm, gates):
    plain = collect(best_gate, gates, n_episodes=2)
    teacher = {"expert": best_gate} if algorithm is DAgger else {}
    with pytest.raises(ValueError, match=r"infos\['action_masks'\]"):
        algorithm("MlpPolicy", gates, base=MaskablePPO, demonstrations=plain, **teacher).learn(10)


def test_masks_need_an_environment_that_gives_them():
    env = make_vec_env(RememberFirst)
    with pytest.raises(ValueError, match="no action_masks"):
        DAgger("MlpPolicy", env, expert=lambda obs: np.zeros(len(obs), int), base=MaskablePPO).learn(10)


def test_masks_are_no_matter_for_other_policies(algorithm, gates, masked_demos):
    """The demonstrations have masks, the labels of DAgger's rounds have none."""
    if algorithm is BC:
        BC("MlpPolicy", gates, demonstrations=masked_demos).learn(10)
    else:
        act = AllowAll(gates)
        DAgger("MlpPolicy", act.env, expert=best_gate, demonstrations=masked_demos, n_steps=10).learn(40)


class AllowAll:
    """Gates that open to anything."""

    def __init__(self, venv):
        class Open(Gates):
            def step(self, action):
                self.allowed[:] = True
                return super().step(action)

        self.env = make_vec_env(Open, venv.num_envs, seed=0)


def test_maskable_expert_is_told_what_is_allowed(gates):
    """An untrained maskable expert: its labels are allowed only if it sees the masks."""
    teacher = MaskablePPO("MlpPolicy", gates, n_steps=10, seed=0)
    model = DAgger("MlpPolicy", gates, expert=teacher, n_steps=40, n_epochs=1, beta_schedule=lambda i: 1.0)
    assert model.learn(80).n_labels == 80  # the environment asserts that they are allowed


def test_resumed_maskable_run(gates, tmp_path):
    options = {"expert": best_gate, "base": MaskablePPO, "n_steps": 10, "n_epochs": 1, "checkpoint_dir": tmp_path}
    DAgger("MlpPolicy", gates, **options).learn(20)
    resumed = DAgger("MlpPolicy", gates, **options).learn(40)
    assert resumed.n_labels == 40
    assert resumed._training_set._columns["action_masks"].values.sum(dim=1).unique().tolist() == [2]


def test_forbidden_action_is_refused(gates):
    infos = {"action_masks": [np.array([[True, False, True, True]] * 2)]}
    pair = (Gates.observation_space, Gates.action_space)
    demos = Demonstrations.from_arrays([np.zeros((2, 4), np.float32)], [np.array([1])], pair, infos=infos)
    with pytest.raises(ValueError, match="forbidden by their own action masks"):
        BC("MlpPolicy", gates, base=MaskablePPO, demonstrations=demos).learn(1)
