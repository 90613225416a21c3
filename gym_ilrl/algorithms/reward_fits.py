"""How the parameters of a reward are found: L-BFGS for linear rewards, torch's optimisers for all."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch as th
from numpy.typing import NDArray

from gym_ilrl.irl.evaluation import Evaluation
from gym_ilrl.irl.features import Features
from gym_ilrl.irl.minimise import Stop, minimise, scales
from gym_ilrl.irl.objectives import Objective
from gym_ilrl.irl.penalty import Penalty
from gym_ilrl.planning import DivergenceError
from gym_ilrl.rewards.differentiable import differentiable
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.model import RewardModel

_ROUNDING = 1e-9  # of a loss, relative to its size (or to 1)
_SAME = 1e-15  # of weights that were scaled and scaled back, relative to their size
_HALVINGS = 30  # of a step of a torch optimiser to where the soft values are infinite


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


@dataclass(frozen=True, eq=False)
class _Known:
    """The loss without absolute values, and its gradient, at a point."""

    point: NDArray[np.float64]
    smooth: float
    gradient: NDArray[np.float64]


OnEvaluation = Callable[[Progress], bool]
Found = TypeVar("Found")


class RewardFit:
    """Minimises an objective over the parameters of a reward.

    :param model: whose parameters are changed
    :param objective: of rewards of shape ``(n_actions, n_states)``
    :param features: what rewards are made of
    :param expectation: of the features under the demonstrations, in the units of the objective, of shape ``(d,)``
    :param penalty: of the parameters; its squares are counted from 0 for a network
    """

    def __init__(
        self,
        model: RewardModel,
        objective: Objective,
        features: Features,
        expectation: NDArray[np.float64],
        penalty: Penalty,
    ) -> None:
        self.best: Progress | None = None
        self.objective = objective
        self._model, self._features, self._penalty = model, features, penalty
        self._inputs = None if isinstance(model.learned, LinearReward) else model.inputs(features)
        # a table's entries have one unit already, and the prior's: only features may be met in different units
        self._scales = np.ones(len(expectation)) if features.matrix is None else scales(expectation)
        self._known: _Known | None = None  # of the best weights
        self._before: list[tuple[th.nn.Parameter, th.Tensor]] = []
        self._unit = float(np.abs(expectation).max()) or 1.0

    def lbfgs(self, on_evaluation: OnEvaluation) -> None:
        """Minimise by L-BFGS; for linear rewards. The best weights are kept, also if something fails.

        It begins anew from the best weights where that makes progress, until none is possible.

        :param on_evaluation: called after every evaluation, with the model's weights where it was made; tells whether
            to go on
        """
        weights = self._weights()
        here = weights.detach().cpu().numpy().copy()
        if self._known is None or not np.array_equal(self._known.point, here):
            self.best, self._known = None, None

        def function(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            known = self._known
            if known is not None and np.allclose(point, known.point, rtol=_SAME, atol=0.0):
                return known.smooth, known.gradient  # where the last search has ended
            progress, smooth, gradient = self._at(point)
            if self._is_best(progress):
                self.best, self._known = progress, _Known(point.copy(), smooth, gradient)
            weights.data.copy_(th.as_tensor(point))
            if not on_evaluation(progress):
                raise Stop
            return smooth, gradient

        try:
            before = np.inf
            while self.best is None or self.best.gradient < 0.5 * before:
                before = np.inf if self.best is None else self.best.gradient
                start = here if self._known is None else self._known.point
                if minimise(function, start, self._scales, self._penalty.l1).is_stopped:
                    return
        finally:
            if self._known is not None:
                weights.data.copy_(th.as_tensor(self._known.point))

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
        parameters = [each for each in self._model.learned.parameters() if each.requires_grad]
        self._model.learned.train()
        going_on = True
        while going_on:
            optimizer.zero_grad()
            self.best, loss = self._shortened(self._with_graph)
            loss.backward()  # type: ignore[no-untyped-call]
            set_rate(optimizer)
            going_on = on_evaluation(self.best)
            self._before = [(parameter, parameter.detach().clone()) for parameter in parameters]
            optimizer.step()

    def evaluate(self) -> Evaluation:
        """Return the objective at the model's parameters."""

        def attempt() -> Evaluation:
            return self.objective(self._features.earned.rewards(self._model.tabulate(self._features)))

        return self._shortened(attempt)

    def _shortened(self, attempt: Callable[[], Found]) -> Found:
        """Return what is found at the parameters; where soft values are infinite, the last step is halved."""
        for _ in range(_HALVINGS if self._before else 0):
            with suppress(DivergenceError):
                return attempt()
            for parameter, old in self._before:
                parameter.data.lerp_(old, 0.5)
        return attempt()

    def _with_graph(self) -> tuple[Progress, th.Tensor]:
        """Return the loss at the model's parameters, also as a tensor whose gradient reaches them."""
        found: list[Progress] = []
        if self._inputs is None:
            weights = self._weights()

            def of_weights(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
                progress, _, gradient = self._at(point)
                found.append(progress)
                return progress.loss, gradient + self._penalty.l1 * np.sign(point)

            loss = differentiable(of_weights, weights)
            return found[0], loss
        earned = self._features.earned

        def of_rows(rows: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            evaluation = self.objective(earned.rewards(rows.reshape(earned.table_shape)))
            found.append(Progress(evaluation, evaluation.loss, float("nan")))
            return evaluation.loss, earned.adjoint(evaluation.gradient).ravel()

        loss = differentiable(of_rows, self._model.rows(self._inputs))
        for parameter in self._model.learned.parameters():
            loss = loss + self._penalty.l1 * parameter.abs().sum()
            loss = loss + 0.5 * float(self._penalty.l2) * parameter.square().sum()
        return replace(found[0], loss=float(loss.detach())), loss

    def _at(self, point: NDArray[np.float64]) -> tuple[Progress, float, NDArray[np.float64]]:
        """Return the loss at a point; its part without absolute values, and the gradient of that."""
        evaluation = self.objective(self._features.rewards(point))
        squares, slope = self._penalty.squares(point)
        smooth, gradient = evaluation.loss + squares, self._features.adjoint(evaluation.gradient) + slope
        steepest = float(np.abs(self._penalty.least_slope(point, gradient)).max()) / self._unit
        return Progress(evaluation, smooth + self._penalty.absolutes(point), steepest), smooth, gradient

    def _is_best(self, progress: Progress) -> bool:
        """Tell whether a point is better than the best one: of losses that are equal up to rounding, the flatter."""
        if self.best is None or not np.isfinite(self.best.loss):
            return True
        rounding = _ROUNDING * max(1.0, abs(self.best.loss))
        if abs(progress.loss - self.best.loss) <= rounding:
            return progress.gradient < self.best.gradient
        return progress.loss < self.best.loss

    def _weights(self) -> th.nn.Parameter:
        assert isinstance(self._model.learned, LinearReward)
        return self._model.learned.weights
