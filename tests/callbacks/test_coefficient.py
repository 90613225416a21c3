"""The weight of an added loss over the course of a training."""

import pytest
from stable_baselines3 import PPO

from gym_ilrl.callbacks.coefficient import Coefficient


@pytest.fixture(scope="module")
def model():
    return PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, device="cpu")


def at(model, coefficient, remaining):
    model._total_timesteps, model.num_timesteps = 1000, round(1000 * (1.0 - remaining))
    return coefficient.value(model)


def test_linear_is_in_proportion_to_the_progress_remaining(model):
    coefficient = Coefficient(0.5)
    assert [at(model, coefficient, remaining) for remaining in (1.0, 0.5, 0.0)] == [0.5, 0.25, 0.0]
    assert at(model, coefficient, -0.1) == 0.0  # the last rollout may go beyond the end


def test_a_factor_counts_rollouts(model):
    coefficient = Coefficient(0.1, anneal=0.95)
    for _ in range(3):
        coefficient.next_rollout()
    assert at(model, coefficient, 0.2) == pytest.approx(0.1 * 0.95**3)


def test_constant_and_schedule_know_no_rollouts(model):
    constant, schedule = Coefficient(0.3, "constant"), Coefficient(lambda remaining: remaining**2, 0.5)
    for coefficient in (constant, schedule):
        coefficient.next_rollout()
    assert at(model, constant, 0.1) == 0.3
    assert at(model, schedule, 0.1) == pytest.approx(0.01)


@pytest.mark.parametrize(("coef", "anneal"), [(-0.1, "linear"), ("high", "linear"), (0.1, "cosine"), (0.1, 1.0)])
def test_what_is_no_coefficient_is_refused(coef, anneal):
    with pytest.raises(ValueError, match="must be"):
        Coefficient(coef, anneal)


@pytest.mark.parametrize("returned", [-0.1, float("nan"), float("inf"), None, "0.1"])
def test_what_a_schedule_returns_is_checked(model, returned):
    with pytest.raises(ValueError, match=r"progress remaining of 0\.5"):
        at(model, Coefficient(lambda remaining: returned), 0.5)
