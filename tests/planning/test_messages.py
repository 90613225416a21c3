"""Messages against the sum over all trajectories, and the optimism of inference."""

import numpy as np
import pytest

from gym_ilrl.planning import (
    TabularMDP,
    backward_messages,
    forward_messages,
    log_partition,
    policy_evaluation,
    solve,
    state_posterior,
)


@pytest.mark.parametrize(("ending", "gamma"), [(0.0, 1.0), (0.5, 1.0), (0.5, 0.7)])
def test_messages_sum_over_all_trajectories(random_mdp, all_trajectories, ending: float, gamma: float) -> None:
    mdp = random_mdp(seed=2, n_states=3, n_actions=2, ending=ending, gamma=gamma, horizon=5)
    tau = 0.8
    courses = list(all_trajectories(mdp))
    weights = np.array([t.chance * np.exp(t.rewards(mdp) / tau) for t in courses])
    messages = backward_messages(mdp, tau)
    assert log_partition(mdp, messages) == pytest.approx(np.log(weights.sum()), abs=1e-12)
    weights /= weights.sum()
    states, first_actions = np.zeros((6, 3)), np.zeros((2, 3))
    for t, weight in zip(courses, weights, strict=True):
        states[np.arange(len(t.states)), t.states] += weight
        first_actions[t.actions[0], t.states[0]] += weight
    np.testing.assert_allclose(state_posterior(mdp, tau), states, atol=1e-13)
    np.testing.assert_allclose(np.exp(messages.log_policy[0]), first_actions / states[0], atol=1e-12)


def test_forward_messages_sum_over_what_has_been(random_mdp, all_trajectories) -> None:
    mdp = random_mdp(n_states=3, n_actions=2, ending=0.3, gamma=1.0, horizon=4)
    log_alpha = forward_messages(mdp, 0.5)
    for time in range(1, 5):
        alpha = np.zeros(3)
        for t in all_trajectories(mdp.replace(horizon=time)):
            if len(t.states) == time + 1:  # it still goes on
                alpha[t.states[-1]] += t.chance * np.exp(t.rewards(mdp) / 0.5)
        np.testing.assert_allclose(np.exp(log_alpha[time]), alpha, rtol=1e-12)


def test_gradient_of_the_log_partition_is_the_posterior_of_state_and_action(random_mdp) -> None:
    mdp = random_mdp(n_states=3, n_actions=2, ending=0.2, gamma=0.9, horizon=8)
    tau, step = 0.5, 1e-5
    gradient = np.zeros(mdp.rewards.shape)
    for index in np.ndindex(*gradient.shape):
        nudge = np.zeros(gradient.shape)
        nudge[index] = step
        more, less = (mdp.replace(rewards=mdp.rewards + sign * nudge) for sign in (1, -1))
        difference = log_partition(more, backward_messages(more, tau)) - log_partition(
            less, backward_messages(less, tau)
        )
        gradient[index] = tau * difference / (2 * step)
    policy = np.exp(backward_messages(mdp, tau).log_policy)
    posterior = np.einsum("tas,ts->as", policy, state_posterior(mdp, tau)[:-1])
    np.testing.assert_allclose(gradient, posterior, atol=1e-8)


def test_variational_messages_are_soft_values(random_mdp) -> None:
    mdp = random_mdp(ending=0.2, gamma=0.9, horizon=7)
    messages, solution = backward_messages(mdp, 0.5, variational=True), solve(mdp, 0.5)
    np.testing.assert_allclose(0.5 * messages.log_beta, solution.values, atol=1e-12)
    np.testing.assert_allclose(messages.log_policy, solution.log_policy, atol=1e-12)


def test_both_are_one_where_nothing_is_left_to_chance() -> None:
    generator = np.random.default_rng(0)
    successors = generator.integers(5, size=(5, 3, 1))
    mdp = TabularMDP.from_successors(
        successors, np.ones((5, 3, 1)), generator.normal(size=(5, 3)), gamma=1.0, horizon=6
    )
    inference, variational = (backward_messages(mdp, 0.5, variational=each) for each in (False, True))
    np.testing.assert_allclose(inference.log_beta, variational.log_beta, atol=1e-12)
    # and yet log Z is not the soft value of a random start: the posterior also chooses where to start
    assert log_partition(mdp, inference) > mdp.initial @ variational.log_beta[0] + 0.01


def test_inference_believes_in_its_luck() -> None:
    # a lottery, +4 with probability 0.1 and else -4, beside a sure +1: numbers by hand, with exp(4) = 54.598
    lottery = [(0.1, 1, 0.0, False), (0.9, 2, 0.0, False)]
    after = {1: 4.0, 2: -4.0, 3: 1.0, 4: 0.0}

    def outcomes(state: int, action: int):
        if state == 0:
            return lottery if action == 0 else [(1.0, 3, 0.0, False)]
        return [(1.0, 4, after[state] - np.log(2.0) * (state < 4), False)]  # takes the entropy of both actions out

    mdp = TabularMDP.from_function(outcomes, 5, 2, initial=[1, 0, 0, 0, 0], gamma=1.0, horizon=2)
    optimistic, sober = (backward_messages(mdp, variational=each).log_policy[0, :, 0] for each in (False, True))
    by_luck = 0.1 * np.exp(4.0) + 0.9 * np.exp(-4.0)
    assert np.exp(optimistic[0]) == pytest.approx(by_luck / (by_luck + np.e))  # 0.668
    assert np.exp(sober[0]) == pytest.approx(np.exp(-3.2) / (np.exp(-3.2) + np.e))  # 0.0148
    winning = state_posterior(mdp)[1]
    assert winning[1] / winning[1:3].sum() == pytest.approx(0.1 * np.exp(4.0) / by_luck)  # 0.997 instead of 0.1
    rewards = mdp.replace(rewards=mdp.rewards + np.log(2.0) * np.array([0, 1, 1, 1, 0]))
    uniform = np.full((2, 5), 0.5)
    returns = []
    for log_policy in (optimistic, sober):
        policy = uniform.copy()
        policy[:, 0] = np.exp(log_policy)
        returns.append(policy_evaluation(rewards, policy)[0, 0])
    assert returns == pytest.approx([1.0 - 4.2 * np.exp(optimistic[0]), 1.0 - 4.2 * np.exp(sober[0])])  # -1.81, 0.94


def test_nothing_underflows() -> None:
    # along 0 -> 1 -> 2 -> ...: every step costs 1000
    chain = np.eye(6)[np.minimum(np.arange(6) + 1, 5)][:, None]
    mdp = TabularMDP.from_arrays(
        chain, np.array([-1000.0] * 5 + [0.0]), initial=[1, 0, 0, 0, 0, 0], gamma=1.0, horizon=8
    )
    messages = backward_messages(mdp)
    np.testing.assert_allclose(messages.log_beta[0], [-5000.0, -4000.0, -3000.0, -2000.0, -1000.0, 0.0])
    np.testing.assert_allclose(state_posterior(mdp)[:6], np.eye(6), atol=1e-12)


def test_what_messages_need_is_asked_for(random_mdp) -> None:
    for function in (backward_messages, forward_messages, state_posterior):
        with pytest.raises(ValueError, match="horizon must be given"):
            function(random_mdp())
        with pytest.raises(ValueError, match="temperature must be a positive number"):
            function(random_mdp(horizon=2), 0.0)
