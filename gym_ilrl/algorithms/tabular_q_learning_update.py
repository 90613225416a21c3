"""The update of a table by a batch of transitions."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StepSize:
    r"""The share of the way from an entry to its target: :math:`\mathrm{rate} / n^\mathrm{exponent}`.

    :param rate: in [0, 1]
    :param exponent: in [0, 1]; :math:`n` counts the updates of the entry, this one included
    """

    rate: float
    exponent: float

    def __call__(self, counts: NDArray[np.int64]) -> NDArray[np.float64] | float:
        """Return the step sizes of entries that are updated for the ``counts``-th time."""
        if self.exponent == 0.0:
            return self.rate
        steps: NDArray[np.float64] = self.rate * counts.astype(np.float64) ** -self.exponent
        return steps


def move(
    table: NDArray[np.float64],
    counts: NDArray[np.int64],
    entries: NDArray[np.int64],
    targets: NDArray[np.float64],
    step_size: StepSize,
) -> None:
    """Move entries of a table towards their targets, in place: one that occurs several times, one after the other.

    However often an entry occurs it stays between its old value and its targets, which is not so where the steps are
    added up; with the step size ``1 / n`` it is the mean of all targets that it ever had.

    :param table: flat
    :param counts: of the updates of each entry, of the same shape; counted on
    :param entries: which ones, of shape ``(n,)``
    :param targets: of shape ``(n,)``
    :param step_size: for their counts
    """
    for rows in without_repetition(entries):
        index = entries[rows]
        counts[index] += 1
        table[index] += step_size(counts[index]) * (targets[rows] - table[index])


def without_repetition(entries: NDArray[np.int64]) -> Iterator[NDArray[np.int64] | slice]:
    """Yield the rows of every entry's first occurrence, then of every second one, and so on.

    :param entries: of shape ``(n,)``
    """
    n = len(entries)
    if n == 1:
        yield slice(None)
        return
    order = np.argsort(entries, kind="stable")
    in_order = entries[order]
    begins = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
    occurrence = np.arange(n) - np.repeat(begins, np.diff(begins, append=n))
    for nth in range(int(occurrence.max()) + 1):
        yield order[occurrence == nth]
