"""The feature expectation of an expert, from its demonstrations."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import Features
from gym_ilrl.planning import TabularMDP


def expert_features(features: Features, visits: ExpertVisits, mdp: TabularMDP) -> NDArray[np.float64]:
    """Return the mean over the episodes of the discounted sum of features, of shape ``(d,)``.

    :param features: of states, actions or transitions
    :param visits: of the expert, possibly without actions
    :param mdp: the process
    :raises ValueError: if the expert's actions are not known and features are not of states
    """
    if visits.has_actions:
        return features.adjoint(visits.occupancy)
    if not features.earned.on_states:
        raise ValueError(
            "features of actions cannot be matched without the expert's actions; give reward_on='states', or "
            "demonstrations with actions"
        )
    steps = visits.steps
    arrived = mdp.terminal[steps.next_state]
    states = np.concatenate([steps.state, steps.next_state[arrived]])
    times = np.concatenate([steps.time, steps.time[arrived] + 1])
    table = np.bincount(states, mdp.gamma**times, mdp.n_states) / visits.n_episodes
    return table if features.matrix is None else np.asarray(features.matrix.T @ table)


def unseen_share(visits: ExpertVisits, mdp: TabularMDP) -> float:
    """Return the weight of what the demonstrations do not show because they are cut off.

    :param visits: of the expert
    :param mdp: the process
    :return: mean over the episodes of the discount ``gamma^T`` after their last step, 0 where they are over
    """
    if visits.is_complete:
        return 0.0
    steps = visits.steps
    last = steps.is_last
    after, going_on = steps.time[last] + 1, ~mdp.terminal[steps.next_state[last]]
    if mdp.horizon is not None:
        going_on &= after < mdp.horizon
    return float((mdp.gamma**after * going_on).mean())
