"""Models and demonstrations for the tests of pretraining."""

from copy import deepcopy

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib import TQC
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback

from gym_ilrl import Demonstrations, collect, expert, imitation_loss
from gym_ilrl.callbacks import Pretrain
from gym_ilrl.losses.compat import CROSSQ_POLICIES
from gym_ilrl.supervised.training_set import TrainingSet, labels_of

th.set_num_threads(1)


SMALL = {"policy_kwargs": {"net_arch": [16]}, "seed": 0, "device": "cpu"}
ON_POLICY = {**SMALL, "n_steps": 16}
OFF_POLICY = {**SMALL, "learning_starts": 1000, "batch_size": 16, "buffer_size": 100}
ACTOR_CRITICS = [SAC, TD3, DDPG, TQC]
if CROSSQ_POLICIES:
    from sb3_contrib import CrossQ

    ACTOR_CRITICS.append(CrossQ)


class OneAction(gym.Env):
    """Two observations in turn, reward 1 for action 1 always, ten steps: the return to go depends on the time left."""

    def __init__(self, observation_space=None, action_space=None):
        self.observation_space = observation_space or spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = action_space or spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.clock = 0
        return self._observe(), {}

    def step(self, action):
        self.clock += 1
        return self._observe(), 1.0, self.clock == 10, False, {}

    def action_masks(self):
        return np.array([True, True])

    def _observe(self):
        if isinstance(self.observation_space, spaces.Box) and self.observation_space.shape == (1,):
            return np.array([self.clock / 10], dtype=np.float32)
        return self.observation_space.sample()


def always_one(observations):
    values = next(iter(observations.values())) if isinstance(observations, dict) else observations
    return np.ones(len(values), dtype=np.int64)


def demos_of(env, n_episodes=4):
    return collect(always_one, env, n_episodes=n_episodes, seed=0)


def one_step(actions, reward):
    return {
        "observations": np.zeros((2, 1), dtype=np.float32),
        "actions": actions,
        "rewards": np.array([reward]),
        "terminations": np.array([True]),
        "truncations": np.array([False]),
    }


class Observer(BaseCallback):
    """Calls a function at the training start, and stops at the first step."""

    def __init__(self, function=lambda model: None):
        super().__init__()
        self.function = function

    def _on_training_start(self):
        self.result = self.function(self.model)

    def _on_step(self):
        return False


def build(algorithm, env, policy="MlpPolicy", **kwargs):
    return algorithm(policy, env, **deepcopy({**kwargs}))


def pretrained(model, demos, **kwargs):
    """Run nothing but the pretraining: the training ends at its first step."""
    model.learn(1, callback=[Pretrain(demos, **kwargs), Observer()])
    return model


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def differ(before, after):
    assert before.keys() == after.keys()
    return {name for name in before if not th.equal(before[name], after[name])}


def batch_of(model, demos, gamma=None):
    labels = TrainingSet(model.policy, model.get_vec_normalize_env())
    labels.extend(labels_of(demos, gamma))
    return labels.batch(th.arange(len(labels)))


def loss_of(model, demos):
    with th.no_grad():
        return imitation_loss(model.policy, batch_of(model, demos)).item()


def demonstrations_by_environment() -> dict[str, Demonstrations]:
    return {
        "CartPole-v1": collect(expert("CartPole-v1"), "CartPole-v1", n_timesteps=200, seed=0),
        "Pendulum-v1": collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0),
    }
