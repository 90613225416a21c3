"""Environments made from processes: sampled frequencies, endings, and the model read back."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gym_ilrl.envs.tabular import TabularEnv
from gym_ilrl.experts.planning import continuing_transitions
from gym_ilrl.planning import TabularMDP, occupancy, solve
from gym_ilrl.planning.tabular_env import FinalTransitionsEnv

KINDS = ("goal", "final", "nameless", "endless", "available")


def process(kind: str, seed: int = 0, **arguments) -> TabularMDP:
    """Five states and two actions; episodes end in a terminal state, in any, in none, or not at all."""
    generator = np.random.default_rng(seed)
    chances = generator.dirichlet(np.full(10, 0.5), size=10)
    rewards, initial = generator.normal(size=(2, 5)), [0.5, 0.2, 0.3, 0, 0]
    arguments = {"initial": initial, "gamma": 0.9, **arguments}
    both = chances[:, :5] + chances[:, 5:]
    if kind == "final":
        return TabularMDP(
            chances[:, :5], rewards, final_transitions=chances[:, 5:], terminal=np.arange(5) == 3, **arguments
        )
    if kind == "nameless":
        return TabularMDP(
            chances[:, :5],
            rewards,
            ending=chances[:, 5:].sum(axis=1).reshape(2, 5),
            terminal=np.arange(5) == 3,
            **arguments,
        )
    if kind == "available":
        arguments["available"] = [[1, 0, 1, 1, 1], [1, 1, 0, 1, 0]]
    return TabularMDP(both, rewards, terminal=None if kind == "endless" else np.arange(5) == 3, **arguments)


def same(one: TabularMDP, other: TabularMDP) -> None:
    for name in ("rewards", "ending", "initial", "terminal"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-14)
    np.testing.assert_allclose(one.transitions.toarray(), other.transitions.toarray(), atol=1e-14)
    assert (one.final_transitions is None) == (other.final_transitions is None)
    if one.final_transitions is not None:
        np.testing.assert_allclose(one.final_transitions.toarray(), other.final_transitions.toarray(), atol=1e-14)
    assert (one.available is None) == (other.available is None)
    if one.available is not None:
        np.testing.assert_array_equal(one.available, other.available)
    assert (one.gamma, one.horizon) == (other.gamma, other.horizon)


@pytest.mark.parametrize("horizon", [None, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_read_back(kind: str, horizon) -> None:
    mdp = process(kind, horizon=horizon)
    env = mdp.to_env()
    assert env.observation_space == gym.spaces.Discrete(5)
    assert env.action_space == gym.spaces.Discrete(2)
    same(mdp, TabularMDP.from_env(env, mdp.gamma, horizon))
    if kind != "nameless" and kind != "available":  # toy-text lists the state acted in, and every action
        toy = env.unwrapped.P
        listed = TabularMDP.from_function(lambda s, a: toy[s][a], 5, 2, initial=mdp.initial, gamma=0.9, horizon=horizon)
        same(mdp, listed)
        transitions, rewards = continuing_transitions(toy)
        np.testing.assert_allclose(transitions.toarray(), mdp.transitions.toarray(), atol=1e-14)
        np.testing.assert_allclose(rewards, mdp.rewards, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_frequencies_are_the_probabilities(kind: str) -> None:
    mdp, n = process(kind, seed=1), 60_000
    env = mdp.to_env().unwrapped
    arguments = {} if not isinstance(env, FinalTransitionsEnv) else {"final_transitions": env.final_transitions}
    if env.ending is not None and not arguments:
        arguments["ending"] = env.ending
    dynamics = env.dynamics_class(
        n, env.transition_matrix, env.reward, env.initial_distribution, env.terminal, **arguments
    )
    generator = np.random.default_rng(0)
    dynamics.reset(range(n), [generator] * n)
    started = dynamics.observe()
    assert np.abs(np.bincount(started, minlength=5) / n - mdp.initial).max() < 4 * 0.5 / np.sqrt(n)
    for _ in range(2):  # the second step begins in other states
        going, state = ~dynamics.get_state()["over"], dynamics.observe()
        actions = generator.integers(2, size=n)
        if mdp.available is not None:
            actions = np.where(mdp.available[actions, state], actions, 1 - actions)
        rewards, over = dynamics.step(actions)
        arrived = dynamics.observe()
        np.testing.assert_array_equal(arrived[~going], state[~going])
        np.testing.assert_allclose(rewards[going], mdp.rewards[actions, state][going])
        for s, a in np.ndindex(5, 2):
            rows = going & (state == s) & (actions == a)
            if rows.sum() < 1000:
                continue
            error = 4.5 * 0.5 / np.sqrt(rows.sum())
            on = np.bincount(arrived[rows & ~over], minlength=5) / rows.sum()
            off = np.bincount(arrived[rows & over], minlength=5) / rows.sum()
            np.testing.assert_allclose(on, mdp.transitions[a * 5 + s].toarray().ravel(), atol=error)
            if mdp.final_transitions is None:
                expected = mdp.ending[a, s] * (np.arange(5) == s)  # it ends where it acted
            else:
                expected = mdp.final_transitions[a * 5 + s].toarray().ravel()
            np.testing.assert_allclose(off, expected, atol=error)
            np.testing.assert_array_equal(off[expected == 0.0], 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_gymnasium_accepts_it(kind: str) -> None:
    env = process(kind).to_env(render_mode="ansi")
    assert isinstance(env, TabularEnv)
    env.reset(seed=0)
    assert "of 5" in env.render()
    if kind != "available":  # the checker takes actions that do not exist
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has no spec
            check_env(env, skip_render_check=True)
    twin = pickle.loads(pickle.dumps(env))
    for each in (env, twin):
        each.reset(seed=3)
    mask = env.reset(seed=3)[1].get("action_mask", np.ones(2, dtype=np.int8))
    assert env.step(int(mask.argmax()))[:3] == twin.step(int(mask.argmax()))[:3]


def test_the_horizon_truncates() -> None:
    env = process("endless", horizon=3).to_env()
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_episodes_have_the_return_that_was_planned() -> None:
    mdp = process("final", seed=2, gamma=1.0, horizon=6)
    policy = solve(mdp, 0.5).policy
    expected = float((occupancy(mdp, policy) * mdp.rewards).sum())
    env, generator = mdp.to_env(), np.random.default_rng(0)
    returns = []
    for seed in range(1500):
        state, _ = env.reset(seed=seed)
        total, over, time = 0.0, False, 0
        while not over:
            action = int(generator.random() < policy[time, 1, state])
            state, reward, terminated, truncated, _ = env.step(action)
            total, over, time = total + reward, terminated or truncated, time + 1
        returns.append(total)
    assert np.mean(returns) == pytest.approx(expected, abs=4 * np.std(returns) / np.sqrt(1500))


def test_toy_text_is_sampled_alike() -> None:
    lake = TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=0.9)
    env = lake.to_env()
    assert not isinstance(env, FinalTransitionsEnv)  # holes and the goal are terminal
    same(lake, TabularMDP.from_env(env, 0.9))
