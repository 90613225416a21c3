"""Structured maximum margin: weights by which the expert beats every policy by as much as that policy differs.

Ratliff, Bagnell & Zinkevich, "Maximum margin planning", 2006.
"""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.feature_matching import Mixture, deviation, size_of
from gym_ilrl.irl.max_margin import nearest_mixture
from gym_ilrl.irl.policy_planner import Plan, Plans

_PROXIMITY = 0.1  # of the loss in one program to that of the last one, in units of the largest loss


def disagreement(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of taking another action than the expert does; 1 where the expert never was.

    Summed over an episode it is the policy distance: the expected number of steps on which a policy and the expert
    disagree.

    :param counts: how often the expert took each action in each state, of shape ``(n_actions, n_states)``
    """
    visits = counts.sum(axis=0)
    loss: NDArray[np.float64] = 1.0 - counts / np.where(visits > 0.0, visits, 1.0)
    return loss


class StructuredMaxMargin:
    """A search for the weights that minimise the regularised structured hinge loss, per step of the expert,

        ``l2 / 2 |w|^2 + max_policy [w mu + loss(policy)] - w mu_E - loss(expert)``

    Planning for ``w mu + loss`` gives a subgradient, ``l2 w + mu_planned - mu_E`` (section 3.2 of the paper). Weights
    are averages of the subgradients met so far, ``w = (mu_E - sum_i x_i mu_i) / l2``; the averaging ``x`` is not
    a schedule but the best there is, from the dual problem over ``x >= 0, sum x = 1``

        ``max sum_i x_i loss_i - l2 / 2 |w(x)|^2``

    (Joachims, Finley & Yu, "Cutting-plane training of structural SVMs", 2009), whose value also tells how far from the
    minimum the weights can be at most.

    :param expert: feature expectation of the expert, of shape ``(d,)``
    :param visits: the expert's discounted visits per episode, of shape ``(n_actions, n_states)``
    :param loss: of each action in each state, see :func:`disagreement`, of the same shape
    :param plans: returns the best policy for weights and rewards besides
    :param tolerance: stop when the objective is above its minimum by at most this share of its value at zero weights
    :param l2_coef: weight of the regularisation, positive
    :param costs: weights are at most 0
    """

    def __init__(
        self,
        expert: NDArray[np.float64],
        visits: NDArray[np.float64],
        loss: NDArray[np.float64],
        plans: Plans,
        tolerance: float,
        l2_coef: float,
        costs: bool = False,
    ) -> None:
        self._expert, self._loss, self._plans = expert, loss, plans
        self._tolerance, self._l2_coef, self._costs = tolerance, l2_coef, costs
        self._length = float(visits.sum())
        self._expert_loss = float(np.vdot(loss, visits))
        self._differences = np.empty((0, len(expert)))  # mu_E - mu_i, per step
        self._losses = np.empty(0)
        self._mixture = np.empty(0)
        self._now = np.zeros_like(expert)
        self._margin = -np.inf
        self._at_zero, self._lower, self._objective = np.inf, -np.inf, np.inf
        self.weights = np.zeros_like(expert)
        self._policy: Plan | None = None

    def step(self) -> None:
        """Plan for the weights and the loss, average anew, and plan for the best weights without the loss."""
        plan = self._plans(self._now, self._loss)
        difference = (self._expert - plan.features) / self._length
        loss = (plan.bonus - self._expert_loss) / self._length
        penalty = 0.5 * self._l2_coef * float(self._now @ self._now)
        self._margin = float(self._now @ difference) - loss
        objective = penalty - self._margin
        if not np.isfinite(self._at_zero):
            self._at_zero = objective
        if objective < self._objective:
            self._objective, self.weights = objective, self._now
            self._policy = self._plans(self._now, None)
        self._differences = np.vstack([self._differences, difference])
        self._losses = np.append(self._losses, loss)
        self._mixture = np.append(self._mixture, 0.0 if len(self._mixture) else 1.0)
        self._average()

    def _average(self) -> None:
        """Improve the solution of the dual problem by a nearest point.

        The dual is a squared distance but for its linear term. Held near its last value, ``- loss + k^2 / 2 (loss -
        last)^2 = (k (loss - last) - 1 / k)^2 / 2 + const``, it is one more coordinate of the distance. From step to
        step that is the proximal point method (Rockafellar, 1976), whose limit is exact.
        """
        k = _PROXIMITY / (np.abs(self._losses).max() or 1.0)
        last = float(self._mixture @ self._losses)
        scaled = self._differences / np.sqrt(self._l2_coef)
        points = np.column_stack([scaled, k * (self._losses - last) - 1.0 / k])
        self._mixture = nearest_mixture(points, scaled.shape[1] if self._costs else 0)
        loss = float(self._mixture @ self._losses)
        self._now = deviation(self._mixture @ self._differences, self._costs) / self._l2_coef
        self._lower = max(self._lower, loss - 0.5 * self._l2_coef * float(self._now @ self._now))
        used = self._mixture > 0.0
        self._differences, self._losses = self._differences[used], self._losses[used]
        self._mixture = self._mixture[used]

    @property
    def objective(self) -> float:
        """The regularised hinge loss at :attr:`weights`, in steps on which policy and expert disagree, per step."""
        return self._objective

    @property
    def error(self) -> float:
        """Distance between the feature expectations of the best policy and of the expert, relative to the expert's."""
        if self._policy is None:
            return np.inf
        gap = deviation(self._expert - self._policy.features, self._costs)
        return float(np.linalg.norm(gap)) / size_of(self._expert)

    @property
    def margin(self) -> float:
        """What the expert has ahead of the last policy planned with the loss, the loss included, per step."""
        return self._margin

    @property
    def converged(self) -> bool:
        """Whether the objective is known to be as close to its minimum as the tolerance asks."""
        return self._policy is not None and self._objective - self._lower <= self._tolerance * self._at_zero

    @property
    def result(self) -> Mixture:
        """The best policy for the weights, alone.

        :raises LookupError: if there was no step yet
        """
        if self._policy is None:
            raise LookupError("nothing was planned yet: step() comes first")
        return Mixture([self._policy.actions], np.ones(1), 0)
