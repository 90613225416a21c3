"""What demonstrations say of a process, and what is refused, by the name of episode and step."""

import numpy as np
import pytest
from gymnasium import spaces
from irl_helpers import drawn, dynamics_of, problem

from gym_ilrl import Demonstrations
from gym_ilrl.irl import ExpertVisits
from gym_ilrl.planning import TabularMDP, occupancy, solve


def line(gamma: float = 0.5, horizon: int | None = None, ends: bool = True, **arguments) -> TabularMDP:
    """States 0 ... 3 in a row; action 0 stays, action 1 goes right; the last one ends it."""
    following = np.array([[s, min(s + 1, 3)] for s in range(4)])[:, :, None]
    terminal = np.arange(4) == 3 if ends else None
    return TabularMDP.from_successors(
        following, np.ones((4, 2, 1)), np.zeros(4), terminal=terminal, gamma=gamma, horizon=horizon, **arguments
    )


def episodes(*given: tuple[list[int], list[int]], terminates: bool = True, starts: tuple[int, int] = (0, 0)):
    described = (spaces.Discrete(4, start=starts[0]), spaces.Discrete(2, start=starts[1]))
    return Demonstrations.from_episodes(
        [
            {
                "observations": np.array(states) + starts[0],
                "actions": np.array(actions) + starts[1],
                "terminations": np.arange(len(actions)) == (len(actions) - 1 if terminates and states[-1] == 3 else -1),
            }
            for states, actions in given
        ],
        described,
    )


TWO = (([0, 1, 1, 2, 3], [1, 0, 1, 1]), ([1, 2, 3], [1, 1]))


def test_counts_and_discounted_occupancy():
    expert = ExpertVisits.from_demonstrations(episodes(*TWO), line(0.5))
    assert expert.counts.tolist() == [[0, 1, 0, 0], [1, 2, 2, 0]]
    np.testing.assert_allclose(
        expert.occupancy, [[0, 0.5 / 2, 0, 0], [1 / 2, (0.25 + 1) / 2, (0.125 + 0.5) / 2, 0]], rtol=1e-15
    )
    assert expert.initial.tolist() == [0.5, 0.5, 0, 0]
    assert expert.transitions.toarray().tolist() == [[0, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 2], [0, 0, 0, 0]]
    assert (expert.n_episodes, expert.n_steps, expert.is_complete, expert.has_actions) == (2, 6, True, True)
    assert expert.steps.time.tolist() == [0, 1, 2, 3, 0, 1]
    assert expert.steps.episode.tolist() == [0, 0, 0, 0, 1, 1]
    assert expert.steps.is_last.tolist() == [False, False, False, True, False, True]


def test_spaces_may_start_anywhere():
    plain = ExpertVisits.from_demonstrations(episodes(*TWO), line())
    moved = ExpertVisits.from_demonstrations(episodes(*TWO, starts=(7, -2)), line(), 7, -2)
    np.testing.assert_array_equal(moved.counts, plain.counts)
    np.testing.assert_array_equal(moved.steps.state, plain.steps.state)


def test_states_alone():
    expert = ExpertVisits.from_states([states for states, _ in TWO], line(0.5))
    with_actions = ExpertVisits.from_demonstrations(episodes(*TWO), line(0.5))
    np.testing.assert_array_equal(expert.transitions.toarray(), with_actions.transitions.toarray())
    np.testing.assert_array_equal(expert.initial, with_actions.initial)
    assert not expert.has_actions
    assert np.isnan(expert.counts).all()
    assert expert.is_complete


@pytest.mark.parametrize(
    ("states", "actions", "arguments", "is_complete"),
    [
        ([0, 1, 2, 3], [1, 1, 1], {}, True),
        ([0, 1, 2], [1, 1], {}, False),  # cut off
        ([0, 1, 2], [1, 1], {"horizon": 2}, True),
        ([0, 1, 2], [1, 1], {"horizon": 3}, False),
        ([0, 1, 2, 3], [1, 1, 1], {"horizon": 9}, True),
        ([1, 2, 3], [1, 1], {"initial": [1, 0, 0, 0]}, False),  # begins in the middle
        ([0] * 31, [0] * 30, {"gamma": 0.5}, True),  # what is cut off counts 1e-9 of the start
        ([0] * 16, [0] * 15, {"gamma": 0.5}, False),
    ],
)
def test_complete_or_not(states, actions, arguments, is_complete):
    mdp = line(**{"gamma": 0.99, **arguments})
    for terminates in (True, False):  # what a time limit cut off in a terminal state has ended all the same
        given = episodes((states, actions), terminates=terminates)
        assert ExpertVisits.from_demonstrations(given, mdp).is_complete is is_complete
    assert ExpertVisits.from_states([states], mdp).is_complete is is_complete


def test_endings_without_a_name_are_accepted():
    dynamics = np.array([[0.5, 0.0], [0.0, 1.0]])
    mdp = TabularMDP(dynamics, np.zeros((1, 2)), ending=[[0.5, 0.0]], gamma=0.9)
    described = (spaces.Discrete(2), spaces.Discrete(1))
    ended = {"observations": [0, 0, 1], "actions": [0, 0], "terminations": [False, True]}
    expert = ExpertVisits.from_demonstrations(Demonstrations.from_episodes([ended], described), mdp)
    assert expert.is_complete
    assert ExpertVisits.from_states([[0, 0, 1]], mdp).is_complete
    with pytest.raises(ValueError, match=r"episode 0, step 0 .* from state 0 to state 1 is impossible"):
        ExpertVisits.from_states([[0, 1, 1]], mdp)  # where it ends it does not go on


@pytest.mark.parametrize(
    ("given", "mdp", "message"),
    [
        (TWO[:1] + (([0, 1, 3], [1, 1]),), line(), r"episode 1, step 1 .* action 1 from state 1 to state 3 is imposs"),
        ((([0, 1, 1, 2], [1, 1, 1]),), line(), r"episode 0, step 1 .* from state 1 to state 1 is impossible"),
        (TWO, line(horizon=3), r"episode 0, step 3 .* beyond the horizon of 3 steps"),
        (TWO, line(available=[[1, 0, 1, 1], [1, 1, 1, 1]]), r"episode 0, step 1 .* action 0 is not available in state"),
        ((([2, 3, 3], [1, 0]),), line(), r"episode 0, step 1 .* state 3 is terminal"),
        ((([2, 3], [1]),), line(ends=False), r"episode 0, step 0 .* ended the episode, and in the model it goes on"),
    ],
)
def test_what_the_process_does_not_have_is_refused(given, mdp, message):
    with pytest.raises(ValueError, match=message):
        ExpertVisits.from_demonstrations(episodes(*given), mdp)


@pytest.mark.parametrize(
    ("states", "mdp", "message"),
    [
        ([[0, 1, 2], [0, 2]], line(), r"episode 1, step 0 .* the step from state 0 to state 2 is impossible"),
        ([[0, 4]], line(), r"episode 0, step 0 .* state 4 is none of 0 ... 3"),
        ([[-1, 0]], line(), r"episode 0, step 0 .* state -1 is none"),
        ([[2, 3, 3]], line(), r"step 1 .* state 3 is terminal"),
        ([[0, 1]], line(available=[[1, 1, 1, 1], [0, 1, 1, 1]]), r"from state 0 to state 1 is impossible"),
        ([[0, 0, 0]], line(horizon=1), r"step 1 .* beyond the horizon"),
        ([[0]], line(), r"sequences\[0\] must be whole numbers, two or more"),
        ([[0.0, 1.0]], line(), r"sequences\[0\] must be whole numbers"),
        ([], line(), "sequences must be at least one"),
    ],
)
def test_states_that_the_process_does_not_have_are_refused(states, mdp, message):
    with pytest.raises(ValueError, match=message):
        ExpertVisits.from_states(states, mdp)


def test_wrong_numbers_and_spaces_are_refused():
    shifted = episodes(*TWO, starts=(1, 1))
    with pytest.raises(ValueError, match=r"episode 0, step 3 .* state 4 is none of 0 ... 3.*numbered"):
        ExpertVisits.from_demonstrations(shifted, line(), 0, 1)
    with pytest.raises(ValueError, match=r"episode 0, step 0 .* action 2 is none of 0 ... 1"):
        ExpertVisits.from_demonstrations(shifted, line(), 1, 0)
    box = Demonstrations.from_episodes(
        [{"observations": np.zeros((2, 1)), "actions": [0]}], (spaces.Box(-1, 1, (1,)), spaces.Discrete(2))
    )
    with pytest.raises(ValueError, match="observation_space must be Discrete"):
        ExpertVisits.from_demonstrations(box, line())


@pytest.mark.parametrize(("gamma", "horizon"), [(0.9, None), (1.0, None), (0.9, 6), (1.0, 6)])
def test_an_occupancy_is_the_limit_of_demonstrations(gamma, horizon):
    mdp = problem(gamma, horizon)
    policy = solve(mdp, 0.5).policy
    exact = ExpertVisits.from_occupancy(occupancy(mdp, policy).T, mdp)
    many = ExpertVisits.from_demonstrations(drawn(mdp, policy, 2000, horizon or 500), mdp)
    assert exact.is_complete
    assert many.is_complete
    np.testing.assert_allclose(many.occupancy, exact.occupancy, atol=0.05)
    np.testing.assert_allclose(many.initial, exact.initial, atol=0.05)
    following = np.einsum("as,ast->st", exact.occupancy, dynamics_of(mdp))
    np.testing.assert_allclose(exact.transitions.toarray(), following, rtol=1e-14)


@pytest.mark.parametrize("horizon", [None, 6])
@pytest.mark.parametrize("ends", [True, False])
def test_what_is_no_occupancy_is_refused(horizon, ends):
    mdp = problem(0.9, horizon, ends=ends)
    right = occupancy(mdp, solve(mdp, 0.5).policy).T
    wrong = {
        "sum": right / right.sum() / 1.1,  # normalised: not per episode
        "0 for action 1": right + 0.1 * (np.arange(12) == 4).reshape(4, 3),
        "state 2 is -0.5": np.where(np.arange(4)[:, None] == 2, -0.5, right),
        "shape": right.T,
    }
    for message, table in wrong.items():
        with pytest.raises(ValueError, match=message):
            ExpertVisits.from_occupancy(table, mdp)
    assert ExpertVisits.from_occupancy(right, mdp).n_episodes == 0
