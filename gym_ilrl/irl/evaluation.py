"""What an objective of inverse reinforcement learning says of a reward."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.occupancy import flow, soft_occupancy
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.solve import solve
from gym_ilrl.planning.tabular_mdp import TabularMDP


class Learner:
    """The soft optimal agent of a reward; what it takes more than the gradient needs is computed when it is asked for.

    :param mdp: the process with the reward
    :param temperature: of the soft values
    :param solution: its policy, where it is known
    :param system: keeps the factor of the linear equations
    """

    def __init__(
        self,
        mdp: TabularMDP,
        temperature: float,
        solution: Solution | None = None,
        system: PolicySystem | None = None,
    ) -> None:
        self.mdp = mdp
        self.temperature = temperature
        self._solution = solution
        self._system = system

    @cached_property
    def solution(self) -> Solution:
        """Values and policy."""
        return solve(self.mdp, self.temperature) if self._solution is None else self._solution

    @cached_property
    def occupancy(self) -> NDArray[np.float64]:
        """Expected discounted visits from the start of the process, of shape ``(n_actions, n_states)``."""
        if self.mdp.horizon is None:
            policy = self.solution.policy
            system = PolicySystem() if self._system is None else self._system
            return policy * flow(Bellman.of(self.mdp, 0.0), policy, self.mdp.initial, system)
        return soft_occupancy(self.mdp, self.temperature).occupancy


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An objective at a reward.

    :param loss: to be made small
    :param gradient: derivative of the loss with respect to the rewards, of shape ``(n_actions, n_states)``
    :param log_likelihood: mean log-likelihood of a step of the demonstrations, in nats; NaN where it is not known
    :param learner: the agent of the reward
    """

    loss: float
    gradient: NDArray[np.float64]
    log_likelihood: float
    learner: Learner

    @property
    def solution(self) -> Solution:
        """Values and policy of the learner; with a horizon they are computed when this is first read."""
        return self.learner.solution

    @property
    def occupancy(self) -> NDArray[np.float64]:
        """Expected discounted visits of the learner from ``mdp.initial``, of shape ``(n_actions, n_states)``.

        Computed when this is first read.
        """
        return self.learner.occupancy
