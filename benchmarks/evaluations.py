"""Evaluations of a policy at even intervals of its training."""

from abc import ABC, abstractmethod
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback


class EvenEvaluations(BaseCallback, ABC):
    """Evaluates the policy at its first step, at even intervals, and in the end.

    :param every: environment steps between two evaluations
    """

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.curve: list[tuple[Any, ...]] = []

    @abstractmethod
    def evaluate(self) -> None:
        """Append a point, the timesteps first, to the curve."""

    def _on_step(self) -> bool:
        if self.num_timesteps >= len(self.curve) * self.every:
            self.evaluate()
        return True

    def _on_training_end(self) -> None:
        self.evaluate()
