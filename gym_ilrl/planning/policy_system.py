"""The linear equations of a policy: ``(I - gamma P_pi) x = b`` and, for occupancies, the transposed ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from gym_ilrl.planning.bellman import Bellman

_REFINEMENTS = 25  # with an old factor; more cost as much as a new one
_PROGRESS = 0.5  # by which a refinement must reduce the residual
_PRECISION = 1e-13  # of a solution, relative to its largest part


class PolicySystem:
    """Solves the equations of one policy after the other by a sparse LU factor that is renewed only when needed.

    The factor of a policy solves the equations of a similar one by iterative refinement; the residual is computed with
    the policy at hand, so an old factor costs time, never accuracy. Keep one object for a sequence of similar problems.
    """

    def __init__(self) -> None:
        self._factor: Any = None

    @property
    def is_factored(self) -> bool:
        """Whether there is a factor of some policy."""
        return self._factor is not None

    def solve(
        self, bellman: Bellman, policy: NDArray[np.float64], right: NDArray[np.float64], transposed: bool = False
    ) -> NDArray[np.float64]:
        """Solve ``(I - gamma P_pi) x = b``, or ``(I - gamma P_pi)^T x = b``.

        :param bellman: of the problem
        :param policy: probabilities, of shape ``(n_actions, n_states)``
        :param right: ``b``, of shape ``(n_states,)``
        :param transposed: which of the two
        :raises ZeroDivisionError: if the equations have no unique solution
        :return: ``x``, of shape ``(n_states,)``
        """
        if self._factor is not None and self._factor.shape[0] == len(right):
            solution = self._refined(bellman, policy, right, transposed)
            if solution is not None:
                return solution
        self._factor = _factorise(bellman, policy)
        solution = self._refined(bellman, policy, right, transposed)
        if solution is None:
            raise ZeroDivisionError("the equations of the policy are singular to working precision")
        return solution

    @np.errstate(over="ignore", invalid="ignore")  # a singular factor overflows; that is seen in the residual
    def _refined(
        self, bellman: Bellman, policy: NDArray[np.float64], right: NDArray[np.float64], transposed: bool
    ) -> NDArray[np.float64] | None:
        solution: NDArray[np.float64] = np.zeros_like(right)
        residual = right
        propagate = bellman.propagate_back if transposed else bellman.propagate
        size = np.abs(residual).max()
        for _ in range(_REFINEMENTS):
            solution = solution + self._factor.solve(residual, "T" if transposed else "N")
            residual = right - solution + propagate(policy, solution)
            previous, size = size, np.abs(residual).max()
            if size <= _PRECISION * max(np.abs(solution).max(), np.abs(right).max()):
                return solution
            if not size <= _PROGRESS * previous:
                return None
        return None


def _factorise(bellman: Bellman, policy: NDArray[np.float64]) -> Any:
    n_actions, n_states = policy.shape
    rows = np.tile(np.arange(n_states), n_actions)
    choice = sparse.csr_matrix((policy.ravel(), (rows, np.arange(policy.size))), shape=(n_states, policy.size))
    matrix = sparse.identity(n_states, format="csr") - bellman.gamma * (choice @ bellman.transitions)
    try:
        # I - gamma P_pi is an M-matrix: no pivoting is needed, and an ordering that keeps the diagonal fills in least
        return linalg.splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError as error:  # SuperLU: "Factor is exactly singular"
        raise ZeroDivisionError(str(error)) from error
