import pytest
import torch as th
from algorithm_helpers import make_model

from gym_ilrl import BC, DAgger, collect, expert

th.set_num_threads(1)  # the networks here are small: more threads are slower


@pytest.fixture(scope="session")
def demos():
    return collect(expert("CartPole-v1"), "CartPole-v1", n_timesteps=300, seed=0)


@pytest.fixture(params=[BC, DAgger], ids=["BC", "DAgger"])
def algorithm(request):
    return request.param


@pytest.fixture
def make(algorithm, demos):
    """Build the algorithm on CartPole, ready for a short learn()."""
    return lambda env="CartPole-v1", **kwargs: make_model(algorithm, env, demos, **kwargs)
