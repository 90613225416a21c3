"""What several test files of the algorithms use; pytest puts this folder on the path."""

import gymnasium as gym
import numpy as np
import torch as th

from gym_ilrl import BC


def make_model(algorithm, env, demos, **kwargs):
    if algorithm is BC:
        kwargs.setdefault("demonstrations", demos)
    else:
        kwargs.setdefault("n_steps", 16)
        kwargs.setdefault("n_epochs", 2)
    return algorithm(kwargs.pop("policy", "MlpPolicy"), env, **kwargs)


def parameters(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(th.equal(left[key], right[key]) for key in left)


class AnySpaceEnv(gym.Env):
    """Draws observations from its space; an episode lasts five steps, and the reward counts the steps of all."""

    n_steps = 0

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.clock = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.clock += 1
        self.n_steps += 1
        return self.observation_space.sample(), 1.0, self.clock == 5, False, {}


def constant_expert(space):
    """Return a function that answers the same action of ``space`` whatever it observes."""
    space.seed(3)
    action = space.sample()

    def act(observations):
        first = next(iter(observations.values())) if isinstance(observations, dict) else observations
        return np.stack([action] * len(first))

    act.action = action
    return act
