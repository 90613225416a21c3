"""``ilrl/ObjectWorld-v0``: a reward that depends on the features, but not linearly."""

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gym_ilrl.arguments import require
from gym_ilrl.envs.dynamics import Dynamics, is_integer
from gym_ilrl.envs.object_world_viewer import scene, write
from gym_ilrl.envs.open_grid import OpenGridDynamics, OpenGridEnv, checked_size, layout_numbers
from gym_ilrl.envs.open_grid_viewer import draw
from gym_ilrl.envs.vector import DynamicsVectorEnv

FEATURES = ("continuous", "discrete")
NEAR_FIRST, NEAR_SECOND = 3.0, 2.0  # cells: what counts as near an object of the first and of the second outer colour
_LARGEST_TABLE = 100_000_000  # entries of a table of features


class ObjectWorldDynamics(OpenGridDynamics):
    """The rules of :class:`ObjectWorldEnv`.

    :param num_envs: number of copies
    :param size: number of rows and of columns
    :param n_objects: number of objects
    :param n_colors: number of colours
    :param slip: probability that an action is replaced by a random one, in ``[0, 1]``
    :param features: ``"continuous"`` or ``"discrete"``
    :param layout_seed: seed of the places and colours of the objects
    """

    def __init__(
        self,
        num_envs: int = 1,
        size: int = 16,
        n_objects: int = 12,
        n_colors: int = 2,
        slip: float = 0.3,
        features: str = "continuous",
        layout_seed: int = 0,
    ) -> None:
        size = checked_size(size, layout_seed)
        fits = is_integer(n_objects) and 1 <= n_objects <= size**2
        require(fits, "n_objects", n_objects, f"an integer from 1 to {size**2}, one for each cell")
        require(is_integer(n_colors) and 2 <= n_colors <= 26, "n_colors", n_colors, "an integer from 2 to 26")
        require(isinstance(features, str) and features in FEATURES, "features", features, f"one of {FEATURES}")
        self.feature_kind, self.n_colors = features, int(n_colors)
        if features == "discrete" and 2 * self.n_colors * size**3 > _LARGEST_TABLE:
            raise ValueError(
                f"features='discrete' are {2 * self.n_colors * size} for each of {size**2} cells, more than are kept "
                "in memory here; take features='continuous' or a smaller size"
            )
        self.places, self.inner, self.outer = place_objects(size, int(n_objects), self.n_colors, layout_seed)
        self.distances = np.concatenate(
            [distances(size, self.places, colors, self.n_colors) for colors in (self.inner, self.outer)]
        )
        super().__init__(num_envs, true_reward(self.distances[self.n_colors :]), slip)

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """See :class:`ObjectWorldEnv`."""
        by_cell = self.distances.reshape(len(self.distances), -1).T
        if self.feature_kind == "discrete":
            thresholds = np.arange(1, self.size + 1)
            by_cell = (by_cell[:, :, None] <= thresholds).reshape(len(by_cell), -1)
        table = np.ascontiguousarray(by_cell, dtype=np.float64)
        table.setflags(write=False)
        return table

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """See :class:`ObjectWorldEnv`."""
        names = [f"{part} {color}" for part in ("inner", "outer") for color in range(self.n_colors)]
        if self.feature_kind == "continuous":
            return tuple(f"distance to {name}" for name in names)
        return tuple(f"{name} within {d}" for name in names for d in range(1, self.size + 1))

    @cached_property
    def _scene(self) -> NDArray[np.uint8]:
        return scene(self.cell_rewards, self.places, self.inner, self.outer, self.n_colors)

    def render(self, row: int, mode: str) -> Any:
        """Draw what the cells pay, the objects and the agent."""
        cell = int(self._state["state"][row])
        if mode == "rgb_array":
            return draw(self._scene, self.size, cell)
        if mode == "ansi":
            return write(self.cell_rewards, self.places, self.inner, self.outer, cell)
        return super().render(row, mode)


def place_objects(
    size: int, n_objects: int, n_colors: int, layout_seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the cells of the objects, their inner and their outer colours, each of shape ``(n_objects,)``.

    :param size: number of rows and of columns
    :param n_objects: number of objects, each in a cell of its own
    :param n_colors: number of colours
    :param layout_seed: an integer in ``[0, 2**63)``
    """
    n_cells = size * size
    numbers = layout_numbers(layout_seed, n_cells + 2 * n_objects)
    inner, outer = (n_colors * numbers[n_cells:]).astype(np.int64).reshape(2, n_objects)
    return np.argsort(numbers[:n_cells], kind="stable")[:n_objects], inner, outer


def distances(size: int, places: NDArray[np.int64], colors: NDArray[np.int64], n_colors: int) -> NDArray[np.float64]:
    """Return the Euclidean distance, in cells, of each cell to the nearest object of each colour.

    :param size: number of rows and of columns
    :param places: cells of the objects, of shape ``(n_objects,)``
    :param colors: their colours, of shape ``(n_objects,)``
    :param n_colors: number of colours; to one that no object has, the distance is the diagonal of the grid,
        ``sqrt(2) * size``
    :return: of shape ``(n_colors, size, size)``
    """
    found = np.full((n_colors, size, size), np.sqrt(2.0) * size)
    for color in np.unique(colors).tolist():
        empty = np.ones(size * size, dtype=np.bool_)
        empty[places[colors == color]] = False
        found[color] = ndimage.distance_transform_edt(empty.reshape(size, size))
    return found


def true_reward(outer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each cell pays, of shape ``(size, size)``.

    :param outer: distances to the nearest object of each outer colour, of shape ``(n_colors, size, size)``
    """
    near_first, near_second = outer[0] <= NEAR_FIRST, outer[1] <= NEAR_SECOND
    return np.where(near_first, np.where(near_second, 1.0, -1.0), 0.0)


class ObjectWorldEnv(OpenGridEnv):
    """A grid of ``size x size`` cells with coloured objects, which make the cells around them good or bad.

    The benchmark of non-linear inverse reinforcement learning (Levine, Popovic and Koltun, "Nonlinear inverse
    reinforcement learning with Gaussian processes", NeurIPS 2011, section 6). The reward is a simple function of the
    features, but no linear one: whether it is good or bad to be near the one colour depends on the other.

    Each object has an inner and an outer colour out of ``n_colors``. Only the first two *outer* colours matter, all
    others distract.

    **Observation.** ``Discrete(size**2)``: the cell, ``row * size + column``, counted from the upper left.

    **Action.** ``Discrete(5)``: 0 left, 1 down, 2 right, 3 up, 4 stay. With probability ``slip`` one of the five,
    each as probable as another, is taken instead. Moving against the border is staying.

    **Reward.** For acting in a cell: +1 within 3 cells of outer colour 0 and within 2 of outer colour 1; -1 within 3
    cells of outer colour 0 only; else 0. Distances are Euclidean, from cell to cell.

    **Termination.** Never; an episode starts in any cell, each as probable as another. ``gym.make`` truncates after 50
    steps. The papers' demonstrations have 8: ``max_episode_steps=8``.

    **Features.** ``env.unwrapped.features``. ``"continuous"``: the distances to the nearest object of each inner and
    then of each outer colour, ``2 * n_colors`` of them; ``"discrete"``: whether each of them is at most 1, 2, ...,
    ``size``. To a colour that no object has, the distance is the diagonal of the grid.

    :param size: number of rows and of columns, from 3 to 1000; the papers' grids have 32
    :param n_objects: number of objects, each in a cell of its own, from 1 to ``size**2``
    :param n_colors: number of colours, from 2 to 26
    :param slip: probability that an action is replaced by a random one, in ``[0, 1]``
    :param features: ``"continuous"`` or ``"discrete"``
    :param layout_seed: seed of the objects, an integer in ``[0, 2**63)``; they do not depend on ``reset(seed=...)``
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.tabular.TabularExpert` is planned by value iteration on the exact model. At the
    defaults it earns 37.8 in 50 steps, random actions -17.8.

    **Version history.** v0: first version.
    """

    dynamics_class: ClassVar[type[Dynamics]] = ObjectWorldDynamics
    dynamics: ObjectWorldDynamics

    def __init__(
        self,
        size: int = 16,
        n_objects: int = 12,
        n_colors: int = 2,
        slip: float = 0.3,
        features: str = "continuous",
        layout_seed: int = 0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(ObjectWorldDynamics(1, size, n_objects, n_colors, slip, features, layout_seed), render_mode)


class ObjectWorldVectorEnv(DynamicsVectorEnv):
    """Any number of copies of one grid; see :class:`ObjectWorldEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = ObjectWorldEnv
