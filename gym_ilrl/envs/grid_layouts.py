"""Layouts of ``ilrl/GridMaze-v0``: which neighbouring cells are joined, and what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from gym_ilrl.arguments import require
from gym_ilrl.envs.dynamics import is_integer
from gym_ilrl.envs.random_numbers import uniform

LAYOUTS = ("maze", "rooms", "open", "spiral", "cliff")
EXTRA_OPENINGS = 0.1  # share of a maze's remaining walls that is opened, so that there is more than one way
WALL, FREE, START, GOAL, CLIFF = "#", " ", "S", "G", "C"


@dataclass(frozen=True)
class GridLayout:
    """A grid of cells with thin walls between some neighbours.

    :param right: whether ``(row, column)`` is joined to ``(row, column + 1)``, bool of shape ``(rows, columns - 1)``
    :param down: whether ``(row, column)`` is joined to ``(row + 1, column)``, bool of shape ``(rows - 1, columns)``
    :param start: index ``row * columns + column`` of the cell in which episodes begin
    :param goal: index of the cell that pays 1 and ends the episode
    :param cliff: whether an episode ends in a cell without reward, bool of shape ``(rows, columns)``
    :param solid: whether a cell is wall altogether, bool of shape ``(rows, columns)``; it is joined to no other
    """

    right: NDArray[np.bool_]
    down: NDArray[np.bool_]
    start: int
    goal: int
    cliff: NDArray[np.bool_]
    solid: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and number of columns."""
        rows, columns = self.solid.shape
        return rows, columns


def generate_layout(layout: str | Sequence[str] = "maze", size: int = 8, layout_seed: int = 0) -> GridLayout:
    """Return a layout in which a way leads from the start to the goal; a pure function of its arguments.

    :param layout: ``"maze"``: a random spanning tree of the grid with a tenth of the remaining walls opened;
        ``"rooms"``: four rooms joined by a door in each of the four walls, at random places (Sutton, Precup and Singh,
        "Between MDPs and semi-MDPs", Artificial Intelligence 112, 1999, section 2); ``"open"``: no walls;
        ``"spiral"``: one corridor, which winds from the upper left corner to the goal in the middle; ``"cliff"``: no
        walls, start and goal in the lower corners, and a cliff from one to the other (Sutton and Barto,
        "Reinforcement Learning", 2nd edition, 2018, example 6.6; here a fall ends the episode). Or a grid of your own,
        one string a row: ``#`` wall, space free, ``C`` cliff, one ``S`` start, one ``G`` goal; what lies outside of it
        is wall
    :param size: number of rows and of columns of a layout with a name, from 2 to 1000
    :param layout_seed: of ``"maze"`` and ``"rooms"``, an integer in ``[0, 2**63)``
    :raises ValueError: if an argument is out of range, or no way leads from the start to the goal
    """
    if not is_integer(size) or not 2 <= size <= 1000:
        raise ValueError(f"size must be an integer from 2 to 1000, not {size!r}")
    if not is_integer(layout_seed) or not 0 <= layout_seed < 2**63:
        raise ValueError(f"layout_seed must be an integer in [0, 2**63), not {layout_seed!r}")
    is_grid = isinstance(layout, Sequence) and len(layout) > 0 and all(isinstance(row, str) for row in layout)
    if not is_grid or (isinstance(layout, str) and layout not in LAYOUTS):
        raise ValueError(
            f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}; or a grid as a list of strings, one a row"
        )
    size = int(size)
    if not isinstance(layout, str):
        return _read(layout)
    if layout == "spiral":
        return _spiral(size)
    if layout == "cliff":
        return _cliff(size)
    if layout == "open":
        return _thin_walls(np.ones((size, size - 1), dtype=np.bool_), np.ones((size - 1, size), dtype=np.bool_))
    numbers = uniform(np.array([layout_seed], dtype=np.uint64), np.arange(4 * size * size))
    return _maze(size, numbers) if layout == "maze" else _rooms(size, numbers)


def _thin_walls(right: NDArray[np.bool_], down: NDArray[np.bool_], goal: int = -1) -> GridLayout:
    """A square from its upper left corner to ``goal``, by default the lower right one."""
    nowhere = np.zeros((len(right), len(right)), dtype=np.bool_)
    return GridLayout(right, down, 0, goal % nowhere.size, nowhere, nowhere)


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
    return _thin_walls(joined[:n_right].reshape(size, size - 1), joined[n_right:].reshape(size - 1, size))


def _rooms(size: int, numbers: NDArray[np.float64]) -> GridLayout:
    """Two walls through the middle, each with a door in either half."""
    middle = size // 2
    right, down = np.ones((size, size - 1), dtype=np.bool_), np.ones((size - 1, size), dtype=np.bool_)
    before, after = middle * numbers[:2], middle + (size - middle) * numbers[2:4]
    for wall, low, high in zip((right[:, middle - 1], down[middle - 1]), before, after, strict=True):
        wall[:] = False
        wall[[int(low), int(high)]] = True
    return _thin_walls(right, down)


def _spiral(size: int) -> GridLayout:
    """Peel the upper row off, turn the rest, and so on: each cell is joined to the next one of that order."""
    rest, peeled = np.arange(size**2).reshape(size, size), []
    while rest.size:
        peeled.append(rest[0])
        rest = np.rot90(rest[1:])
    order = np.concatenate(peeled)
    first, stride = np.minimum(order[:-1], order[1:]), np.abs(np.diff(order))
    joined = np.zeros((2, size, size), dtype=np.bool_)
    joined.reshape(2, -1)[(stride == size).astype(np.int64), first] = True
    return _thin_walls(joined[0, :, :-1], joined[1, :-1], goal=int(order[-1]))


def _cliff(size: int) -> GridLayout:
    below = START + CLIFF * (size - 2) + GOAL
    return _read([FREE * size] * (size - 1) + [below])


def _read(rows: Sequence[str]) -> GridLayout:
    widths = sorted({len(row) for row in rows})
    require(len(widths) == 1, "layout", rows, f"a grid with rows of one length (they have {widths} characters)")
    unknown = sorted({*"".join(rows)} - {WALL, FREE, START, GOAL, CLIFF})
    expected = "a grid of '#' (wall), ' ' (free), 'C' (cliff), 'S' and 'G' only"
    require(not unknown, "layout", rows, f"{expected} (it has {unknown})")
    grid = np.array([list(row) for row in rows])
    found = {mark: np.flatnonzero(grid == mark) for mark in (START, GOAL)}
    for mark, meaning in ((START, "start"), (GOAL, "goal")):
        require(
            len(found[mark]) == 1, "layout", rows, f"a grid with one {meaning} {mark!r} (it has {len(found[mark])})"
        )
    free, safe = grid != WALL, (grid != WALL) & (grid != CLIFF)
    start, goal = int(found[START][0]), int(found[GOAL][0])
    _, component = csgraph.connected_components(_neighbours(safe))
    require(component[start] == component[goal], "layout", rows, "a grid with a way from the start 'S' to the goal 'G'")
    right, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
    return GridLayout(right, down, start, goal, grid == CLIFF, ~free)


def _neighbours(free: NDArray[np.bool_]) -> sparse.csr_matrix:
    """The graph of neighbouring free cells, each pair once."""
    cells = np.arange(free.size).reshape(free.shape)
    right, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
    first = np.concatenate([cells[:, :-1][right], cells[:-1][down]])
    second = np.concatenate([cells[:, 1:][right], cells[1:][down]])
    return sparse.csr_matrix((np.ones(len(first)), (first, second)), shape=(free.size, free.size))
