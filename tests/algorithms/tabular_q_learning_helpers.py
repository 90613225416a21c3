"""Environments of one or two states, whose Q-values are known in closed form, and random processes."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from gym_ilrl.planning import TabularMDP


class Loop(gym.Env):
    """One state; every step pays ``rewards`` in turn. Numbered as its spaces say."""

    def __init__(self, rewards=(1.0,), ends=False, first_state=0, first_action=0, n_actions=1):
        self.observation_space = spaces.Discrete(1, start=first_state)
        self.action_space = spaces.Discrete(n_actions, start=first_action)
        self.rewards, self.ends, self.n_steps = rewards, ends, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return int(self.observation_space.start), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.n_steps += 1
        reward = self.rewards[(self.n_steps - 1) % len(self.rewards)]
        return int(self.observation_space.start), reward, self.ends, False, {}


class Lottery(gym.Env):
    """The one action of state 0 pays nothing and leads to state 1, whose ten actions pay N(0, 1) and end."""

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(10)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = 0
        return 0, {}

    def step(self, action):
        if self.state == 0:
            self.state = 1
            return 1, 0.0, False, False, {}
        return 1, self.np_random.normal(), True, False, {}


def random_mdp(seed, n_states=5, n_actions=3, gamma=0.9):
    """Every state can follow every other, and a step ends the episode with a chance below 0.3."""
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(n_states, 0.5), size=n_actions * n_states)
    ends = 0.3 * generator.random((n_actions, n_states))
    return TabularMDP(
        transitions * (1.0 - ends.reshape(-1, 1)), generator.normal(size=ends.shape), ending=ends, gamma=gamma
    )


def copies(make, n):
    return DummyVecEnv([make] * n)


class VecProcess(VecEnv):
    """Many copies of a process without a horizon, sampled together."""

    def __init__(self, mdp, num_envs):
        super().__init__(num_envs, spaces.Discrete(mdp.n_states), spaces.Discrete(mdp.n_actions))
        following = mdp.transitions.toarray().reshape(mdp.n_actions, mdp.n_states, -1)
        self.cumulative = np.concatenate([following, mdp.ending[..., None]], axis=2).cumsum(axis=2)
        self.initial, self.rewards = mdp.initial.cumsum(), mdp.rewards

    def seed(self, seed=None):
        self.generator = np.random.default_rng(seed)

    def draw(self, cumulative):
        return (cumulative <= self.generator.random((self.num_envs, 1)) * cumulative[..., -1:]).sum(axis=-1)

    def reset(self):
        self.states = self.draw(self.initial)
        return self.states

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        rewards = self.rewards[self.actions, self.states]
        following = self.draw(self.cumulative[self.actions, self.states])
        dones = following == self.observation_space.n
        infos = [{"terminal_observation": 0} if done else {} for done in dones]  # worth nothing, whatever it is
        self.states = np.where(dones, self.draw(self.initial), following)
        return self.states, rewards, dones, infos

    def close(self):
        pass

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs

    def env_method(self, method_name, *args, indices=None, **kwargs):
        raise NotImplementedError

    def get_attr(self, attr_name, indices=None):
        return [None] * self.num_envs

    set_attr = env_method
