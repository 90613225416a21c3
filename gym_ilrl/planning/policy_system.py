"""The linear equations of a policy: ``(I - gamma P_pi) x = b`` and, for occupancies, the transposed ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.fill import FREE, factorise, is_factor_affordable
from gym_ilrl.planning.iteration import iterate

_REFINEMENTS = 25  # with an old factor; more cost as much as a new one
_PROGRESS = 0.5  # by which a refinement must reduce the residual
_PRECISION = 1e-13  # of a solution, relative to its largest part


class PolicySystem:
    """Solves the equations of one policy after the other by a sparse LU factor that is renewed only when needed.

    The factor of a policy solves the equations of a similar one by iterative refinement; the residual is computed with
    the policy at hand, so an old factor costs time, never accuracy. Keep one object for a sequence of similar problems.

    Where a factor would fill memory, as in large graphs whose states are connected at random, there is none:
    sweeps, and Krylov steps where they prove to help, then solve the equations to the same precision.

    Copies and pickles have no factor, for SuperLU's cannot be copied; they make one when they need it.
    """

    def __init__(self) -> None:
        self._factor: Any = None
        self._tried: tuple[int, int, bool] = (0, 0, True)  # states and entries of a matrix, and what came out

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_factor": None}

    @property
    def is_factored(self) -> bool:
        """Whether there is a factor of some policy."""
        return self._factor is not None

    def can_factorise(self, bellman: Bellman, policy: NDArray[np.float64]) -> bool:
        """Tell whether there is a factor for problems of this size, or one can be afforded.

        It is found out once for similar problems, by factors of small parts of the graph of states.

        :param bellman: of the problem
        :param policy: probabilities, of shape ``(n_actions, n_states)``
        """
        return self._fits(policy) or policy.shape[1] <= FREE or self._affords(_going_on(bellman, policy))

    def solve(
        self,
        bellman: Bellman,
        policy: NDArray[np.float64],
        right: NDArray[np.float64],
        transposed: bool = False,
        reduction: float = 0.0,
    ) -> NDArray[np.float64]:
        """Solve ``(I - gamma P_pi) x = b``, or ``(I - gamma P_pi)^T x = b``.

        :param bellman: of the problem
        :param policy: probabilities, of shape ``(n_actions, n_states)``
        :param right: ``b``, of shape ``(n_states,)``
        :param transposed: which of the two
        :param reduction: the residual may be this share of ``b``; 0: as small as rounding allows
        :raises ZeroDivisionError: if the equations have no unique solution
        :raises ArithmeticError: if there is no factor, and a million sweeps are not enough
        :return: ``x``, of shape ``(n_states,)``
        """
        if self._fits(policy):
            solution = self._refined(bellman, policy, right, transposed, reduction)
            if solution is not None:
                return solution
        going_on = _going_on(bellman, policy)
        if not self._affords(going_on):
            matrix = sparse.csr_matrix(going_on.T) if transposed else going_on
            return iterate(matrix, right, transposed, _PRECISION, reduction)
        self._factor = factorise(_without(going_on))
        solution = self._refined(bellman, policy, right, transposed, reduction)
        if solution is None:
            raise ZeroDivisionError("the equations of the policy are singular to working precision")
        return solution

    def _fits(self, policy: NDArray[np.float64]) -> bool:
        return self._factor is not None and self._factor.shape[0] == policy.shape[1]

    def _affords(self, going_on: Any) -> bool:
        n_states, entries, affords = self._tried
        if n_states != going_on.shape[0] or not 0.5 * entries <= going_on.nnz <= 1.5 * entries:
            affords = is_factor_affordable(_without(0.9 * going_on))  # no part of which is singular
            self._tried = going_on.shape[0], going_on.nnz, affords
        return affords

    @np.errstate(over="ignore", invalid="ignore")  # a singular factor overflows; that is seen in the residual
    def _refined(
        self,
        bellman: Bellman,
        policy: NDArray[np.float64],
        right: NDArray[np.float64],
        transposed: bool,
        reduction: float,
    ) -> NDArray[np.float64] | None:
        """Solve by GCR (Eisenstat, Elman and Schultz, 1983) with an old factor as preconditioner; None: too far off.

        Each step is the factor's answer to the residual, combined with the earlier steps such that the residual becomes
        as small as possible.
        """
        propagate = bellman.propagate_back if transposed else bellman.propagate
        largest = np.abs(right).max()
        solution, residual, size = np.zeros_like(right), right, np.linalg.norm(right)
        steps: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        for _ in range(_REFINEMENTS):
            step = self._factor.solve(residual, "T" if transposed else "N")
            image = step - propagate(policy, step)
            for earlier, earlier_image in steps:
                overlap = image @ earlier_image
                step -= overlap * earlier
                image -= overlap * earlier_image
            length = np.linalg.norm(image)
            if not 0.0 < length < np.inf:
                return solution if size == 0.0 else None
            step /= length
            image /= length
            steps.append((step, image))
            weight = image @ residual
            solution += weight * step
            residual = residual - weight * image
            enough = max(reduction * largest, _PRECISION * max(np.abs(solution).max(), largest))
            if np.abs(residual).max() <= enough:
                residual = right - solution + propagate(policy, solution)  # without what rounding has added up
                if np.abs(residual).max() <= enough:
                    return solution
                steps.clear()
            previous, size = size, np.linalg.norm(residual)
            if not size <= _PROGRESS * previous:
                return None
        return None


def _going_on(bellman: Bellman, policy: NDArray[np.float64]) -> Any:
    """Return ``gamma P_pi``, sparse, without the actions that are not taken."""
    n_actions, n_states = policy.shape
    rows = np.tile(np.arange(n_states), n_actions)
    choice = sparse.csr_matrix((policy.ravel(), (rows, np.arange(policy.size))), shape=(n_states, policy.size))
    choice.eliminate_zeros()
    return bellman.gamma * (choice @ bellman.transitions)


def _without(going_on: Any) -> Any:
    return sparse.identity(going_on.shape[0], format="csr") - going_on
