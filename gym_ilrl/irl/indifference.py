"""The reward under which it does not matter what one does: where a search for a better one begins."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.tabular_mdp import TabularMDP


def indifferent_rewards(mdp: TabularMDP, temperature: float, on_states: bool) -> NDArray[np.float64]:
    """Return rewards under which the soft optimal policy takes all actions that exist with the same probability.

    A step among ``n`` actions gains the entropy ``temperature * log(n)`` and costs as much; endings earn nothing. Then
    all soft values are 0. Under rewards of 0 an episode that ends misses all further entropy, so that the soft optimal
    policy avoids the end; where episodes do not end, that is no difference, and the rewards are 0.

    :param mdp: the process
    :param temperature: of the soft values, positive
    :param on_states: whether the rewards are of states, or of actions
    :return: of shape ``(n_states,)``, or ``(n_actions, n_states)``
    """
    shape = mdp.rewards.shape[1:] if on_states else mdp.rewards.shape
    if not mdp.ending.any():
        return np.zeros(shape)
    n_actions = np.full(mdp.n_states, mdp.n_actions) if mdp.available is None else mdp.available.sum(axis=0)
    costs = np.where(mdp.terminal, 0.0, -temperature * np.log(np.maximum(n_actions, 1)))
    rewards: NDArray[np.float64] = np.broadcast_to(costs, shape).copy()
    return rewards
