"""A policy as arrows: where it is expected to lead next."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.plots.checks import numbers
from gym_ilrl.plots.neighbours import arrivals, isolated
from gym_ilrl.plots.positions import grid_of, places_of

_MOST_ARROWS, _MOST_AMONG_POINTS = 32, 22  # along x and along y: one in each cell of a grid, among points elsewhere
_LONGEST, _THICKNESS = 0.85, 0.07  # of a cell
_NOWHERE = 0.04  # of the longest arrow: a dot


def action_probabilities(mdp: TabularMDP, policy: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities of the actions, of shape ``(n_actions, n_states)``; of several times those of the first.

    :raises ValueError: if the shape does not fit, or they do not sum to 1
    """
    shape = mdp.rewards.shape
    table = numbers(policy, "policy", shape, (-1, *shape))
    table = table if table.ndim == 2 else table[0]
    wrong = np.flatnonzero(((table < 0.0).any(axis=0) | (np.abs(table.sum(axis=0) - 1.0) > 1e-6)) & ~mdp.terminal)
    if len(wrong):
        raise ValueError(
            f"policy must be probabilities that sum to 1 over the actions, the first axis; in state {wrong[0]} they "
            f"are {table[:, wrong[0]].tolist()}"
        )
    return table


def expected_displacement(mdp: TabularMDP, policy: ArrayLike, positions: ArrayLike) -> NDArray[np.float64]:
    """Return how far, and in which direction, a policy is expected to go in one step from each state.

    ``sum_a pi(a | s) sum_s' P(s' | s, a) (x(s') - x(s))``, arrivals in terminal states included: what actions mean
    need not be known. An ending in no state (of a model built with ``ending=``) counts as staying.

    :param mdp: the problem
    :param policy: as in :func:`plot_policy`
    :param positions: of shape ``(n_states, 2)``; of lines, ``(n_states, 2, 2)``, their middles count
    :raises ValueError: if a shape does not fit or a number is not finite
    :return: of shape ``(n_states, 2)``; 0 in terminal states
    """
    places = places_of(positions, mdp.n_states)
    table = action_probabilities(mdp, policy)
    matrix = arrivals(mdp)
    going = np.asarray(matrix.sum(axis=1)).reshape(table.shape)
    there = (matrix @ places).reshape(*table.shape, 2)
    moved: NDArray[np.float64] = np.einsum("as,asx->sx", table, there - going[:, :, None] * places)
    return moved


def plot_policy(
    ax: Any,
    policy: ArrayLike,
    mdp: TabularMDP,
    positions: ArrayLike | None = None,
    *,
    colour: str = "black",
    title: str | None = None,
) -> Any:
    """Draw a policy: an arrow from each state to where it is expected to lead next.

    The arrow is the expected displacement of one step. Its length compares with those of the same picture only: the
    longest ones (but for 5%) fill a cell. A dot is a state in which the policy stays, or goes in all directions alike;
    terminal states, and those that nothing leads to or from, have neither. Of more than 32 x 32 states every second,
    third, ... one has an arrow; of points and lines at most 22 x 22. Without positions, the probability of each action
    in each state is drawn as a grey level.

    :param ax: matplotlib's ``Axes`` to draw on
    :param policy: probabilities of the actions, of shape ``(n_actions, n_states)``, as ``Solution.policy``; with the
        time in front, those of time 0 are drawn
    :param mdp: the problem
    :param positions: as in :func:`~gym_ilrl.plots.plot_states`
    :param colour: of the arrows
    :param title: of the axes
    :raises ValueError: if a shape does not fit, a number is not finite, or the probabilities do not sum to 1
    :return: the arrows, matplotlib's ``Quiver``; or the image
    """
    if title is not None:
        ax.set_title(title)
    if positions is None:
        return _table(ax, action_probabilities(mdp, policy))
    places = places_of(positions, mdp.n_states)
    moved = expected_displacement(mdp, policy, places)
    shown, cell = _spread(places)
    shown = shown[~(mdp.terminal | isolated(mdp))[shown]]
    lengths = np.hypot(*moved[shown].T)
    longest = np.quantile(lengths, 0.95) if len(lengths) else 0.0
    longest = longest or lengths.max(initial=0.0) or 1.0
    arrows = moved[shown] * (_LONGEST * cell / np.maximum(lengths, longest))[:, None]
    still = lengths < _NOWHERE * longest
    _prepare(ax, places)
    ax.scatter(*places[shown[still]].T, s=1.5, color=colour, linewidth=0, zorder=3)
    at, arrows = places[shown[~still]], arrows[~still]
    return _quiver(ax, at, arrows, places, cell, colour)


def _quiver(
    ax: Any, at: NDArray[np.float64], arrows: NDArray[np.float64], places: NDArray[np.float64], cell: float, colour: str
) -> Any:
    """Draw arrows in the middle of the cells of a grid, and away from other points."""
    width = _THICKNESS * min(cell, float(np.ptp(places, axis=0).max()) / 8.0 or cell)
    return ax.quiver(
        *at.T, *arrows.T, color=colour, pivot="tail" if grid_of(places) is None else "mid", angles="xy", units="xy",
        scale_units="xy", scale=1.0, width=width, headwidth=4.0, headlength=4.0, headaxislength=3.5, minlength=0.0,
        zorder=3,
    )  # fmt: skip


def _spread(places: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Return states spread evenly, not too many of them, and the width of the cell that each has to itself."""
    first, last = places.min(axis=0), places.max(axis=0)
    grid = grid_of(places)
    if grid is not None:
        step = -(-max(grid.states.shape) // _MOST_ARROWS)
        return grid.states[step // 2 :: step, step // 2 :: step].ravel(), step * min(grid.width, grid.height)
    cell = (
        max(float((last - first).max()) / _MOST_AMONG_POINTS, float(np.sqrt(np.prod(last - first) / len(places))))
        or 1.0
    )
    inside = (places - first) / cell
    row = np.floor(inside).astype(np.int64)
    off_centre = np.hypot(*(inside - row - 0.5).T)
    order = np.lexsort((off_centre, row[:, 1], row[:, 0]))
    _, first_of = np.unique(row[order], axis=0, return_index=True)
    return np.sort(order[first_of]), cell


def _prepare(ax: Any, places: NDArray[np.float64]) -> None:
    """Make room for the arrows on axes that nothing else is drawn on."""
    ax.update_datalim(places)
    ax.set_aspect("equal")
    if not ax.has_data() or not (ax.images or ax.collections):
        ax.autoscale_view()
    if not ax.yaxis_inverted():
        ax.invert_yaxis()


def _table(ax: Any, table: NDArray[np.float64]) -> Any:
    artist = ax.imshow(table, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    ax.set(xlabel="state", ylabel="action", yticks=range(len(table)))
    return artist
