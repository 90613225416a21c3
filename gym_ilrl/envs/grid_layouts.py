"""Layouts of ``ilrl/GridMaze-v0``: which neighbouring cells are joined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from gym_ilrl.envs.dynamics import is_integer
from gym_ilrl.envs.random_numbers import uniform

LAYOUTS = ("maze", "rooms", "open")
EXTRA_OPENINGS = 0.1  # share of a maze's remaining walls that is opened, so that there is more than one way


@dataclass(frozen=True)
class GridLayout:
    """A square grid of cells with thin walls between some neighbours.

    :param right: whether ``(row, column)`` is joined to ``(row, column + 1)``, bool of shape ``(size, size - 1)``
    :param down: whether ``(row, column)`` is joined to ``(row + 1, column)``, bool of shape ``(size - 1, size)``
    """

    right: NDArray[np.bool_]
    down: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of rows and of columns."""
        return len(self.right)


def generate_layout(layout: str = "maze", size: int = 8, layout_seed: int = 0) -> GridLayout:
    """Return a layout in which every cell can be reached from every other; a pure function of its arguments.

    :param layout: ``"maze"``: a random spanning tree of the grid with a tenth of the remaining walls opened;
        ``"rooms"``: four rooms joined by a door in each of the four walls, at random places (Sutton, Precup and Singh,
        "Between MDPs and semi-MDPs", Artificial Intelligence 112, 1999, section 2); ``"open"``: no walls
    :param size: number of rows and of columns, from 2 to 1000
    :param layout_seed: an integer in ``[0, 2**63)``
    :raises ValueError: if an argument is out of range
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    if not is_integer(size) or not 2 <= size <= 1000:
        raise ValueError(f"size must be an integer from 2 to 1000, not {size!r}")
    if not is_integer(layout_seed) or not 0 <= layout_seed < 2**63:
        raise ValueError(f"layout_seed must be an integer in [0, 2**63), not {layout_seed!r}")
    size = int(size)
    if layout == "open":
        return GridLayout(np.ones((size, size - 1), dtype=np.bool_), np.ones((size - 1, size), dtype=np.bool_))
    numbers = uniform(np.array([layout_seed], dtype=np.uint64), np.arange(4 * size * size))
    return _maze(size, numbers) if layout == "maze" else _rooms(size, numbers)


def _maze(size: int, numbers: NDArray[np.float64]) -> GridLayout:
    """The minimum spanning tree of random weights, and every other wall opened with the given probability."""
    cells = np.arange(size * size).reshape(size, size)
    first = np.concatenate([cells[:, :-1].ravel(), cells[:-1].ravel()])  # of each pair of neighbours: its left or upper
    second = np.concatenate([cells[:, 1:].ravel(), cells[1:].ravel()])
    weights, coins = 1.0 + numbers[: len(first)], numbers[len(first) : 2 * len(first)]
    graph = sparse.csr_matrix((weights, (first, second)), shape=(size**2, size**2))
    tree = sparse.csr_matrix(csgraph.minimum_spanning_tree(graph))
    joined = (np.asarray(tree[first, second]).ravel() > 0.0) | (coins < EXTRA_OPENINGS)
    n_right = size * (size - 1)
    return GridLayout(joined[:n_right].reshape(size, size - 1), joined[n_right:].reshape(size - 1, size))


def _rooms(size: int, numbers: NDArray[np.float64]) -> GridLayout:
    """Two walls through the middle, each with a door in either half."""
    middle = size // 2
    right, down = np.ones((size, size - 1), dtype=np.bool_), np.ones((size - 1, size), dtype=np.bool_)
    before, after = middle * numbers[:2], middle + (size - middle) * numbers[2:4]
    for wall, low, high in zip((right[:, middle - 1], down[middle - 1]), before, after, strict=True):
        wall[:] = False
        wall[[int(low), int(high)]] = True
    return GridLayout(right, down)
