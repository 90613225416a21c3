"""Value lost against demonstrations, and the rewards that were learnt beside the true one."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.plots import plot_states

mpl.use("Agg")
import matplotlib.pyplot as plt

FILE = Path(__file__).parents[1] / "docs" / "images" / "nonlinear_rewards.png"
COLORS = {
    "network": "black",
    "linear": "tab:red",
    "linear, distance thresholds": "tab:orange",
    "table": "tab:blue",
    "zero": "0.6",
}

Example = dict[str, NDArray[np.float64]]
"""The rewards of one layout: ``"true"``, ``"linear"`` and ``"network"``, each of shape ``(n_states,)``."""


def draw(
    curves: dict[str, dict[str, NDArray[np.float64]]], sizes: tuple[int, ...], examples: dict[str, Example]
) -> None:
    """Draw a row for each environment.

    :param curves: environment -> line -> losses, of shape ``(sizes, seeds)``
    :param sizes: numbers of demonstrations
    :param examples: environment -> rewards of one layout, on a square grid
    """
    ratios = [1.35, 1.0, 1.0, 1.0]
    figure, axes = plt.subplots(len(curves), 4, figsize=(14, 7), width_ratios=ratios, layout="constrained")
    for row, (name, lines) in zip(axes, curves.items(), strict=True):
        draw_curves(row[0], lines, sizes)
        row[0].set_title(f"{name}: value lost")
        side = int(len(examples[name]["true"]) ** 0.5)
        positions = np.stack(np.indices((side, side))[::-1], axis=-1).reshape(-1, 2).astype(np.float64)
        titles = {"true": "true reward", "linear": "linear", "network": "network"}
        for ax, (which, title) in zip(row[1:], titles.items(), strict=True):
            reward = examples[name][which]
            if which != "true":
                title += f" (correlation {np.corrcoef(reward, examples[name]['true'])[0, 1]:.2f})"
            shift = 0.0 if which == "true" else np.median(reward)  # changes no policy, for episodes never end
            plot_states(ax, reward - shift, positions, title=title, colour_bar=False)
    axes[-1, 0].set_xlabel("demonstrations")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(FILE, dpi=100)
    plt.close(figure)


def draw_curves(ax: plt.Axes, lines: dict[str, NDArray[np.float64]], sizes: tuple[int, ...]) -> None:
    """Draw the mean of the seeds with its standard error."""
    for line, losses in lines.items():
        error = losses.std(axis=1, ddof=1) / losses.shape[1] ** 0.5
        style = {"linestyle": "--"} if line == "zero" else {"marker": "o"}
        ax.errorbar(sizes, losses.mean(axis=1), error, color=COLORS[line], label=line, capsize=3, **style)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.set_ylim(bottom=0.0)
