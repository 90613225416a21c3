"""How the parameters of a reward are found: L-BFGS for linear rewards, torch's optimisers for all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch as th
from numpy.typing import NDArray

from gym_ilrl.irl.evaluation import Evaluation
from gym_ilrl.irl.features import Features
from gym_ilrl.irl.minimise import Stop, minimise, scales
from gym_ilrl.irl.objectives import Objective
from gym_ilrl.rewards.differentiable import differentiable
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.model import RewardModel


@dataclass(frozen=True)
class Progress:
    """One evaluation of the loss.

    :param evaluation: of the objective
    :param loss: penalties included
    :param gradient: largest part of the gradient with respect to the weights, relative to the largest demonstrated
        feature expectation; NaN for networks
    """

    evaluation: Evaluation
    loss: float
    gradient: float


OnEvaluation = Callable[[Progress], bool]


class RewardFit:
    """Minimises an objective over the parameters of a reward.

    :param model: whose parameters are changed
    :param objective: of rewards of shape ``(n_actions, n_states)``
    :param features: what rewards are made of
    :param inputs: what a network sees of every state or action, of shape ``(n, d)``; None for linear rewards
    :param expectation: of the features under the demonstrations, in the units of the objective, of shape ``(d,)``
    :param l1_coef: weight of the sum of absolute values
    :param l2_coef: weight of half the sum of squares
    """

    def __init__(
        self,
        model: RewardModel,
        objective: Objective,
        features: Features,
        inputs: th.Tensor | None,
        expectation: NDArray[np.float64],
        l1_coef: float,
        l2_coef: float,
    ) -> None:
        self.model = model
        self.best: Progress | None = None
        self.objective = objective
        self._features, self._inputs = features, inputs
        self._scales, self._unit = scales(expectation), float(np.abs(expectation).max()) or 1.0
        self._l1, self._l2 = l1_coef, l2_coef

    def lbfgs(self, on_evaluation: OnEvaluation) -> None:
        """Minimise by L-BFGS; for linear rewards. The best weights are kept.

        :param on_evaluation: called after every evaluation, tells whether to go on
        """
        assert isinstance(self.model.learned, LinearReward)
        weights = self.model.learned.weights

        def function(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            evaluation, gradient = self._at(point)
            smooth = evaluation.loss + 0.5 * self._l2 * float(point @ point)
            gradient = gradient + self._l2 * point
            loss = smooth + self._l1 * float(np.abs(point).sum())
            if not self._report(Progress(evaluation, loss, self._steepest(point, gradient)), on_evaluation):
                raise Stop
            return smooth, gradient

        best = minimise(function, weights.detach().numpy().copy(), self._scales, self._l1)
        weights.data.copy_(th.as_tensor(best.point))

    def descend(
        self,
        optimizer: th.optim.Optimizer,
        set_rate: Callable[[th.optim.Optimizer], None],
        on_evaluation: OnEvaluation,
    ) -> None:
        """Minimise by a torch optimiser. The last parameters are kept.

        :param optimizer: of the model's parameters
        :param set_rate: sets its learning rate before each step
        :param on_evaluation: called after every evaluation, tells whether to go on
        """
        parameters = list(self.model.learned.parameters())
        while True:
            optimizer.zero_grad()
            found: list[Evaluation] = []
            loss = self._loss(found)
            for parameter in parameters:
                loss = loss + self._l1 * parameter.abs().sum() + 0.5 * self._l2 * parameter.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            steepest = float("nan")
            if isinstance(self.model.learned, LinearReward):
                gradient = self.model.learned.weights.grad
                assert gradient is not None
                steepest = float(gradient.abs().max()) / self._unit
            set_rate(optimizer)
            going_on = self._report(Progress(found[0], float(loss.detach()), steepest), on_evaluation)
            optimizer.step()
            if not going_on:
                return

    def _loss(self, found: list[Evaluation]) -> th.Tensor:
        """Return the objective at the model's parameters, as a tensor; put the evaluation into ``found``."""
        earned = self._features.earned
        if isinstance(self.model.learned, LinearReward):

            def of_weights(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
                evaluation, gradient = self._at(point)
                found.append(evaluation)
                return evaluation.loss, gradient

            return differentiable(of_weights, self.model.learned.weights)

        def of_rows(rows: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            evaluation = self.objective(earned.rewards(rows.reshape(earned.table_shape)))
            found.append(evaluation)
            return evaluation.loss, earned.adjoint(evaluation.gradient).ravel()

        assert self._inputs is not None
        return differentiable(of_rows, self.model.rows(self._inputs))

    def _at(self, point: NDArray[np.float64]) -> tuple[Evaluation, NDArray[np.float64]]:
        evaluation = self.objective(self._features.rewards(point))
        return evaluation, self._features.adjoint(evaluation.gradient)

    def _steepest(self, point: NDArray[np.float64], gradient: NDArray[np.float64]) -> float:
        """Return the largest part of the least subgradient, relative to the demonstrated expectations."""
        if self._l1 > 0.0:
            at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - self._l1, 0.0)
            gradient = np.where(point == 0.0, at_zero, gradient + self._l1 * np.sign(point))
        return float(np.abs(gradient).max()) / self._unit

    def _report(self, progress: Progress, on_evaluation: OnEvaluation) -> bool:
        if self.best is None or progress.loss < self.best.loss:
            self.best = progress
        return on_evaluation(progress)
