"""Learning curves: every seed a thin line, the median of the seeds a thick one."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Curve = list[tuple[int, float]]
COLORS = ("#8a8a8a", "#e08214", "#1b7837", "#5e3c99")


def draw(
    panels: dict[str, dict[str, list[Curve]]],
    label: str,
    path: str,
    levels: dict[str, dict[str, float]] | None = None,
) -> None:
    """Draw one panel for each task.

    :param panels: title -> name of the side -> one curve for each seed, all with the same number of points
    :param label: of the vertical axis
    :param path: of the picture
    :param levels: title -> name -> height of a dashed line
    """
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5.2 * columns, 3.2 * rows), squeeze=False)
    for ax, (title, sides) in zip(axes.flat, panels.items(), strict=False):
        for color, (side, curves) in zip(COLORS, sides.items(), strict=False):
            for curve in curves:
                ax.plot(*zip(*curve, strict=True), color=color, alpha=0.35, linewidth=0.9)
            medians = [
                sorted(values)[len(values) // 2] for values in zip(*[[y for _, y in c] for c in curves], strict=True)
            ]
            ax.plot([x for x, _ in curves[0]], medians, color=color, linewidth=2.2, label=side)
        for name, height in (levels or {}).get(title, {}).items():
            ax.axhline(height, color="black", linestyle="--", linewidth=1.0)
            ax.annotate(name, (0.01, height), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("environment steps")
        ax.set_ylabel(label)
        ax.spines[["top", "right"]].set_visible(False)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncol=len(names), frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
