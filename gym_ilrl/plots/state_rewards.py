"""The reward of each state that the expected rewards of a process are made of."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, lsqr

from gym_ilrl.irl.features import EarnedRewards
from gym_ilrl.planning.tabular_mdp import TabularMDP

_PRECISION = 1e-6  # of a reward, relative to the largest one
_MOST_STEPS = 1_000


def state_rewards(mdp: TabularMDP) -> NDArray[np.float64] | None:
    """Return the rewards on states that earn what the actions of a process are expected to earn, where there are some.

    Of ``FrozenLake``, whose actions earn their chance to arrive at the goal: a reward on the goal, and 0 elsewhere.
    Solves ``w(s) + gamma sum_s' P(end in s' | s, a) w(s') = r(a, s)`` for ``w`` by least squares; what is not
    determined by it is 0.

    :param mdp: the process
    :return: of shape ``(n_states,)``; None if the reward depends on the action in another way, as in ``CliffWalking``
    """
    if mdp.final_transitions is None and mdp.ending.any():
        return None
    earned = EarnedRewards(mdp, "states")
    exists = ~mdp.terminal & (True if mdp.available is None else mdp.available)
    shape = mdp.rewards.shape
    operator = LinearOperator(
        (mdp.rewards.size, mdp.n_states),
        matvec=lambda table: (earned.rewards(table) * exists).ravel(),
        rmatvec=lambda rewards: earned.adjoint(rewards.reshape(shape) * exists),
        dtype=np.float64,
    )
    table: NDArray[np.float64] = lsqr(operator, mdp.rewards.ravel(), atol=1e-12, btol=1e-12, iter_lim=_MOST_STEPS)[0]
    wrong = np.abs((earned.rewards(table) - mdp.rewards) * exists).max(initial=0.0)
    largest = np.abs(mdp.rewards).max()
    table[np.abs(table) <= _PRECISION * largest] = 0.0
    return table if wrong <= _PRECISION * largest else None
