"""One number for each state, drawn where the states are."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import require
from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.plots.checks import numbers
from gym_ilrl.plots.marks import mark_states, size_in_points
from gym_ilrl.plots.neighbours import isolated, links, walls
from gym_ilrl.plots.positions import Grid, grid_of, places_of
from gym_ilrl.plots.scales import KINDS, beyond, colour_limits, colours

_EDGES, _WALLS = 60, 160  # rows or columns up to which the edges of cells, and walls, are drawn
_MOST_LINKED = 20_000  # states that are points, up to which their links are drawn
_LANE = 0.12  # width of a line, of its length
_BAR, _SOLID, _WALL = "#4a6fa5", "#555555", "#222222"


def plot_states(
    ax: Any,
    values: ArrayLike,
    positions: ArrayLike | None = None,
    *,
    mdp: TabularMDP | None = None,
    kind: str = "reward",
    limits: tuple[float, float] | None = None,
    goals: ArrayLike | None = None,
    colour_bar: bool = True,
    title: str | None = None,
) -> Any:
    """Draw one number for each state.

    Positions that fill a rectangle become an image with a cell for each state; others a coloured point for each state,
    or a line: the roads of a network, the two directions beside each other as in right-hand traffic. Without positions
    the states stand beside each other by their numbers, each with a bar.

    :param ax: matplotlib's ``Axes`` to draw on
    :param values: of shape ``(n_states,)``
    :param positions: of shape ``(n_states, 2)``, x to the right and y downwards; or ``(n_states, 2, 2)``, lines from
        one place to another; see :func:`~gym_ilrl.plots.state_positions`. None: the states are at no places
    :param mdp: the problem, for what is known of the states: its start (a ring, where few states are one), its terminal
        states (crosses), the walls between neighbouring cells, the cells that nothing leads to or from (dark), the
        links between points
    :param kind: ``"reward"``: colours diverge around zero, red below and blue above; ``"value"``; ``"occupancy"``: from
        zero, on the scale of the square root
    :param limits: numbers at both ends of the colours; None: those of all values. Where the furthest value is more than
        six times as far away as 98% of them, the colours reach three times as far as those; the colour bar is pointed
    :param goals: terminal states that get a star and no cross, of shape ``(n_states,)``
    :param colour_bar: whether to draw one
    :param title: of the axes
    :raises ValueError: if a shape does not fit or a number is not finite
    :return: the artist that has the colours, for ``figure.colorbar``
    """
    heights = numbers(values, "values", (-1 if mdp is None else mdp.n_states,))
    require(kind in KINDS, "kind", kind, f"one of {', '.join(KINDS)}")
    places = None if positions is None else places_of(positions, len(heights))
    are_lines = positions is not None and np.ndim(positions) == 3
    grid = None if places is None or are_lines else grid_of(places)
    limits = colour_limits(kind, heights) if limits is None else limits
    require(limits[0] < limits[1], "limits", limits, "the lower and the higher end of the colours")
    if places is None:
        artist = _bars(ax, heights)
        places = np.column_stack([np.arange(len(heights)), np.zeros(len(heights))])
        colour_bar = False
    elif grid is not None:
        artist = _image(ax, heights, grid, colours(kind, limits), mdp)
    elif are_lines:
        artist = _segments(ax, heights, np.asarray(positions, dtype=np.float64), colours(kind, limits))
    else:
        artist = _points(ax, heights, places, colours(kind, limits), mdp)
    if mdp is not None:
        mark_states(ax, mdp, places, grid, goals)
    if colour_bar:
        ax.figure.colorbar(artist, ax=ax, extend=beyond(limits, [heights]))
    if title is not None:
        ax.set_title(title)
    return artist


def _image(ax: Any, values: NDArray[np.float64], grid: Grid, colouring: dict[str, Any], mdp: TabularMDP | None) -> Any:
    x, y = grid.edges
    most = max(grid.states.shape)
    colouring = {**colouring, "cmap": colouring["cmap"].with_extremes(bad=_SOLID)}
    is_mapped = mdp is not None and most <= _WALLS
    shown = np.ma.masked_array(values, isolated(mdp)) if mdp is not None and is_mapped else values
    artist = ax.imshow(shown[grid.states], extent=(x[0], x[-1], y[-1], y[0]), interpolation="nearest", **colouring)
    ax.set(xticks=[], yticks=[])
    if most <= _EDGES:
        ax.hlines(y[1:-1], x[0], x[-1], color="white", linewidth=min(0.8, 8.0 / most))
        ax.vlines(x[1:-1], y[0], y[-1], color="white", linewidth=min(0.8, 8.0 / most))
    if mdp is not None and is_mapped:
        _lines(ax, walls(mdp, grid), color=_WALL, linewidth=min(2.0, 32.0 / most), capstyle="projecting")
    return artist


def _points(
    ax: Any, values: NDArray[np.float64], places: NDArray[np.float64], colouring: dict[str, Any], mdp: TabularMDP | None
) -> Any:
    if mdp is not None:
        pairs = links(mdp) if mdp.n_states <= _MOST_LINKED else np.empty((0, 2), dtype=np.int64)
        thickness = min(max(20.0 / np.sqrt(len(values)), 0.4), 1.2)
        _lines(ax, places[pairs], color="#d4d4d4", linewidth=thickness, zorder=0)
    order = np.argsort(np.abs(values), kind="stable")  # the largest on top
    size = min(max(size_in_points(ax, len(values)), 1.2), 14.0) ** 2
    artist = ax.scatter(*places[order].T, c=values[order], s=size, linewidth=0, **colouring)
    _as_map(ax)
    return artist


def _segments(ax: Any, values: NDArray[np.float64], segments: NDArray[np.float64], colouring: dict[str, Any]) -> Any:
    from matplotlib.collections import LineCollection

    first, last = segments.min(axis=(0, 1)), segments.max(axis=(0, 1))
    along = segments[:, 1] - segments[:, 0]
    lengths = np.hypot(*along.T)[:, None]
    points = size_in_points(ax, 1) / (float((last - first).max()) or 1.0)  # of a unit of length
    width = min(max(_LANE * float(np.median(lengths)) * points, 0.4), 4.0)
    right = np.column_stack([-along[:, 1], along[:, 0]]) / np.where(lengths > 0.0, lengths, 1.0)  # y is downwards
    lanes = segments + (0.5 * width / points) * right[:, None]
    order = np.argsort(np.abs(values), kind="stable")
    artist = LineCollection(list(lanes[order]), array=values[order], linewidth=width, capstyle="round", **colouring)
    ax.add_collection(artist)
    ax.update_datalim(segments.reshape(-1, 2))
    ax.autoscale_view()
    _as_map(ax)
    return artist


def _as_map(ax: Any) -> None:
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    if not ax.yaxis_inverted():
        ax.invert_yaxis()


def _bars(ax: Any, values: NDArray[np.float64]) -> Any:
    artist = ax.stairs(values, np.arange(len(values) + 1) - 0.5, fill=True, color=_BAR)
    ax.axhline(0.0, color="#222222", linewidth=0.8)
    ax.set(xlim=(-0.5, len(values) - 0.5), xlabel="state")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    return artist


def _lines(ax: Any, segments: NDArray[np.float64], **style: Any) -> None:
    from matplotlib.collections import LineCollection

    if len(segments):
        ax.add_collection(LineCollection(list(segments), gid="links", **style), autolim=False)
