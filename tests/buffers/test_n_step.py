import numpy as np
import pytest
import torch as th
from buffer_helpers import ACTIONS, OBSERVATIONS, add_online, demonstrations, is_demo, scaled, steps_of
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_ilrl import buffers
from gym_ilrl.buffers.compat import NStepReplayBuffer

pytestmark = pytest.mark.skipif(NStepReplayBuffer is None, reason="SB3 has n-step returns since 2.7")


def make(demos, cls="DemoNStepReplayBuffer", **kwargs):
    return getattr(buffers, cls)(60, OBSERVATIONS, ACTIONS, device="cpu", demonstrations=demos, **kwargs)


def expected_row(step, n_steps, gamma):
    """Walk along the episode: the return, and where, after how many steps and how the walk ended."""
    episode, t, total = step["episode"], step["t"], 0.0
    for k in range(n_steps):
        total += gamma**k * float(episode.rewards[t + k])
        if t + k == len(episode) - 1 or k == n_steps - 1:
            ended = t + k == len(episode) - 1 and bool(episode.terminations[-1])
            return total, episode.observations[t + k + 1], gamma ** (k + 1), ended
    raise AssertionError


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    data=st.data(),
    n_steps=st.integers(1, 5),
    gamma=st.sampled_from([0.0, 0.9, 0.99]),
    n_online=st.integers(0, 70),
)
def test_returns_stay_within_their_episode(lengths, data, n_steps, gamma, n_online):
    ends = data.draw(
        st.lists(st.sampled_from(["terminated", "truncated"]), min_size=len(lengths), max_size=len(lengths))
    )
    demos = demonstrations(lengths, ends)
    buffer = make(demos, n_steps=n_steps, gamma=gamma)
    add_online(buffer, n_online)
    samples, steps = buffer.sample(24), steps_of(demos)
    rows = np.flatnonzero(is_demo(samples))
    assert len(rows) == (12 if n_online else 24)
    for row in rows:
        step = steps[float(samples.observations[row, 0])]
        total, next_observation, discount, ended = expected_row(step, n_steps, gamma)
        assert samples.rewards[row].item() == pytest.approx(total, rel=1e-4, abs=1e-5)
        np.testing.assert_array_equal(samples.next_observations[row].numpy(), next_observation)
        assert samples.discounts[row].item() == pytest.approx(discount, rel=1e-5)
        assert samples.dones[row].item() == ended
        np.testing.assert_allclose(samples.actions[row].numpy(), scaled(step["action"]), atol=1e-6)


def test_constants_are_summed_over_the_steps_that_were_taken():
    demos = demonstrations((6, 2), ("terminated", "truncated"))
    buffer = make(demos, n_steps=3, gamma=0.9, demo_reward=2.0, online_reward=-1.0)
    add_online(buffer, 20, done=lambda i: i % 4 == 3)
    samples, steps = buffer.sample(200), steps_of(demos)
    for row in range(200):
        first = float(samples.observations[row, 0])
        if first in steps:
            constant, left = 2.0, len(steps[first]["episode"]) - steps[first]["t"]
        else:
            constant, left = -1.0, 4 - int(first) % 4
        expected = constant * sum(0.9**k for k in range(min(3, left)))
        assert samples.rewards[row].item() == pytest.approx(expected, rel=1e-5)


def test_functions_and_constants_that_cannot_be_summed_are_refused():
    with pytest.raises(ValueError, match="demo_reward is a function of one step"):
        make(demonstrations(), n_steps=3, demo_reward=lambda o, a, n: o[:, 0])
    with pytest.raises(ValueError, match="below 1"):
        make(demonstrations(), n_steps=3, gamma=1.0, demo_reward=1.0)
    samples = make(demonstrations(), n_steps=1, demo_reward=lambda o, a, n: o[:, 0]).sample(5)
    assert th.equal(samples.rewards[:, 0], samples.observations[:, 0])


def test_dict_observations_are_refused():
    with pytest.raises(ValueError, match="use DemoDictReplayBuffer"):
        buffers.DemoNStepReplayBuffer(10, spaces.Dict({"a": OBSERVATIONS}), ACTIONS)


def test_prioritised():
    demos = demonstrations()
    buffer = make(demos, cls="PrioritizedDemoNStepReplayBuffer", n_steps=2, gamma=0.9)
    buffer.td_error = lambda samples: samples.rewards[:, 0]
    samples, steps = buffer.sample(7), steps_of(demos)
    for row in range(7):
        total, *_ = expected_row(steps[float(samples.observations[row, 0])], 2, 0.9)
        assert samples.rewards[row].item() == pytest.approx(total, rel=1e-4)
