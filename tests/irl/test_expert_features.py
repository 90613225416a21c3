"""Feature expectations of demonstrations, and what they do not show."""

import numpy as np
import pytest

from gym_ilrl.irl.expert_features import expert_features, unseen_share
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import features_of
from gym_ilrl.planning import TabularMDP

FEATURES = np.random.default_rng(0).normal(size=(4, 2))


def corridor(**arguments):
    """States 0 to 3 in a row: action 0 goes on, action 1 stays; 3 is the end."""
    successors = [[[min(s + 1, 3)], [s]] for s in range(4)]
    arguments = {"gamma": 0.5, "terminal": [False, False, False, True], **arguments}
    return TabularMDP.from_successors(successors, np.ones((4, 2, 1)), np.zeros(4), **arguments)


@pytest.mark.parametrize("given", [None, FEATURES])
def test_states_alone_say_the_same(given):
    mdp = corridor()
    sequences = [[0, 0, 1, 2, 3], [1, 2]]
    visits = ExpertVisits.from_states(sequences, mdp)
    rows = np.eye(4) if given is None else given
    by_hand = sum(0.5**t * rows[s] for states in ([0, 0, 1, 2, 3], [1]) for t, s in enumerate(states)) / 2
    np.testing.assert_allclose(expert_features(features_of(mdp, given, "states"), visits, mdp), by_hand)


def test_actions_need_actions():
    mdp = corridor()
    visits = ExpertVisits.from_states([[0, 1]], mdp)
    with pytest.raises(ValueError, match="without the expert's actions"):
        expert_features(features_of(mdp, None, "actions"), visits, mdp)


def test_occupancies_meet_the_terminal_state_on_arrival():
    mdp = corridor(initial=[1, 0, 0, 0])
    occupancy = np.zeros((4, 2))
    occupancy[[0, 1, 2], 0] = [1.0, 0.5, 0.25]
    visits = ExpertVisits.from_occupancy(occupancy, mdp)
    met = expert_features(features_of(mdp, FEATURES, "states"), visits, mdp)
    np.testing.assert_allclose(met, np.array([1.0, 0.5, 0.25, 0.125]) @ FEATURES)
    assert unseen_share(visits, mdp) == 0.0


def test_share_that_is_cut_off():
    sequences = [[0, 1, 2, 3], [0, 0], [0, 1, 1]]  # complete, 1 step, 2 steps
    mdp = corridor()
    assert unseen_share(ExpertVisits.from_states(sequences, mdp), mdp) == pytest.approx((0.0 + 0.5 + 0.25) / 3)
    mdp = corridor(horizon=2, gamma=1.0)
    assert unseen_share(ExpertVisits.from_states(sequences[1:], mdp), mdp) == pytest.approx(0.5)
    assert unseen_share(ExpertVisits.from_states(sequences[2:], mdp), mdp) == 0.0
