"""Trajectories, baselines and importance weights against their definitions."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_ilrl.algorithms.baselines import least_variance, mean_return
from gym_ilrl.algorithms.importance_weights import (
    effective_sample_size,
    log_mixture,
    weighted_returns_to_go,
    weights_of,
)
from gym_ilrl.algorithms.trajectories import Trajectories, clock_after, cut_rollout

EXAMPLE = Path(__file__).parents[2] / "examples" / "score_function_variance.py"


def example():
    spec = importlib.util.spec_from_file_location("score_function_variance", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_rollouts_are_cut_where_episodes_begin_and_the_clock_runs_on(data):
    """Two rollouts in a row, walked step by step."""
    n_steps, n_envs = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    clock, expected_clock = th.zeros(n_envs, dtype=th.long), [0] * n_envs
    for index in range(2):
        flags = data.draw(st.lists(st.booleans(), min_size=n_steps * n_envs, max_size=n_steps * n_envs))
        starts = th.tensor(flags).reshape(n_steps, n_envs)
        if index == 0:
            starts[0] = True
        times, ids, current = [], [], -1
        for env in range(n_envs):
            for step in range(n_steps):
                begins = bool(starts[step, env])
                current += begins or step == 0
                expected_clock[env] = 0 if begins else expected_clock[env]
                times.append(expected_clock[env])
                ids.append(current)
                expected_clock[env] += 1
        cut = cut_rollout(starts, clock)
        assert cut.times.tolist() == times
        assert cut.ids.tolist() == ids
        clock = clock_after(cut, n_envs)
        assert clock.tolist() == expected_clock


def three_trajectories():
    """Of 3, 1 and 2 steps; the last goes on from an earlier rollout, at time 1."""
    return Trajectories(th.tensor([0, 3, 4, 6]), th.tensor([0, 0, 1])), th.tensor([6.0, 5.0, 1.0, 9.0, 3.0, 8.0])


def test_mean_baseline_is_of_the_other_trajectories_at_the_same_time():
    trajectories, returns = three_trajectories()  # times 0 1 2 | 0 | 1 2
    baseline = mean_return(returns, trajectories)
    assert baseline.on_rollout.tolist() == [9, 3, 8, 6, 5, 1]
    assert baseline.by_time(th.tensor([0, 1, 2, 7])).tolist() == pytest.approx([7.5, 4, 4.5, 32 / 6])


def test_mean_baseline_of_a_time_that_one_trajectory_reached_alone():
    trajectories = Trajectories(th.tensor([0, 2, 3]), th.tensor([0, 0]))
    assert mean_return(th.tensor([6.0, 2.0, 4.0]), trajectories).on_rollout.tolist() == [4, 4, 6]
    alone = Trajectories(th.tensor([0, 2]), th.tensor([0]))
    assert mean_return(th.tensor([6.0, 2.0]), alone).on_rollout.tolist() == [0, 0]


def test_optimal_baseline_has_the_least_second_moment():
    """Found by a search; the mean does not depend on b, so the variance is least where the second moment is."""
    generator = th.Generator().manual_seed(0)
    lengths = th.randint(1, 5, (40,), generator=generator)
    trajectories = Trajectories(th.nn.functional.pad(lengths.cumsum(0), (1, 0)), th.zeros(40, dtype=th.long))
    n = int(lengths.sum())
    scores, returns = th.randn(n, 3, generator=generator).double(), 7 + 2 * th.randn(n, generator=generator).double()
    candidates = np.linspace(0, 14, 14001)

    def second_moment(b):
        return float(trajectories.sums(scores * (returns - b)[:, None]).square().sum())

    best = candidates[np.argmin([second_moment(b) for b in candidates])]
    found = least_variance(returns, trajectories, scores)
    assert float(found.by_time(th.tensor([3]))) == pytest.approx(best, abs=1e-3)
    rest = th.arange(n) >= lengths[0]  # without the first trajectory
    others = Trajectories(trajectories.offsets[1:] - lengths[0], th.zeros(39, dtype=th.long))
    without = least_variance(returns[rest], others, scores[rest]).by_time(th.tensor([0]))
    assert float(found.on_rollout[0]) == pytest.approx(float(without), rel=1e-5)


def test_optimal_baseline_of_one_trajectory_is_zero():
    found = least_variance(th.tensor([3.0]), Trajectories(th.tensor([0, 1]), th.tensor([0])), th.ones(1, 2))
    assert found.on_rollout.tolist() == [0]


def test_effective_sample_size_by_hand():
    weights = th.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 2.0], [1.0, 0.0, 3.0]])
    sizes = effective_sample_size(weights.log())
    assert sizes.tolist() == pytest.approx([3, 1, 36 / 14])
    assert effective_sample_size(weights.log() - 5000).tolist() == pytest.approx([3, 1, 36 / 14], rel=1e-3)


def test_weights_are_normalised_at_each_time_and_then_clipped():
    log_weights = th.tensor([[1.0, 1.0], [3.0, 1.0]]).log() - 300
    assert weights_of(log_weights, True, None).flatten().tolist() == pytest.approx([0.5, 1, 1.5, 1], rel=1e-3)
    assert weights_of(log_weights, True, 1.2).flatten().tolist() == pytest.approx([0.5, 1, 1.2, 1], rel=1e-3)
    assert weights_of(th.tensor([[2.0, 30.0]]).log(), False, 10.0).flatten().tolist() == pytest.approx([2, 10])


def test_mixture_weighs_by_both():
    pi, q = th.tensor([0.1, 0.5, 0.9]), th.tensor([0.7, 0.5, 0.2])
    assert th.allclose(log_mixture((pi / q).log()).exp(), pi / (0.5 * pi + 0.5 * q))
    assert log_mixture(th.tensor([1e4, -1e4])).exp().tolist() == pytest.approx([2, 0])


def test_each_reward_has_the_weight_of_its_own_time():
    rewards, weights = th.tensor([[1.0, 2.0, 4.0]]), th.tensor([[3.0, 5.0, 7.0]])
    expected = [3 + 0.5 * (10 + 0.5 * 28), 10 + 0.5 * 28, 28]
    assert weighted_returns_to_go(rewards, weights, 0.5).flatten().tolist() == expected


def test_toy_by_its_closed_form():
    """The two noise levels of the derivation: variances, and without noise second moments, of 11050 and 25."""
    score, z = np.array([1.0, -1.0]), np.polynomial.hermite_e.hermegauss(9)
    for b, variance in ((0.0, 11050), (105.0, 25)):
        noisy = np.array([[s * (105 + 5 * s + 5 * x - b) for x in z[0]] for s in score])
        probability = 0.5 * np.stack([z[1] / z[1].sum()] * 2)
        mean = (probability * noisy).sum()
        assert mean == pytest.approx(5)
        assert (probability * (noisy - mean) ** 2).sum() == pytest.approx(variance)
        exact = score * (105 + 5 * score - b)
        assert (exact**2).mean() == pytest.approx(variance)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [("none", 11050), ("value", 25), ("mean", 25 + 75 / 19), ("optimal", 25 + 75 / 19)],
)
def test_toy_through_the_estimator(baseline, expected):
    """With scores of +-1 the optimal constant is the mean. 400 rollouts: a deviation of 7 % of the variance."""
    assert example().bandit_variance(baseline, n_trajectories=20, n_updates=400) == pytest.approx(expected, rel=0.22)
