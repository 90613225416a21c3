"""``ilrl/BinaryWorld-v0``: a reward that counts, and that no linear function of the features can tell."""

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.envs.binary_world_viewer import scene, write
from gym_ilrl.envs.dynamics import Dynamics
from gym_ilrl.envs.open_grid import OpenGridDynamics, OpenGridEnv, checked_size, layout_numbers
from gym_ilrl.envs.open_grid_viewer import draw
from gym_ilrl.envs.vector import DynamicsVectorEnv

GOOD_COUNT, BAD_COUNT = 4, 5  # blue cells among nine
PLACES = ("upper left", "upper", "upper right", "left", "own", "right", "lower left", "lower", "lower right")


class BinaryWorldDynamics(OpenGridDynamics):
    """The rules of :class:`BinaryWorldEnv`.

    :param num_envs: number of copies
    :param size: number of rows and of columns
    :param slip: probability that an action is replaced by a random one, in ``[0, 1]``
    :param layout_seed: seed of the colours
    """

    def __init__(self, num_envs: int = 1, size: int = 16, slip: float = 0.3, layout_seed: int = 0) -> None:
        size = checked_size(size, layout_seed)
        self.blue = layout_numbers(layout_seed, size * size).reshape(size, size) < 0.5
        count = neighbourhoods(self.blue).sum(axis=2)
        super().__init__(num_envs, np.where(count == GOOD_COUNT, 1.0, np.where(count == BAD_COUNT, -1.0, 0.0)), slip)

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """See :class:`BinaryWorldEnv`."""
        table = neighbourhoods(self.blue).reshape(self.n_states, 9).astype(np.float64)
        table.setflags(write=False)
        return table

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """See :class:`BinaryWorldEnv`."""
        return tuple(f"{place} blue" for place in PLACES)

    @cached_property
    def _scene(self) -> NDArray[np.uint8]:
        return scene(self.cell_rewards, self.blue)

    def render(self, row: int, mode: str) -> Any:
        """Draw the colours of the cells, what they pay, and the agent."""
        cell = int(self._state["state"][row])
        if mode == "rgb_array":
            return draw(self._scene, self.size, cell)
        return write(self.cell_rewards, self.blue, cell) if mode == "ansi" else super().render(row, mode)


def neighbourhoods(blue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the colours of each cell and of the eight around it, row by row, of shape ``(size, size, 9)``.

    :param blue: which cells are blue, of shape ``(size, size)``; what lies outside is not
    """
    size, padded = len(blue), np.pad(blue, 1)
    shifted = [padded[down : down + size, right : right + size] for down in range(3) for right in range(3)]
    return np.stack(shifted, axis=2)


class BinaryWorldEnv(OpenGridEnv):
    """A grid of ``size x size`` cells, each blue or red by the toss of a coin, which pays by the number of blue ones.

    The harder benchmark of non-linear inverse reinforcement learning (Wulfmeier, Ondruska and Posner, "Maximum entropy
    deep inverse reinforcement learning", 2015, section 4). Four blue cells are good and five are bad, wherever they
    are: all nine features are needed together, and a reward that is linear in them learns next to nothing.

    **Observation.** ``Discrete(size**2)``: the cell, ``row * size + column``, counted from the upper left.

    **Action.** ``Discrete(5)``: 0 left, 1 down, 2 right, 3 up, 4 stay. With probability ``slip`` one of the five,
    each as probable as another, is taken instead. Moving against the border is staying.

    **Reward.** For acting in a cell: +1 if exactly 4 cells of its neighbourhood of 3 x 3 are blue, -1 if exactly 5
    are, else 0. What lies outside of the grid counts as red.

    **Termination.** Never; an episode starts in any cell, each as probable as another. ``gym.make`` truncates after 50
    steps.

    **Features.** ``env.unwrapped.features``: 1 where a cell of the neighbourhood is blue, else 0; nine of them, from
    the upper left to the lower right one.

    :param size: number of rows and of columns, from 3 to 1000
    :param slip: probability that an action is replaced by a random one, in ``[0, 1]``
    :param layout_seed: seed of the colours, an integer in ``[0, 2**63)``; they do not depend on ``reset(seed=...)``
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.tabular.TabularExpert` is planned by value iteration on the exact model. At the
    defaults it earns 42.4 in 50 steps, random actions 1.4.

    **Version history.** v0: first version.
    """

    dynamics_class: ClassVar[type[Dynamics]] = BinaryWorldDynamics
    dynamics: BinaryWorldDynamics

    def __init__(self, size: int = 16, slip: float = 0.3, layout_seed: int = 0, render_mode: str | None = None) -> None:
        super().__init__(BinaryWorldDynamics(1, size, slip, layout_seed), render_mode)


class BinaryWorldVectorEnv(DynamicsVectorEnv):
    """Any number of copies of one grid; see :class:`BinaryWorldEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = BinaryWorldEnv
