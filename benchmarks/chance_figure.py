"""Return lost against slip, and where the expert and plain MaxEnt IRL are."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.plots import plot_states

mpl.use("Agg")
import matplotlib.pyplot as plt

FILE = Path(__file__).parents[1] / "docs" / "images" / "chance.png"
STYLES = {
    "causal": {"color": "black"},
    "plain": {"color": "tab:red"},
    "plain's reward, planned causally": {"color": "tab:orange", "linestyle": "--"},
}


def draw(
    slips: tuple[float, ...],
    losses: dict[str, NDArray[np.float64]],
    visits: dict[str, NDArray[np.float64]],
    size: int,
) -> None:
    """Draw every seed as a point, the means as lines, and two maps of visits on one scale.

    :param slips: probabilities of slipping
    :param losses: learner -> shares of the return, of shape ``(slips, seeds)``
    :param visits: of ``"expert"``, ``"causal"`` and ``"plain"`` in one process, of shape ``(size**2,)``
    :param size: of the grid
    """
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.8), width_ratios=[1.3, 1.0, 1.0], layout="constrained")
    for name, of_seeds in losses.items():
        axes[0].plot(slips, 100.0 * of_seeds.mean(axis=1), label=name, **STYLES[name])
        axes[0].plot(slips, 100.0 * of_seeds, ".", color=STYLES[name]["color"], markersize=4)
    axes[0].set(xlabel="slip", ylabel="% of the return lost", xticks=slips, ylim=(-3, 100))
    axes[0].legend(frameon=False, loc="upper left")
    limits = (0.0, float(max(visits[name].max() for name in ("expert", "plain"))))
    positions = np.stack(np.indices((size, size))[::-1], axis=-1).reshape(-1, 2).astype(np.float64)
    titles = {"expert": "expert's visits at slip 0.2, and causal's", "plain": "plain's visits"}
    for ax, (name, title) in zip(axes[1:], titles.items(), strict=True):
        artist = plot_states(
            ax, visits[name], positions, kind="occupancy", limits=limits, colour_bar=False, title=title
        )
    figure.colorbar(artist, ax=axes[1:], label="steps in the cell")
    figure.savefig(FILE, dpi=100)
    plt.close(figure)
