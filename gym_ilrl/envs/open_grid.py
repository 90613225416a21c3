"""Open square grids in which every cell pays its own reward: what ObjectWorld and BinaryWorld have in common."""

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.arguments import require
from gym_ilrl.envs.dynamics import is_integer, is_within
from gym_ilrl.envs.random_numbers import uniform
from gym_ilrl.envs.tabular import TabularDynamics, TabularEnv

N_ACTIONS = 5  # left, down, right, up, as in ilrl/GridMaze-v0, and stay


class OpenGridDynamics(TabularDynamics):
    """The rules of :class:`OpenGridEnv`.

    A subclass says what its cells look like, and draws itself.

    :param num_envs: number of copies
    :param cell_rewards: what acting in a cell pays, of shape ``(size, size)``
    :param slip: probability that an action is replaced by a random one, in ``[0, 1]``
    """

    def __init__(self, num_envs: int, cell_rewards: NDArray[np.float64], slip: float) -> None:
        require(is_within(slip, 0.0, 1.0), "slip", slip, "a probability, in [0, 1]")
        self.size, self.slip = len(cell_rewards), float(slip)
        self.cell_rewards = cell_rewards
        transitions = transition_matrix(moves(self.size), self.slip)
        super().__init__(num_envs, transitions, np.tile(cell_rewards.ravel(), (N_ACTIONS, 1)))

    @property
    @abstractmethod
    def features(self) -> NDArray[np.float64]:
        """What the cells look like, of shape ``(n_states, n_features)``, read-only."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """One name for each feature."""

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Column and row of every cell, of shape ``(n_states, 2)``, read-only."""
        row, column = np.indices((self.size, self.size), dtype=np.float64).reshape(2, -1)
        positions = np.stack([column, row], axis=1)
        positions.setflags(write=False)
        return positions


class OpenGridEnv(TabularEnv):
    """A square grid without walls, in which an agent walks for ever; see its subclasses."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 8}
    dynamics: OpenGridDynamics

    @property
    def features(self) -> NDArray[np.float64]:
        """What the cells look like, of shape ``(n_states, n_features)``, read-only."""
        return self.dynamics.features

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name for each feature."""
        return self.dynamics.feature_names

    @property
    def positions(self) -> NDArray[np.float64]:
        """Column and row of every cell, of shape ``(n_states, 2)``, read-only."""
        return self.dynamics.positions


def moves(size: int) -> NDArray[np.int64]:
    """Return where each action leads from each cell, of shape ``(5, size**2)``: against the border is to stay.

    :param size: number of rows and of columns
    """
    row, column = np.indices((size, size))
    steps = ((0, -1), (1, 0), (0, 1), (-1, 0), (0, 0))
    to = [np.clip(row + down, 0, size - 1) * size + np.clip(column + right, 0, size - 1) for down, right in steps]
    return np.stack(to).reshape(N_ACTIONS, -1)


def transition_matrix(to: NDArray[np.int64], slip: float) -> sparse.csr_matrix:
    """Return the probabilities of the next cells, of shape ``(5 * n_states, n_states)``, row ``action * n_states + s``.

    :param to: as :func:`moves` returns it
    :param slip: probability that an action is replaced by one of all five, each as probable as another
    """
    n_states = to.shape[1]
    certain = [
        sparse.csr_matrix((np.ones(n_states), cells, np.arange(n_states + 1)), shape=(n_states, n_states))
        for cells in to
    ]
    slipped = (slip / N_ACTIONS) * sum(certain[1:], start=certain[0])
    return sparse.csr_matrix(sparse.vstack([(1.0 - slip) * move + slipped for move in certain]))


def layout_numbers(layout_seed: int, count: int) -> NDArray[np.float64]:
    """Return the numbers in ``[0, 1)`` that a layout is made of, the same for the same seed on every machine.

    :param layout_seed: an integer in ``[0, 2**63)``
    :param count: how many
    """
    return uniform(np.array([layout_seed], dtype=np.uint64), np.arange(count))


def checked_size(size: Any, layout_seed: Any) -> int:
    """Return the size of a grid, having refused one, or a seed of its layout, that is out of range.

    :raises ValueError: if it is
    """
    require(is_integer(size) and 3 <= size <= 1000, "size", size, "an integer from 3 to 1000")
    seeds = is_integer(layout_seed) and 0 <= layout_seed < 2**63
    require(seeds, "layout_seed", layout_seed, "an integer in [0, 2**63)")
    return int(size)
