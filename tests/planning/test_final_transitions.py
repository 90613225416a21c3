"""In which state an episode ends, and averages over the next states, the last one included."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from scipy import sparse

from gym_ilrl.planning import TabularMDP, expectations, expected_over_next


def corridor(**arguments) -> TabularMDP:
    """0, 1, 2, 3; state 3 is terminal, and one step in four ends in state 1, where episodes also pass."""

    def outcomes(state: int, action: int):
        arrived = min(state + 1 + action, 3)
        return [(0.25, 1, 5.0, True), (0.75, arrived, 1.0, arrived == 3)]

    return TabularMDP.from_function(outcomes, 4, 2, initial=[0.5, 0.5, 0, 0], **arguments)


def same(one: TabularMDP, other: TabularMDP) -> None:
    np.testing.assert_allclose(one.final_transitions.toarray(), other.final_transitions.toarray(), atol=1e-15)
    np.testing.assert_allclose(one.transitions.toarray(), other.transitions.toarray(), atol=1e-15)
    np.testing.assert_array_equal(one.terminal, other.terminal)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking", "Taxi"])
def test_toy_text_outcomes_that_terminate(name: str) -> None:
    env = gym.make(max(key for key in gym.registry if key.startswith(name)))
    mdp = TabularMDP.from_env(env)
    assert mdp.final_transitions.has_canonical_format
    n_states, final = mdp.n_states, mdp.final_transitions.toarray()
    for s in np.flatnonzero(~mdp.terminal):
        for a in range(mdp.n_actions):
            arriving = np.zeros(n_states)
            for probability, following, _, terminated in env.unwrapped.P[s][a]:
                arriving[following] += probability * terminated
            np.testing.assert_allclose(final[a * n_states + s], arriving)
    np.testing.assert_allclose(final.sum(axis=1).reshape(mdp.ending.shape), np.where(mdp.terminal, 0.0, mdp.ending))


def test_an_episode_may_end_in_a_state_that_is_not_terminal() -> None:
    mdp = corridor()
    np.testing.assert_array_equal(mdp.terminal, [False, False, False, True])
    expected = np.zeros((2, 4, 4))
    expected[:, :3, 1] = 0.25
    expected[0, 2, 3] = expected[1, 1, 3] = expected[1, 2, 3] = 0.75
    np.testing.assert_allclose(mdp.final_transitions.toarray(), expected.reshape(8, 4))
    np.testing.assert_allclose(mdp.ending[:, :3], [[0.25, 0.25, 1.0], [0.25, 1.0, 1.0]])


def test_probability_of_entering_a_terminal_state_is_moved() -> None:
    transitions = np.array([[[0.25, 0.75, 0.0]], [[0.0, 1.0, 0.0]], [[0.2, 0.3, 0.5]]])
    mdp = TabularMDP.from_arrays(transitions, np.ones(3), terminal=[False, True, False])
    np.testing.assert_allclose(mdp.transitions.toarray(), [[0.25, 0, 0], [0, 0, 0], [0.2, 0, 0.5]])
    np.testing.assert_allclose(mdp.final_transitions.toarray(), [[0, 0.75, 0], [0, 0, 0], [0, 0.3, 0]])
    assert TabularMDP.from_arrays(transitions, np.ones(3)).final_transitions.nnz == 0


def test_they_are_kept_and_do_not_change() -> None:
    mdp = corridor()
    for other in (
        mdp.replace(rewards=np.zeros((2, 4))),
        mdp.replace(gamma=0.5, horizon=3),
        mdp.replace(gamma=1.0),
        mdp.replace(initial=[1, 0, 0, 0]),
        pickle.loads(pickle.dumps(mdp)),
        TabularMDP(
            mdp.transitions, mdp.rewards, final_transitions=mdp.final_transitions.toarray(), terminal=[0, 0, 0, 1]
        ),
    ):
        same(mdp, other)
    assert mdp.replace(gamma=0.5, horizon=3).transitions is mdp.transitions
    with pytest.raises(ValueError, match="read-only"):
        mdp.final_transitions.data[0] = 1.0
    with pytest.raises(ValueError, match="gamma must be"):
        mdp.replace(gamma=2.0)
    more = mdp.replace(terminal=[False, False, True, True])  # the second state from the end is made terminal too
    np.testing.assert_allclose(more.final_transitions[0].toarray().ravel(), [0, 0.25, 0, 0])
    np.testing.assert_allclose(more.final_transitions[4].toarray().ravel(), [0, 0.25, 0.75, 0])
    assert more.final_transitions[[2, 6]].nnz == 0


def test_states_that_cannot_end_become_terminal_and_are_arrived_in() -> None:
    # from the trap 2 nothing ends; nothing leads there from the start
    transitions = np.zeros((4, 1, 4))
    transitions[0, 0, 1] = transitions[3, 0, 2] = transitions[2, 0, 2] = 1.0
    mdp = TabularMDP.from_arrays(transitions, np.ones(4), terminal=[0, 1, 0, 0], initial=[1, 0, 0, 0], gamma=1.0)
    np.testing.assert_array_equal(mdp.terminal, [False, True, True, True])
    np.testing.assert_allclose(mdp.final_transitions.toarray(), [[0, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4])


def test_an_ending_that_names_no_state_has_none() -> None:
    ending = [[0.5, 0.0]]
    mdp = TabularMDP([[0.5, 0.0], [0.0, 1.0]], [[1.0, 1.0]], ending=ending)
    assert mdp.final_transitions is None
    assert mdp.replace(initial=[1, 0]).final_transitions is None
    np.testing.assert_allclose(mdp.replace(initial=[1, 0]).ending, ending)
    named = mdp.replace(final_transitions=[[0.0, 0.5], [0.0, 0.0]])
    np.testing.assert_allclose(named.ending, ending)
    assert named.replace(ending=ending).final_transitions is None
    assert TabularMDP([[0.5, 0.5], [0.0, 1.0]], [[1.0, 1.0]], ending=np.zeros((1, 2))).final_transitions is not None
    with pytest.raises(ValueError, match="ends without saying in which state"):
        expected_over_next(mdp, lambda s, a, n: np.ones((len(s), 1)), 1)


@pytest.mark.parametrize(
    ("final", "message"),
    [
        ([[0.0, 0.4], [0.0, 0.0]], "action 0 in state 0 must sum to 1, not 0.9"),
        ([[0.75, -0.25], [0.0, 0.0]], "one of action 0 in state 0 is -0.25"),
        ([[0.0, 0.5]], "shape of final_transitions must be"),
    ],
)
def test_what_is_no_probability_is_refused(final, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TabularMDP([[0.5, 0.0], [0.0, 1.0]], [[1.0, 1.0]], final_transitions=final)
    with pytest.raises(ValueError, match="ending must be None where final_transitions are given"):
        TabularMDP([[0.5, 0.0], [0.0, 1.0]], [[1.0, 1.0]], final_transitions=final, ending=[[0.5, 0.0]])


@pytest.mark.parametrize("block", [1, 3, 1_000_000])
def test_averages_are_over_every_next_state(monkeypatch, block: int) -> None:
    monkeypatch.setattr(expectations, "_BLOCK", block)
    mdp = corridor()
    table = np.random.default_rng(0).normal(size=(4, 2, 4, 3))
    asked = []

    def function(states, actions, next_states):
        asked.append(len(states))
        return table[states, actions, next_states]

    average = expected_over_next(mdp, function, 3)
    chances = (mdp.transitions + mdp.final_transitions).toarray().reshape(2, 4, 4)
    np.testing.assert_allclose(average, np.einsum("asn,sand->asd", chances, table), atol=1e-14)
    assert sum(asked) == mdp.transitions.nnz + mdp.final_transitions.nnz
    assert max(asked) <= max(block, 2)  # rows are not split
    np.testing.assert_array_equal(average[:, 3], 0.0)


def test_rewards_of_transitions_are_such_an_average() -> None:
    generator = np.random.default_rng(0)
    transitions, rewards = generator.dirichlet(np.ones(5), size=(5, 2)), generator.normal(size=(5, 2, 5))
    mdp = TabularMDP.from_arrays(transitions, rewards, terminal=[0, 0, 1, 0, 0])
    average = expected_over_next(mdp, lambda s, a, n: rewards[s, a, n][:, None], 1)[..., 0]
    np.testing.assert_allclose(average, mdp.rewards)
    with pytest.raises(ValueError, match="shape of what function returns"):
        expected_over_next(mdp, lambda s, a, n: np.ones(len(s)), 1)
    with pytest.raises(ValueError, match="d must be a whole number"):
        expected_over_next(mdp, lambda s, a, n: np.ones((len(s), 0)), 0)


def test_sparse_final_transitions_are_added_up() -> None:
    twice = sparse.coo_matrix(([0.25, 0.25], ([0, 0], [1, 1])), shape=(2, 2))
    mdp = TabularMDP([[0.5, 0.0], [0.0, 1.0]], [[1.0, 1.0]], final_transitions=twice)
    np.testing.assert_array_equal(mdp.final_transitions.toarray(), [[0.0, 0.5], [0.0, 0.0]])
