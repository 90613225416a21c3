"""Marks on states: where episodes start and where they end."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.plots.checks import numbers
from gym_ilrl.plots.positions import Grid

_MANY = 50  # marks that may cover their surroundings
_FEW = 0.1  # of the states: where more are starts, a mark on them says nothing
_STYLES: dict[str, dict[str, Any]] = {
    "start": {"marker": "o", "facecolor": "none", "edgecolor": "black", "linewidth": 1.0},
    "goal": {"marker": "*", "facecolor": "black", "edgecolor": "white", "linewidth": 0.5},
    "end": {"marker": "X", "facecolor": "black", "edgecolor": "white", "linewidth": 0.5},
}
_LABELS = {"start": "start", "goal": "ending with reward", "end": "ending"}
_SIZES = {"start": (0.7, 7.0, 16.0), "goal": (0.7, 8.0, 16.0), "end": (0.4, 5.0, 8.0)}  # of a cell; points: least, most


def marked_states(mdp: TabularMDP, goals: ArrayLike | None = None) -> dict[str, NDArray[np.int64]]:
    """Return the states that get each mark, without the marks that none gets.

    :param mdp: the problem
    :param goals: terminal states that are goals, of shape ``(n_states,)``
    """
    is_goal = np.zeros(mdp.n_states) if goals is None else numbers(goals, "goals", (mdp.n_states,))
    start = mdp.initial > 0.0
    states = {
        "start": np.flatnonzero(start) if start.sum() <= max(1.0, _FEW * mdp.n_states) else np.empty(0, dtype=np.int64),
        "goal": np.flatnonzero(mdp.terminal & (is_goal > 0.0)),
        "end": np.flatnonzero(mdp.terminal & (is_goal <= 0.0)),
    }
    return {name: which for name, which in states.items() if len(which)}


def mark_states(
    ax: Any, mdp: TabularMDP, places: NDArray[np.float64], grid: Grid | None, goals: ArrayLike | None
) -> None:
    """Draw a ring on few starts, a star on goals and a cross on other terminal states.

    :param places: of shape ``(n_states, 2)``
    :param grid: that they fill
    """
    from matplotlib.patheffects import withStroke

    cell = size_in_points(ax, mdp.n_states if grid is None else max(grid.states.shape) ** 2)
    for name, which in marked_states(mdp, goals).items():
        share, least, most = _SIZES[name]
        size = min(max(share * cell, least if len(which) <= _MANY else 2.0), most)
        halo = [withStroke(linewidth=2.0, foreground="white")] if name == "start" else None
        ax.scatter(*places[which].T, s=size**2, zorder=4, clip_on=False, path_effects=halo, **_STYLES[name])


def legend_handles(ax: Any, mdp: TabularMDP, goals: ArrayLike | None) -> list[Any]:
    """Return what a legend shows for the marks of :func:`mark_states`."""
    return [
        ax.scatter([], [], label=_LABELS[name], s=110 if name == "goal" else 45, **_STYLES[name])
        for name in marked_states(mdp, goals)
    ]


def size_in_points(ax: Any, n_cells: int) -> float:
    """Return the width of one of so many equal cells on the axes, in points; a layout may still change it."""
    box = ax.get_window_extent()
    area: float = box.width * box.height * (72.0 / ax.figure.dpi) ** 2
    return float(np.sqrt(area / n_cells))
