import numpy as np
import pytest
import torch as th
from gymnasium import spaces

OBSERVATIONS = spaces.Box(-1.0, 1.0, (5,), np.float32)


@pytest.fixture
def make_policy():
    """Build a small policy with parameters drawn at random: SB3's initial outputs are too close to zero to tell."""

    def make(policy_class, action_space, observation_space=OBSERVATIONS, **kwargs):
        kwargs.setdefault("net_arch", [8])
        policy = policy_class(observation_space, action_space, lambda _: 1e-3, **kwargs)
        generator = th.Generator().manual_seed(0)
        for parameter in policy.parameters():
            parameter.data.copy_(0.5 * th.randn(parameter.shape, generator=generator))
        return policy

    return make


@pytest.fixture
def observations():
    return th.randn(7, 5, generator=th.Generator().manual_seed(1))


@pytest.fixture
def sample():
    """Draw a batch of actions of a space, in its own dtype."""

    def draw(space, n=7):
        space.seed(2)
        return th.as_tensor(np.stack([space.sample() for _ in range(n)]))

    return draw
