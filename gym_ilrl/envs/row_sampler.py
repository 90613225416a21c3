"""Drawing from the rows of a sparse matrix, for any number of rows at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_RESOLUTION = 2.0**53  # of the numbers in [0, 1) that are compared with


class RowSampler:
    """Draws columns of a sparse matrix, each with a probability proportional to its entry in a row.

    The inverse of the cumulative distribution of a row is found by bisection, in all rows asked for together: a draw
    costs the logarithm of the number of entries of a row, whatever the number of columns is.

    :param matrix: in CSR form, its entries positive
    """

    def __init__(self, matrix: Any) -> None:
        self._columns, self._ends = matrix.indices, matrix.indptr
        counts = np.diff(matrix.indptr)
        totals = np.asarray(matrix.sum(axis=1)).ravel()
        shares = matrix.data / np.repeat(totals, counts)
        # Sums of whole numbers modulo 2**64 have exact differences: no row is blurred by the rows above it.
        sums = np.cumsum(np.rint(shares * _RESOLUTION).astype(np.uint64), dtype=np.uint64)
        before = np.concatenate([np.zeros(1, dtype=np.uint64), sums])[matrix.indptr[:-1]]
        self._cumulative: NDArray[np.float64] = (sums - np.repeat(before, counts)) / _RESOLUTION
        self._bisections = int(max(counts.max(initial=0) - 1, 0)).bit_length()

    def draw(self, rows: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return one column for each of ``rows``.

        :param rows: of shape ``(n,)``, none of them empty
        :param u: uniform numbers in ``[0, 1)``, of shape ``(n,)``
        """
        low, high = self._ends[rows].astype(np.int64), self._ends[rows + 1] - np.int64(1)
        for _ in range(self._bisections):
            middle = (low + high) // 2
            beyond = (self._cumulative[middle] <= u) & (low < high)  # the last entry takes what rounding leaves over
            low, high = np.where(beyond, middle + 1, low), np.where(beyond, high, middle)
        columns: NDArray[np.int64] = self._columns[low].astype(np.int64)
        return columns
