"""A model is the same in every layout, and what is no model is refused by the name of its state and action."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import gym_ilrl
from gym_ilrl.planning import TabularMDP


def dense(seed: int = 0, n_states: int = 5, n_actions: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(n_states, 0.3), size=(n_states, n_actions))
    return transitions, generator.normal(size=(n_states, n_actions, n_states))


def same(one: TabularMDP, other: TabularMDP) -> None:
    np.testing.assert_allclose(one.transitions.toarray(), other.transitions.toarray(), atol=1e-14)
    np.testing.assert_allclose(one.rewards, other.rewards, atol=1e-14)
    np.testing.assert_allclose(one.ending, other.ending, atol=1e-14)
    np.testing.assert_allclose(one.initial, other.initial)
    np.testing.assert_array_equal(one.terminal, other.terminal)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n_states=st.integers(1, 6), n_actions=st.integers(1, 4))
def test_layouts_agree(seed: int, n_states: int, n_actions: int) -> None:
    transitions, rewards = dense(seed, n_states, n_actions)
    mdp = TabularMDP.from_arrays(transitions, rewards)
    for s in range(n_states):
        for a in range(n_actions):
            row = mdp.transitions[a * n_states + s].toarray().ravel()
            np.testing.assert_allclose(row, transitions[s, a], atol=1e-14)
            assert mdp.rewards[a, s] == pytest.approx(sum(transitions[s, a] * rewards[s, a]))
    each = [sparse.csr_matrix(transitions[:, a]) for a in range(n_actions)]
    earned = [sparse.csr_matrix(rewards[:, a]) for a in range(n_actions)]
    same(mdp, TabularMDP.from_arrays(each, earned))
    same(mdp, TabularMDP.from_arrays(sparse.vstack(each), sparse.vstack(earned)))
    same(mdp, TabularMDP.from_arrays(transitions, mdp.rewards.T))
    order = np.random.default_rng(seed).permutation(n_states)
    shuffled = np.broadcast_to(order, transitions.shape)
    same(mdp, TabularMDP.from_successors(shuffled, transitions[:, :, order], rewards[:, :, order]))

    def outcomes(s: int, a: int):
        return [(transitions[s, a, n], n, rewards[s, a, n], False) for n in range(n_states)]

    same(mdp, TabularMDP.from_function(outcomes, n_states, n_actions))


def test_repeated_successors_add_up() -> None:
    mdp = TabularMDP.from_successors(
        np.array([[[1, 1, 0]], [[1, 1, 1]]]), [[[0.25, 0.25, 0.5]], [[1, 0, 0]]], [1.0, 2.0]
    )
    np.testing.assert_array_equal(mdp.transitions.toarray(), [[0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_array_equal(mdp.rewards, [[1.0, 2.0]])


def test_entering_a_terminal_state_ends_the_episode_and_its_reward_counts() -> None:
    transitions = np.array([[[0.25, 0.75]], [[0.0, 0.0]]])  # the row of the terminal state is ignored
    mdp = TabularMDP.from_arrays(transitions, np.array([[[2.0, 4.0]], [[9.0, 9.0]]]), terminal=[False, True])
    np.testing.assert_array_equal(mdp.transitions.toarray(), [[0.25, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(mdp.ending, [[0.75, 1.0]])
    np.testing.assert_array_equal(mdp.rewards, [[3.5, 0.0]])
    np.testing.assert_array_equal(mdp.initial, [1.0, 0.0])


def test_a_start_that_ends_at_once_is_not_terminal() -> None:
    bandit = TabularMDP.from_function(lambda s, a: [(1.0, 0, float(a), True)], 1, 3, initial=[1.0])
    np.testing.assert_array_equal(bandit.terminal, [False])
    np.testing.assert_array_equal(bandit.rewards.ravel(), [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(TabularMDP.from_function(lambda s, a: [(1.0, 0, 1.0, True)], 1, 1).terminal, [False])


def test_single_precision_is_welcome_and_made_exact() -> None:
    transitions, rewards = dense(n_states=7)
    mdp = TabularMDP.from_arrays(transitions.astype(np.float32), rewards)
    np.testing.assert_allclose(mdp.transitions.sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_array_equal(mdp.ending, 0.0)


def test_toy_text_model_is_read_as_it_is() -> None:
    env = gym.make("FrozenLake-v1", map_name="8x8")
    mdp = TabularMDP.from_env(env)
    for s in range(64):
        for a in range(4):
            going_on = np.zeros(64)
            for probability, following, _, terminated in env.unwrapped.P[s][a]:
                going_on[following] += probability * (not terminated)
            np.testing.assert_allclose(mdp.transitions[a * 64 + s].toarray().ravel(), going_on)
            if not mdp.terminal[s]:
                assert mdp.rewards[a, s] == pytest.approx(sum(p * r for p, _, r, _ in env.unwrapped.P[s][a]))
    letters = env.unwrapped.desc.ravel()
    np.testing.assert_array_equal(mdp.terminal, (letters == b"H") | (letters == b"G"))
    np.testing.assert_array_equal(mdp.initial, letters == b"S")


def test_grid_maze_arrays_and_its_toy_text_form_are_the_same_model() -> None:
    env = gym.make("ilrl/GridMaze-v0", size=5)
    arrays = TabularMDP.from_env(TimeLimit(env, 7))
    model = env.unwrapped.P
    same(arrays, TabularMDP.from_function(lambda s, a: model[s][a], 25, 4, initial=arrays.initial))
    assert gym_ilrl.TabularMDP is TabularMDP


def test_environment_without_a_model_is_refused() -> None:
    with pytest.raises(ValueError, match="CartPoleEnv publishes no model"):
        TabularMDP.from_env(gym.make("CartPole-v1"))


def test_a_model_does_not_change() -> None:
    transitions, rewards = dense()
    mdp = TabularMDP.from_arrays(transitions, rewards, gamma=0.9)
    with pytest.raises(AttributeError, match="replace"):
        mdp.gamma = 0.5
    for array in (mdp.rewards, mdp.transitions.data, mdp.initial, mdp.ending):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    transitions[:] = 0.0
    other = mdp.replace(rewards=np.ones((3, 5)), horizon=4)
    assert (mdp.horizon, other.horizon, other.gamma) == (None, 4, 0.9)
    assert other.transitions.sum() == pytest.approx(15.0)
    same(mdp, pickle.loads(pickle.dumps(mdp)))
    same(mdp, mdp.replace())
    assert repr(other) == "TabularMDP(n_states=5, n_actions=3, gamma=0.9, horizon=4)"


def test_other_rewards_share_the_transitions() -> None:
    maze = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0"), gamma=1.0)
    rewards = np.random.default_rng(0).normal(size=maze.rewards.shape)
    other = maze.replace(rewards=rewards)
    assert other.transitions is maze.transitions
    same(other, maze.replace(rewards=rewards, gamma=1.0))
    assert maze.rewards.max() < 1.0 == other.gamma
    with pytest.raises(ValueError, match="shape of rewards"):
        maze.replace(rewards=rewards[:2])
    rewards[1, 2] = np.nan
    with pytest.raises(ValueError, match="action 1 in state 2 is nan"):
        maze.replace(rewards=rewards)


def test_replacing_keeps_terminal_states() -> None:
    mdp = TabularMDP.from_env(gym.make("CliffWalking-v1" if "CliffWalking-v1" in gym.registry else "CliffWalking-v0"))
    same(mdp, mdp.replace(gamma=0.5))
    np.testing.assert_array_equal(np.flatnonzero(mdp.terminal), [47])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, r: p.__setitem__((2, 1, 0), np.nan), "one of action 1 in state 2 is nan"),
        (lambda p, r: p.__setitem__((2, 1), [-0.5, 1.5, 0, 0, 0]), "one of action 1 in state 2 is -0.5"),
        (lambda p, r: p.__setitem__((4, 2), [0.5, 0.4, 0, 0, 0]), "action 2 in state 4 must sum to 1, not 0.9"),
        (lambda p, r: p.__setitem__((3, 0), 0.0), "action 0 in state 3 leads nowhere"),
        (lambda p, r: r.__setitem__((1, 2), np.inf), "action 2 in state 1 is (inf|nan)"),
    ],
)
def test_what_is_no_model_is_refused_by_name(change, message: str) -> None:
    transitions, rewards = dense()
    change(transitions, rewards)
    with pytest.raises(ValueError, match=message):
        TabularMDP.from_arrays(transitions, rewards)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": 1.5}, r"gamma must be in \[0, 1\], not 1.5"),
        ({"gamma": np.nan}, "gamma must be"),
        ({"horizon": 0}, "horizon must be a whole number"),
        ({"initial": np.full(5, 0.3)}, "sum of initial must be 1, not 1.5"),
        ({"initial": [1.0]}, "shape of initial"),
        ({"terminal": np.ones(5)}, "every state is terminal"),
        ({"terminal": [1, 0, 0, 0, 0], "initial": [1, 0, 0, 0, 0]}, "state 0 is terminal, and an episode cannot start"),
        ({"gamma": 1.0}, "from state 0 none can"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message: str) -> None:
    transitions, rewards = dense()
    with pytest.raises(ValueError, match=message):
        TabularMDP.from_arrays(transitions, rewards, **arguments)


def test_shapes_are_checked() -> None:
    transitions, rewards = dense()
    with pytest.raises(ValueError, match=r"shape of rewards must be \(n_states,\), \(n_states, n_actions\)"):
        TabularMDP.from_arrays(transitions, rewards[:, :2, 0])
    with pytest.raises(ValueError, match="shape of transitions"):
        TabularMDP.from_arrays(transitions[:4], rewards)
    with pytest.raises(ValueError, match="shape of transitions"):
        TabularMDP(transitions.reshape(15, 5), np.ones((5, 3)))
    with pytest.raises(ValueError, match="one of action 1 in state 0 is 7"):
        TabularMDP.from_successors([[[0], [7]]], [[[1.0], [1.0]]], [0.0])
    with pytest.raises(ValueError, match="one of action 0 in state 1 is -1"):
        TabularMDP.from_function(lambda s, a: [(1.0, -s, 0.0, False)], 2, 1)


def test_undiscounted_needs_an_ending_where_the_start_leads() -> None:
    # 0 -> 1 -> end; 2 goes round in circles, and nothing leads there
    transitions = np.zeros((3, 1, 3))
    transitions[0, 0, 1] = transitions[1, 0, 1] = transitions[2, 0, 2] = 1.0
    terminal = [False, True, False]
    with pytest.raises(ValueError, match="from state 2 none can: give terminal states, gamma < 1 or a horizon"):
        TabularMDP.from_arrays(transitions, np.ones(3), terminal=terminal, gamma=1.0)
    mdp = TabularMDP.from_arrays(transitions, np.ones(3), terminal=terminal, gamma=1.0, initial=[1, 0, 0])
    np.testing.assert_array_equal(mdp.terminal, [False, True, True])
    np.testing.assert_array_equal(mdp.steps_to_end, [1, 0, 0])


def test_steps_to_end_are_shortest_paths() -> None:
    mdp = TabularMDP.from_env(gym.make("ilrl/GridMaze-v0", size=7, slip=0.0))
    steps = np.where(mdp.terminal, 0.0, np.inf)
    dynamics = mdp.transitions.toarray().reshape(4, 49, 49) > 0
    for _ in range(49):
        through = np.where(dynamics, steps, np.inf).min(axis=(0, 2))
        steps = np.minimum(steps, 1 + np.where((mdp.ending > 0).any(axis=0), 0.0, through))
    np.testing.assert_array_equal(mdp.steps_to_end, steps)
