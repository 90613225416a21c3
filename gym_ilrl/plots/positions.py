"""Where the states of a tabular problem are in the plane."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.plots.checks import numbers

_DIGITS = 6  # of a position in units of the smallest distance between columns: less is rounding


@dataclass(frozen=True, eq=False)
class Grid:
    """Positions that fill a rectangle of equal cells.

    :param states: the state in each cell, of shape ``(rows, columns)``, the upper left one first
    :param left: x of the first column's centre
    :param top: y of the first row's centre
    :param width: of a cell
    :param height: of a cell
    """

    states: NDArray[np.int64]
    left: float
    top: float
    width: float
    height: float

    @property
    def edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The x of all edges between columns, and the y of all between rows, with those around the grid."""
        rows, columns = self.states.shape
        x = self.left + self.width * (np.arange(columns + 1) - 0.5)
        y = self.top + self.height * (np.arange(rows + 1) - 0.5)
        return x, y


def state_positions(env: Any) -> NDArray[np.float64] | None:
    """Return where each state of an environment is in the plane.

    :param env: however it is wrapped; or a model. Read is ``env.unwrapped.segments``, lines from one place to another,
        for states that are roads; or ``env.unwrapped.positions``; or the map of Gymnasium's toy-text environments that
        have one in which each cell is a state: ``desc`` of ``FrozenLake``, ``shape`` of ``CliffWalking``
    :return: of shape ``(n_states, 2)``, x to the right and y *downwards*; of lines, ``(n_states, 2, 2)``: from where
        and to where; None if the states are at no places, as those of ``Taxi``
    :raises ValueError: if what the environment publishes is no such array
    """
    unwrapped = getattr(env, "unwrapped", env)
    for name, shape in (("segments", (-1, 2, 2)), ("positions", (-1, 2))):
        if getattr(unwrapped, name, None) is not None:
            return numbers(getattr(unwrapped, name), name, shape)
    n_states = getattr(getattr(unwrapped, "observation_space", None), "n", None)
    for rectangle in (getattr(unwrapped, "shape", None), np.shape(getattr(unwrapped, "desc", ()))):
        if isinstance(rectangle, tuple) and len(rectangle) == 2 and rectangle[0] * rectangle[1] == n_states:
            row, column = np.indices(rectangle)
            return np.column_stack([column.ravel(), row.ravel()]).astype(np.float64)
    return None


def places_of(positions: ArrayLike, n_states: int) -> NDArray[np.float64]:
    """Return the place of each state, of shape ``(n_states, 2)``: of a line its middle.

    :param positions: of shape ``(n_states, 2)`` or ``(n_states, 2, 2)``
    :raises ValueError: if the shape is another one, or a number is not finite
    """
    array = numbers(positions, "positions", (n_states, 2), (n_states, 2, 2))
    return array if array.ndim == 2 else array.mean(axis=1)


def grid_shape(positions: ArrayLike) -> tuple[int, int] | None:
    """Return the numbers of rows and columns if positions fill a rectangle of equal cells, in whatever order.

    :param positions: of shape ``(n_states, 2)``
    :return: ``(rows, columns)``, or None
    """
    grid = grid_of(numbers(positions, "positions", (-1, 2)))
    return None if grid is None else (grid.states.shape[0], grid.states.shape[1])


def grid_of(positions: NDArray[np.float64]) -> Grid | None:
    """Return the grid that positions fill, or None."""
    (left, width, column, n_columns), (top, height, row, n_rows) = (_ticks(along) for along in positions.T)
    if n_rows * n_columns != len(positions):
        return None
    states = np.full((n_rows, n_columns), -1)
    states[row, column] = np.arange(len(positions))
    if (states < 0).any():
        return None
    width, height = width or height or 1.0, height or width or 1.0
    return Grid(states, left, top, width, height)


def _ticks(along: NDArray[np.float64]) -> tuple[float, float, NDArray[np.int64], int]:
    """Return the first coordinate, the distance between two, the number of each, and how many; 0: not at equal ones."""
    first, last = float(along.min()), float(along.max())
    distances = np.diff(np.sort(along))
    distances = distances[distances > 10.0**-_DIGITS * (last - first)]
    if len(distances) == 0:
        return first, 0.0, np.zeros(len(along), dtype=np.int64), 1
    n_steps = round((last - first) / float(distances.min()))
    step = (last - first) / n_steps
    number = (along - first) / step
    whole = np.round(number)
    if np.abs(number - whole).max() > 10.0**-3:
        return first, step, whole.astype(np.int64), 0
    return first, step, whole.astype(np.int64), n_steps + 1
