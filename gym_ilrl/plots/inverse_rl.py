"""What inverse reinforcement learning has found, in one figure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.plots.checks import numbers
from gym_ilrl.plots.marks import legend_handles
from gym_ilrl.plots.policies import action_probabilities, plot_policy
from gym_ilrl.plots.positions import grid_of, places_of
from gym_ilrl.plots.scales import beyond, colour_limits
from gym_ilrl.plots.state_rewards import state_rewards
from gym_ilrl.plots.states import plot_states

_WIDE = 1.7  # width by height of the positions, from which on panels are stacked
_PANEL = 2.5  # inches
_UNDER_ARROWS = 0.6  # opacity
_MANY = 400  # states, from which on panels are larger


@dataclass(frozen=True, eq=False)
class _Panel:
    """One of the pictures: what is in it, and whose colours it shares."""

    title: str
    values: NDArray[np.float64]
    kind: str
    group: int
    has_arrows: bool = False


def plot_inverse_rl(
    mdp: TabularMDP,
    learned_reward: ArrayLike,
    policy: ArrayLike,
    expert_occupancy: ArrayLike | None,
    learner_occupancy: ArrayLike,
    true_reward: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    title: str | None = None,
) -> Any:
    """Draw the learned reward beside the true one, the learner's policy, and what expert and learner visit.

    Rewards are identified only up to their scale and to shaping, which change no policy: true and learned ones have
    their own colour bars, both diverging around zero, and it is signs and patterns that compare, not numbers. Where no
    episode ends, a constant changes no policy either: the learned reward is then drawn less its median. The two
    occupancies share one bar; where they agree, the learner does what the expert does.

    Of rewards on actions the mean over the actions that exist in a state is drawn; of true ones first the rewards on
    states that earn them, where there are some (:func:`~gym_ilrl.plots.state_rewards`). Terminal states are marked, by
    a star where such a true reward is positive. Under the arrows the colours of the learned reward are paler.

    :param mdp: the problem
    :param learned_reward: of shape ``(n_states,)`` or, on actions, ``(n_states, n_actions)``
    :param policy: probabilities of the learner's actions, of shape ``(n_actions, n_states)``. With the time in front,
        their mean over the times, weighted by how often the learner is in the state then, which is what its occupancy
        says; in states that it never visits, those of time 0
    :param expert_occupancy: of shape ``(n_actions, n_states)``, or ``(n_states,)`` where the actions are not known;
        None: not known
    :param learner_occupancy: of shape ``(n_actions, n_states)``
    :param true_reward: as ``learned_reward``; None: not known
    :param positions: as in :func:`~gym_ilrl.plots.plot_states`
    :param title: above all
    :raises ValueError: if a shape does not fit or a number is not finite
    :raises ImportError: if matplotlib is not installed
    :return: a matplotlib ``Figure`` that pyplot does not know of: ``figure.savefig("picture.png")``
    """
    from gym_ilrl.plots.figure import Picture

    shape = mdp.rewards.shape
    learner = numbers(learner_occupancy, "learner_occupancy", shape)
    table = _mean_policy(mdp, policy, learner)
    learned = _of_states(mdp, numbers(learned_reward, "learned_reward", shape[1:], shape[::-1]))
    learned = learned if mdp.ending.any() else learned - np.median(learned)
    panels = [
        _Panel("Learned reward", learned, "reward", 1),
        _Panel("Learner's policy", learned, "reward", 1, has_arrows=True),
    ]
    goals = None
    if true_reward is not None:
        true, goals = _truth(mdp, numbers(true_reward, "true_reward", shape[1:], shape[::-1]))
        panels.insert(0, _Panel("True reward", true, "reward", 0))
    if expert_occupancy is not None:
        expert = numbers(expert_occupancy, "expert_occupancy", shape, shape[1:])
        panels.append(_Panel("Expert's visits", expert.reshape(-1, mdp.n_states).sum(axis=0), "occupancy", 2))
    panels.append(_Panel("Learner's visits", learner.sum(axis=0), "occupancy", 2))
    places = None if positions is None else places_of(positions, mdp.n_states)
    figure = Picture(figsize=_size(places, len(panels)), layout="constrained" if places is None else "compressed")
    if places is None or positions is None:
        _draw_rows(figure, mdp, panels, table, goals)
    else:
        _draw_maps(figure, mdp, panels, table, goals, np.asarray(positions), _aspect(places) >= _WIDE)
    if title is not None:
        figure.suptitle(title)
    return figure


def _mean_policy(mdp: TabularMDP, policy: ArrayLike, occupancy: NDArray[np.float64]) -> NDArray[np.float64]:
    first = action_probabilities(mdp, policy)
    if np.ndim(policy) == 2:
        return first
    visits = occupancy.sum(axis=0)
    return np.where(visits > 0.0, occupancy / np.where(visits > 0.0, visits, 1.0), first)


def _truth(mdp: TabularMDP, reward: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return what is drawn of the true reward, and the rewards on states, if it is one."""
    on_states = reward if reward.ndim == 1 else state_rewards(mdp.replace(rewards=reward.T))
    return (_of_states(mdp, reward), None) if on_states is None else (on_states, on_states)


def _of_states(mdp: TabularMDP, reward: NDArray[np.float64]) -> NDArray[np.float64]:
    if reward.ndim == 1:
        return reward
    exists = np.ones(reward.shape) if mdp.available is None else mdp.available.T
    mean: NDArray[np.float64] = (reward * exists).sum(axis=1) / exists.sum(axis=1)
    return np.where(mdp.terminal, 0.0, mean)


def _size(places: NDArray[np.float64] | None, n_panels: int) -> tuple[float, float]:
    """Return width and height of the figure, in inches."""
    if places is None:
        return 3.2 * _PANEL, 0.7 * _PANEL * n_panels
    aspect = _aspect(places)
    panel = _PANEL if len(places) < _MANY else 1.2 * _PANEL
    if aspect < _WIDE:
        return n_panels * panel, min(panel / aspect, 2.5 * panel) + 1.2
    return 4.0 * panel, (n_panels + 1) // 2 * (max(1.8 * panel / aspect, 0.8) + 0.35) + 0.3


def _aspect(places: NDArray[np.float64]) -> float:
    """Return the width of a map by its height."""
    grid = grid_of(places)
    if grid is not None:
        (left, right), (top, bottom) = (along[[0, -1]] for along in grid.edges)
        return float((right - left) / (bottom - top))
    width, height = np.ptp(places, axis=0)
    return float(width / height) if height > 0.0 else np.inf


def _draw_maps(
    figure: Any,
    mdp: TabularMDP,
    panels: list[_Panel],
    policy: NDArray[np.float64],
    goals: NDArray[np.float64] | None,
    positions: NDArray[np.float64],
    is_wide: bool,
) -> None:
    """Draw each panel as a map: all in one row, or, where maps are wide, one row for each colour bar."""
    groups = [[panel for panel in panels if panel.group == group] for group in sorted({p.group for p in panels})]
    axes = figure.subplots(len(groups), 2) if is_wide else figure.subplots(1, len(panels))
    spare: list[Any] = []
    for row, group in enumerate(groups):
        first = panels.index(group[0])
        own = axes[row] if is_wide else axes[first : first + len(group)]
        _draw_group(figure, list(own[: len(group)]), mdp, group, policy, goals, positions, is_wide)
        spare += list(own[len(group) :])
    for ax in spare:
        ax.set_axis_off()
    handles = legend_handles(axes.flat[0], mdp, goals)
    if spare and handles:
        spare[0].legend(handles=handles, loc="center left", frameon=False)
    else:
        _legend_below(figure, handles)


def _legend_below(figure: Any, handles: list[Any]) -> None:
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _draw_group(
    figure: Any,
    axes: list[Any],
    mdp: TabularMDP,
    panels: list[_Panel],
    policy: NDArray[np.float64],
    goals: NDArray[np.float64] | None,
    positions: NDArray[np.float64],
    is_wide: bool,
) -> None:
    """Draw the panels that share a colour bar."""
    from matplotlib.ticker import MaxNLocator

    kind, values = panels[0].kind, [panel.values for panel in panels]
    limits = colour_limits(kind, *values)
    artists = []
    for panel, ax in zip(panels, axes, strict=True):
        shared: dict[str, Any] = {"kind": kind, "limits": limits, "colour_bar": False}
        artists.append(plot_states(ax, panel.values, positions, mdp=mdp, goals=goals, title=panel.title, **shared))
        if panel.has_arrows:
            artists[-1].set_alpha(_UNDER_ARROWS)
            plot_policy(ax, policy, mdp, positions)
    side = {"location": "right", "aspect": 12} if is_wide else {"location": "bottom", "aspect": 14 * len(panels)}
    ticks = MaxNLocator(5)
    bar = figure.colorbar(artists[0], ax=axes, extend=beyond(limits, values), pad=0.02, ticks=ticks, **side)
    bar.outline.set_visible(False)


def _draw_rows(
    figure: Any,
    mdp: TabularMDP,
    panels: list[_Panel],
    policy: NDArray[np.float64],
    goals: NDArray[np.float64] | None,
) -> None:
    """Draw each panel over the numbers of the states, one below the other."""
    axes = figure.subplots(len(panels), 1, sharex=True)
    for panel, ax in zip(panels, axes, strict=True):
        if panel.has_arrows:
            plot_policy(ax, policy, mdp, title=panel.title)
        else:
            plot_states(ax, panel.values, mdp=mdp, kind=panel.kind, goals=goals, title=panel.title)
        ax.set_xlabel("state" if ax is axes[-1] else "")
    _legend_below(figure, legend_handles(axes[0], mdp, goals))
    if panels[-2].kind == panels[-1].kind:
        axes[-1].sharey(axes[-2])
