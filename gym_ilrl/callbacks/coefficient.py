"""The weight of a loss that is added to an algorithm's own, over the course of the training."""

from typing import Literal

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import Schedule

from gym_ilrl.arguments import is_number, require

Anneal = Literal["linear", "constant"] | float


class Coefficient:
    """A number of at least 0 that is annealed, or an SB3 schedule.

    :param coef: the initial value, or a function of the progress remaining, from 1 to 0, which is not annealed further
    :param anneal: ``"linear"``: in proportion to the progress remaining; ``"constant"``; or a number in (0, 1) that
        the coefficient is multiplied by after each rollout
    :raises ValueError: if an argument is none of these
    """

    def __init__(self, coef: float | Schedule, anneal: Anneal = "linear") -> None:
        is_weight = callable(coef) or (is_number(coef) and float(coef) >= 0)
        require(is_weight, "coef", coef, "a number of at least 0, or a function of the progress remaining")
        is_factor = is_number(anneal) and 0 < float(anneal) < 1
        require(
            anneal in ("linear", "constant") or is_factor,
            "anneal",
            anneal,
            "'linear', 'constant' or a number in (0, 1)",
        )
        self.coef = coef
        self.anneal = anneal
        self._factor = 1.0

    def value(self, model: BaseAlgorithm) -> float:
        """Return the present value.

        :param model: whose progress counts, in the present ``learn()``
        :raises ValueError: if a schedule returns anything but a number of at least 0
        """
        # SB3's own attribute is that of the training before until the first rollout has ended
        remaining = 1.0 - model.num_timesteps / max(1, model._total_timesteps)
        if callable(self.coef):
            coef = self.coef(remaining)
            expected = (
                f"a number of at least 0, which its schedule must return at a progress remaining of {remaining:g}"
            )
            require(is_number(coef) and coef >= 0, "coef", coef, expected)
            return float(coef)
        if self.anneal == "linear":
            return float(self.coef) * max(0.0, remaining)
        return float(self.coef) * self._factor

    def next_rollout(self) -> None:
        """Count a rollout, for an annealing by rollouts."""
        if not isinstance(self.anneal, str):
            self._factor *= self.anneal
