"""Tabular Q-learning and soft Q-learning: the numbers."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tabular_q_learning_helpers import Loop, Lottery, VecProcess, copies, random_mdp

import gym_ilrl
from gym_ilrl import collect, expert
from gym_ilrl.algorithms.tabular_q_learning import QLearning
from gym_ilrl.algorithms.tabular_q_learning_soft import SoftQLearning
from gym_ilrl.algorithms.tabular_q_learning_update import StepSize, move
from gym_ilrl.buffers import DemoReplayBuffer
from gym_ilrl.planning import TabularMDP, policy_evaluation, solve

RANDOM = {"exploration_initial_eps": 1.0, "exploration_final_eps": 1.0}
CONVERGENT = {"learning_rate": 1.0, "step_size_exponent": 0.8}


def relative_error(q_values, mdp, temperature):
    optimal = solve(mdp, temperature=temperature).q_values.T
    return np.abs(q_values - optimal).max() / np.abs(optimal).max()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("variant", ["hard", "double", "soft", "replay"])
def test_q_values_tend_to_the_optimal_ones(seed, variant):
    mdp = random_mdp(seed)
    arguments = {"env": VecProcess(mdp, 32), "gamma": 0.9, "seed": seed, **CONVERGENT}
    if variant == "soft":
        model = SoftQLearning(temperature=0.5, **RANDOM, **arguments)
    else:
        replay = {"batch_size": 32} if variant == "replay" else {}
        model = QLearning(double=variant == "double", **RANDOM, **replay, **arguments)
    temperature = 0.5 if variant == "soft" else 0.0
    model.learn(1_600)
    early = relative_error(model.q_values, mdp, temperature)
    model.learn(64_000, reset_num_timesteps=False)
    late = relative_error(model.q_values, mdp, temperature)
    assert late < 0.08
    assert late < early / 2


def test_soft_q_learning_acts_by_the_policy_that_it_learns():
    mdp = random_mdp(3)
    model = SoftQLearning(env=VecProcess(mdp, 32), temperature=2.0, gamma=0.9, seed=0, **CONVERGENT).learn(64_000)
    solution = solve(mdp, temperature=2.0)
    np.testing.assert_allclose(model.policy.log_probabilities.exp().T, solution.policy, atol=0.04)
    assert np.abs(solution.policy - 1 / 3).max() > 0.1


def test_soft_q_learning_goes_on_exploring_where_nothing_is_paid():
    """From Q-values of 0 the first action tried would keep the entropy to come for itself."""
    arguments = {"env": Loop([0.0], n_actions=4), "gamma": 0.99, "seed": 0, "exploration_initial_eps": 0.0}
    model = SoftQLearning(**arguments).learn(400)
    np.testing.assert_allclose(model.q_values, 0.99 * np.log(4) / 0.01)
    assert model.visits.min() > 60
    from_zero = SoftQLearning(policy_kwargs={"initial_q_value": 0.0}, **arguments).learn(400)
    assert from_zero.visits.min() < 20
    undiscounted = SoftQLearning(env=Loop(), gamma=1.0)
    assert undiscounted.q_values.item() == 0.0


def test_soft_q_learning_finds_a_reward_that_is_far_away():
    env = gym_ilrl.make_vec_env("ilrl/GridMaze-v0", 8, env_kwargs={"size": 5})
    model = SoftQLearning(env=env, temperature=0.003, gamma=0.9, seed=0).learn(20_000)
    mdp = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=5), gamma=0.9)
    learnt = policy_evaluation(mdp, model.policy.log_probabilities.exp().numpy().T)[0]
    assert learnt > 0.9 * solve(mdp).values[0]


def test_soft_values_tend_to_hard_ones():
    mdp = random_mdp(4)
    cold = SoftQLearning(env=VecProcess(mdp, 4), temperature=1e-6, gamma=0.9, seed=0, **RANDOM).learn(2_000)
    hard = QLearning(env=VecProcess(mdp, 4), gamma=0.9, seed=0, **RANDOM).learn(2_000)
    np.testing.assert_allclose(cold.q_values, hard.q_values, atol=1e-4)


@pytest.mark.parametrize("batch_size", [None, 1])
@pytest.mark.parametrize("algorithm", [QLearning, SoftQLearning])
def test_time_limits_bootstrap_and_endings_do_not(algorithm, batch_size):
    """One state and one action: the entropy is 0, and both algorithms the same."""
    arguments = {"learning_rate": 0.5, "gamma": 0.8, "batch_size": batch_size, "buffer_size": 1}
    cut = algorithm(env=TimeLimit(Loop(), 3), **arguments).learn(10)
    assert cut.q_values.item() == pytest.approx((1 - (1 - 0.5 * 0.2) ** 10) / 0.2)
    ended = algorithm(env=Loop(ends=True), **arguments).learn(10)
    assert ended.q_values.item() == pytest.approx(1 - 0.5**10)
    kwargs = {"replay_buffer_kwargs": {"handle_timeout_termination": False}}
    as_ended = algorithm(env=TimeLimit(Loop(), 1), **arguments, **kwargs).learn(10)
    assert as_ended.q_values.item() == pytest.approx(1 - 0.5**10)


def test_what_a_time_limit_cuts_is_worth_the_state_it_was_cut_in():
    """Left and up stay in the corner, down leads to a state that is worth 5, right to one that is worth nothing."""
    model = QLearning(env=TimeLimit(gym.make("FrozenLake-v1", is_slippery=False).unwrapped, 1), learning_rate=1.0)
    values = np.zeros((16, 4))
    values[4] = 5.0
    model.policy.set_q_values(values)
    model.learn(100)
    np.testing.assert_allclose(model.q_values[0], [0.99 * 4.95, 0.99 * 5.0, 0.0, 0.99 * 4.95])


def test_parallel_environments_in_the_same_state_count_one_after_the_other():
    rewards = [1.0, 2.0, 4.0]
    envs = DummyVecEnv([lambda r=r: Loop([r], ends=True) for r in rewards])
    model = QLearning(env=envs, learning_rate=0.5).learn(3)
    assert model.q_values.item() == pytest.approx(((0.0 + 1) / 2 + 2) / 4 + 2)
    mean = QLearning(env=envs, learning_rate=1.0, step_size_exponent=1.0).learn(9)
    assert mean.q_values.item() == pytest.approx(np.mean(rewards))
    assert mean.visits.item() == 9


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0])
def test_repeated_entries_move_one_after_the_other(exponent):
    generator = np.random.default_rng(0)
    entries, targets = generator.integers(0, 5, size=40), generator.normal(size=40)
    table, counts = generator.normal(size=6), np.array([3, 0, 0, 1, 0, 0])
    expected, expected_counts = table.copy(), counts.copy()
    for entry, target in zip(entries, targets, strict=True):
        expected_counts[entry] += 1
        alpha = 0.6 / expected_counts[entry] ** exponent
        expected[entry] = (1 - alpha) * expected[entry] + alpha * target
    move(table, counts, entries, targets, StepSize(0.6, exponent))
    np.testing.assert_allclose(table, expected, rtol=1e-12)
    np.testing.assert_array_equal(counts, expected_counts)


@pytest.mark.parametrize(
    "other",
    [{"train_freq": 7}, {"train_freq": (1, "episode")}, {"buffer_size": 1}, {"train_freq": 4, "buffer_size": 5}],
)
def test_every_transition_is_learnt_from_once_in_its_order(other):
    """Random actions do not depend on the table, so that all of these see the same."""
    mdp = random_mdp(5)
    late = QLearning(env=mdp.to_env(), seed=0, **RANDOM, **other).learn(280)
    at_once = QLearning(env=mdp.to_env(), seed=0, **RANDOM).learn(late.num_timesteps)
    np.testing.assert_allclose(late.q_values, at_once.q_values, rtol=1e-12)
    assert late.visits.sum() == late.num_timesteps == at_once._n_updates


def test_steps_before_learning_starts_are_learnt_from_as_well():
    model = QLearning(env=Loop(n_actions=3), learning_starts=20, seed=0)
    model.learn(20)
    assert model.visits.sum() == 0
    model.learn(1, reset_num_timesteps=False)
    assert model.visits.sum() == 21
    model.learn(5, reset_num_timesteps=False)
    assert model.visits.sum() == 26


def test_replay_takes_as_many_batches_as_told():
    model = QLearning(env=Loop(n_actions=3), batch_size=8, gradient_steps=3).learn(10)
    assert model.visits.sum() == 10 * 3 * 8
    assert model._n_updates == 30
    per_step = QLearning(env=copies(Loop, 2), batch_size=8, train_freq=5, gradient_steps=-1).learn(20)
    assert per_step.visits.sum() == 20 * 8


def test_two_tables_do_not_take_luck_for_skill():
    kwargs = {"gamma": 1.0, "seed": 0, "learning_rate": 0.1, **RANDOM}
    single = QLearning(env=copies(Lottery, 8), **kwargs).learn(16_000)
    double = QLearning(env=copies(Lottery, 8), double=True, **kwargs).learn(16_000)
    assert single.q_values[0].mean() > 0.25
    assert abs(double.q_values[0].mean()) < 0.2
    tables = double.policy.q_tables
    assert not np.allclose(tables[0], tables[1])
    np.testing.assert_allclose(double.q_values, tables.mean(dim=0))


def test_epsilon_falls_over_its_share_of_the_training():
    model = QLearning(env=Loop(), exploration_fraction=0.5, exploration_initial_eps=0.9, exploration_final_eps=0.1)
    assert model.exploration_rate == pytest.approx(0.9)
    seen = []
    model.learn(100, callback=lambda values, _: seen.append(values["self"].exploration_rate) or True)
    np.testing.assert_allclose(seen, np.interp(np.arange(100) / 100, [0, 0.5], [0.9, 0.1]), rtol=1e-12)


def test_the_learning_rate_may_be_a_schedule():
    model = QLearning(env=Loop(ends=True), learning_rate=lambda progress: progress).learn(4)
    assert model.q_values.item() == pytest.approx(1 - 0.25 * 0.5 * 0.75 * 1.0)  # 0.75, 0.5, 0.25, 0


@pytest.mark.parametrize("batch_size", [None, 4])
def test_spaces_may_begin_anywhere(batch_size):
    env = Loop(first_state=7, first_action=-2, n_actions=3)
    model = QLearning(env=env, learning_rate=1.0, gamma=0.5, seed=0, batch_size=batch_size, learning_starts=3)
    model.learn(400)
    np.testing.assert_allclose(model.q_values, [[2.0, 2.0, 2.0]])
    assert model.predict(7, deterministic=True)[0] == -2


@pytest.mark.parametrize("batch_size", [None, 1])
def test_rewards_normalised_by_vec_normalize(batch_size):
    venv = VecNormalize(copies(lambda: Loop([5.0], ends=True), 1), norm_obs=False, gamma=0.9)
    model = QLearning(env=venv, learning_rate=1.0, gamma=0.9, batch_size=batch_size, buffer_size=1).learn(50)
    expected = venv.normalize_reward(np.array([5.0]))
    assert model.q_values.item() == pytest.approx(expected.item())
    assert expected.item() > 5.1 or expected.item() < 4.9
    assert model.replay_buffer.rewards.item() == 5.0


def test_demonstrations_alone_teach_what_they_did():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    demos = collect(expert(env), env, n_episodes=1, seed=0)
    buffer = {"demonstrations": demos, "demo_fraction": 1.0}
    model = QLearning(
        env=env, learning_rate=1.0, batch_size=8, replay_buffer_class=DemoReplayBuffer, replay_buffer_kwargs=buffer
    ).learn(200)
    steps = demos.transitions()
    values = 0.99 ** np.arange(len(steps.actions))[::-1]
    np.testing.assert_allclose(model.q_values[steps.observations, steps.actions], values)
    assert (model.q_values > 0).sum() == len(steps.actions)
    actions, _ = model.predict(steps.observations, deterministic=True)
    np.testing.assert_array_equal(actions, steps.actions)


def test_frozen_lake_is_learnt():
    model = QLearning(
        env=copies(lambda: gym.make("FrozenLake-v1"), 8), seed=0, step_size_exponent=0.5, learning_rate=1.0
    )
    mdp = TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=0.99)
    greedy, _ = model.learn(30_000).predict(np.arange(16), deterministic=True)
    assert policy_evaluation(mdp, greedy)[0] > 0.9 * solve(mdp).values[0]
