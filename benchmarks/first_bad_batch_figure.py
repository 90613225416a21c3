"""The learning curves of the first bad batch, one panel for each algorithm."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

FILE = Path(__file__).parents[1] / "docs" / "images" / "first_bad_batch.png"
RECIPE = "fD class"

Curve = list[tuple[int, float, float]]
"""(environment steps, mean return, its standard error) of each evaluation."""


def draw(curves: dict[str, dict[str, list[Curve]]], title: str) -> None:
    """Draw every seed as a thin line and each line's median as a thick one.

    :param curves: algorithm -> line -> one curve for each seed
    :param title: of the figure
    """
    figure, panels = plt.subplots(1, len(curves), figsize=(6 * len(curves), 4.5), sharey=True, layout="constrained")
    names = dict.fromkeys(line for lines in curves.values() for line in lines if line != RECIPE)
    colors = {RECIPE: "black", **dict(zip(names, plt.get_cmap("tab10").colors, strict=False))}  # type: ignore[attr-defined]
    for panel, (algorithm, lines) in zip(np.atleast_1d(panels), curves.items(), strict=True):
        for line, seeds in lines.items():
            steps = [point[0] for point in seeds[0]]
            returns = np.array([[point[1] for point in curve] for curve in seeds])
            panel.plot(steps, returns.T, color=colors[line], linewidth=0.6, alpha=0.5)
            panel.plot(steps, np.median(returns, axis=0), color=colors[line], linewidth=2.5, label=line)
        cloned = np.median([curve[0][1] for curve in lines[RECIPE]])
        panel.axhline(cloned, color="gray", linestyle="--", linewidth=1, label="cloned")
        panel.set_title(algorithm)
        panel.set_xlabel("environment steps")
    np.atleast_1d(panels)[0].set_ylabel("mean return")
    np.atleast_1d(panels)[0].set_ylim(-260, 290)  # a policy of random weights may begin far below
    handles, labels = np.atleast_1d(panels)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title)
    figure.savefig(FILE, dpi=110)
    plt.close(figure)
