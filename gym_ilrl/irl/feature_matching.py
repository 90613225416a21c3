"""Searches for a mixture of policies that meets the same features as the expert does.

The feature expectations of all mixtures of policies are a convex set. Its point that is closest to the expert's is
found by planning alone (Abbeel & Ng, "Apprenticeship learning via inverse reinforcement learning", 2004): weights that
point from the mixture at hand to the expert, the best policy for them, a better mixture. In the terms of convex
optimisation that is the method of Frank and Wolfe (1956): planning minimises a linear function over the set, which also
gives a bound of the distance from below,

    ``|mu_E - mu|  >=  w (mu_E - mu)  >=  w (mu_E - mu_planned)``  for all ``mu`` of the set and ``|w| = 1``.

So the search knows when no policy can come closer, also where the expert's expectation, estimated from a few
demonstrations, is out of reach.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.policy_planner import Plan, Plans


class Mixture(NamedTuple):
    """Deterministic policies, one of which is drawn at the start of each episode.

    :param policies: actions, each of shape ``(n_states,)`` or ``(horizon, n_states)``
    :param weights: probability of each policy, of shape ``(n_policies,)``
    :param closest: index of the policy that comes closest to the expert by itself; its probability may be 0
    """

    policies: list[NDArray[np.int64]]
    weights: NDArray[np.float64]
    closest: int


def deviation(difference: NDArray[np.float64], costs: bool) -> NDArray[np.float64]:
    """Return what counts of a difference ``mu_E - mu``: of costs only where the expert's are lower."""
    return np.minimum(difference, 0.0) if costs else difference


def size_of(expert: NDArray[np.float64]) -> float:
    """Return the unit of distances between feature expectations: the norm of the expert's, or 1 if that is 0."""
    return float(np.linalg.norm(expert)) or 1.0


class MixtureSearch(ABC):
    """A search for the mixture of policies whose feature expectation is closest to the expert's.

    :param expert: feature expectation of the expert, of shape ``(d,)``
    :param plans: returns the best policy for weights
    :param tolerance: stop when the mixture is at most this much farther from the expert than the closest one is,
        relative to the norm of the expert's feature expectation (absolute if that is 0)
    :param costs: weights are at most 0: only what a policy meets *more* often than the expert counts as a distance
    """

    def __init__(self, expert: NDArray[np.float64], plans: Plans, tolerance: float, costs: bool = False) -> None:
        self._expert = expert
        self._plans = plans
        self._tolerance = tolerance * size_of(expert)
        self._costs = costs
        self._policies: list[NDArray[np.int64]] = []
        self._features = np.empty((0, len(expert)))
        self._mixture = np.empty(0)
        self._bound = 0.0
        self._margin = -np.inf
        self._closest: tuple[float, NDArray[np.float64], Plan] | None = None

    @abstractmethod
    def _mix(self, differences: NDArray[np.float64], mixture: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the new weights of the policies.

        :param differences: ``mu_E - mu_i``, the last of them of the new policy, of shape ``(n_policies, d)``
        :param mixture: weights of the policies so far, of shape ``(n_policies - 1,)``
        """

    def step(self) -> None:
        """Plan for the current direction, and mix anew."""
        direction = self.direction
        plan = self._plans(direction, None)
        difference = self._expert - plan.features
        self._margin = float(direction @ difference)
        self._bound = max(self._bound, self._margin)
        distance = float(np.linalg.norm(deviation(difference, self._costs)))
        if self._closest is None or distance < self._closest[0]:
            self._closest = distance, direction, plan
        features = np.vstack([self._features, plan.features])
        mixture = self._mix(self._expert - features, self._mixture)
        used = np.flatnonzero(mixture)
        self._policies = [[*self._policies, plan.actions][i] for i in used]
        self._features, self._mixture = features[used], mixture[used]

    @property
    def direction(self) -> NDArray[np.float64]:
        """Weights of norm 1 (or 0, if nothing is left to do), from the mixture to the expert; at first from 0."""
        gap = deviation(self._expert - self._mixture @ self._features, self._costs)
        norm = float(np.linalg.norm(gap))
        unit: NDArray[np.float64] = gap / (norm or 1.0)
        return unit

    @property
    def n_policies(self) -> int:
        """Number of policies that are mixed."""
        return len(self._policies)

    @property
    def error(self) -> float:
        """Distance between the mixture's feature expectation and the expert's, relative to the expert's norm."""
        if not self._policies:
            return np.inf
        gap = deviation(self._expert - self._mixture @ self._features, self._costs)
        return float(np.linalg.norm(gap)) / size_of(self._expert)

    @property
    def margin(self) -> float:
        """What the expert has ahead of the last policy, by the weights of norm 1 that it was planned for.

        Relative to the norm of the expert's feature expectation. No mixture has a smaller error.
        """
        return self._margin / size_of(self._expert)

    @property
    def converged(self) -> bool:
        """Whether no mixture is closer to the expert by more than the tolerance."""
        return bool(self._policies) and self.error * size_of(self._expert) - self._bound <= self._tolerance

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of norm 1 whose best policy comes closest to the expert by itself, of shape ``(d,)``."""
        return np.zeros_like(self._expert) if self._closest is None else self._closest[1]

    @property
    def result(self) -> Mixture:
        """The mixture, and the closest one of all policies.

        :raises LookupError: if there was no step yet
        """
        if self._closest is None:
            raise LookupError("nothing was planned yet: step() comes first")
        actions = self._closest[2].actions
        for i, policy in enumerate(self._policies):
            if np.array_equal(policy, actions):
                return Mixture(list(self._policies), self._mixture.copy(), i)
        return Mixture([*self._policies, actions], np.append(self._mixture, 0.0), len(self._policies))
