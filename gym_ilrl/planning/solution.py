"""What a planner returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Solution:
    """Values and policy of a planned problem.

    With a horizon ``H`` the arrays have one more axis in front, the time: ``values`` has ``H + 1`` rows, the last of
    which is 0, and the others have ``H``. In terminal states the value is 0 and soft policies are uniform. Of an
    action that is not available the probability is 0; its Q-value, and the logarithm of its probability under a soft
    policy, are very negative but finite: about -1e100, the Q-value times the temperature.

    :param values: of shape ``(n_states,)``
    :param q_values: of shape ``(n_actions, n_states)``
    :param log_policy: logarithm of the probability of each action, of shape ``(n_actions, n_states)``
    :param temperature: the values contain ``temperature`` times the entropy of the policy; 0: hard
    :param solver: ``"finite_horizon"``, ``"value_iteration"`` or ``"newton"``
    :param iterations: sweeps over the states, or Newton steps; after ``"auto"``, of the solver that came last
    :param residual: largest difference between the values and their own backup
    """

    values: NDArray[np.float64]
    q_values: NDArray[np.float64]
    log_policy: NDArray[np.float64]
    temperature: float
    solver: str
    iterations: int
    residual: float

    @property
    def policy(self) -> NDArray[np.float64]:
        """Probability of each action, of the shape of ``log_policy``."""
        return np.exp(self.log_policy)

    @property
    def actions(self) -> NDArray[np.int64]:
        """The most probable action of each state, the lowest one of several."""
        actions: NDArray[np.int64] = self.log_policy.argmax(axis=-2)
        return actions
