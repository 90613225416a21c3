import itertools
import pickle

import numpy as np
import pytest
import torch as th
from buffer_helpers import ACTIONS, OBSERVATIONS, add_online, demonstrations, is_demo
from stable_baselines3.common.utils import set_random_seed

from gym_ilrl.buffers import DemoReplayBuffer, PrioritizedDemoReplayBuffer


def make(cls=PrioritizedDemoReplayBuffer, n_online=20, **kwargs):
    buffer = cls(50, OBSERVATIONS, ACTIONS, device="cpu", demonstrations=demonstrations(), **kwargs)
    add_online(buffer, n_online)
    return buffer


def test_without_errors_it_samples_like_the_plain_one():
    batches = []
    for cls in (DemoReplayBuffer, PrioritizedDemoReplayBuffer):
        set_random_seed(1)
        batches.append(make(cls).sample(16))
    assert all(th.equal(a, b) for a, b in zip(*batches, strict=True) if a is not None)


def probability_of_each_first_two(weights):
    """Draw two without replacement, by enumeration: the chance of each item to be among them."""
    chance = dict.fromkeys(range(len(weights)), 0.0)
    for first, second in itertools.permutations(range(len(weights)), 2):
        p = weights[first] / sum(weights) * weights[second] / (sum(weights) - weights[first])
        chance[first] += p
        chance[second] += p
    return chance


class FixedCandidates(PrioritizedDemoReplayBuffer):
    """Four candidates that tell each other apart, the last two of them demonstrations."""

    def sample_parts(self, batch_size, env=None):
        candidates = super().sample_parts(4)[0]
        numbers = th.arange(4.0)[:, None]
        return candidates._replace(observations=numbers, actions=-numbers, rewards=10 * numbers), 2


def test_each_row_is_drawn_as_often_as_its_priority_says():
    buffer = make(FixedCandidates, alpha=0.7, eps_demo=0.5, eps_online=0.1)
    buffer.td_error = lambda samples: th.tensor([1.0, -3.0, 1.0, -3.0])
    set_random_seed(0)
    n_draws, counts = 2000, np.zeros(4)
    for _ in range(n_draws):
        batch = buffer.sample(2)
        first, second = batch.observations[:, 0].long().tolist()
        assert first != second  # without replacement
        assert th.equal(batch.rewards, 10 * batch.observations)
        assert th.equal(batch.actions, -batch.observations)
        counts[[first, second]] += 1
    chance = probability_of_each_first_two([1.1**0.7, 3.1**0.7, 1.5**0.7, 3.5**0.7])
    np.testing.assert_allclose(counts / n_draws, list(chance.values()), atol=4 * np.sqrt(0.25 / n_draws))


def test_candidates_are_several_times_the_batch_and_a_huge_error_is_always_chosen():
    buffer = make(pool_factor=3, alpha=1.0)
    pools = []

    def td_error(samples):
        pools.append(samples)
        return th.where(th.arange(24) == 5, 1e12, 0.0)

    buffer.td_error = td_error
    for _ in range(20):
        batch = buffer.sample(8)
        assert batch.observations.shape == (8, 3)
        assert is_demo(pools[-1]).sum() == 12
        assert (batch.observations[:, 0] == pools[-1].observations[5, 0]).any()


def test_with_equal_errors_demonstrations_get_more_than_their_share_of_the_candidates():
    buffer = make(demo_fraction=0.25)
    buffer.td_error = lambda samples: th.full((len(samples.rewards), 1), 0.01)
    share = np.mean([is_demo(buffer.sample(16)).mean() for _ in range(200)])
    # (1.01 / 0.011)^0.4 = 6.1 times the weight at a quarter of the candidates
    assert 0.5 < share < 6.1 / (6.1 + 3)


def test_alpha_0_is_uniform_and_no_online_data_means_demonstrations_only():
    buffer = make(alpha=0.0, n_online=0)
    buffer.td_error = lambda samples: samples.rewards
    assert is_demo(buffer.sample(12)).all()


@pytest.mark.parametrize(
    ("error", "message"),
    [(th.zeros(3), "one number a row"), (th.full((32,), th.nan), "NaN"), (np.full(32, np.inf), "infinite")],
)
def test_errors_of_the_wrong_kind_are_refused(error, message):
    buffer = make()
    buffer.td_error = lambda samples: error
    with pytest.raises(ValueError, match=f"td_error.*{message}"):
        buffer.sample(8)


def test_the_function_is_not_pickled():
    buffer = make(alpha=0.9)
    buffer.td_error = lambda samples: samples.rewards
    restored = pickle.loads(pickle.dumps(buffer))
    assert restored.td_error is None
    assert buffer.td_error is not None
    assert restored.alpha == 0.9
    assert len(restored.sample(5).rewards) == 5


@pytest.mark.parametrize("kwargs", [{"pool_factor": 0}, {"alpha": -1}, {"eps_demo": 0}, {"eps_online": -1.0}])
def test_refused(kwargs):
    with pytest.raises(ValueError, match=f"{next(iter(kwargs))} must be"):
        make(**kwargs)
