"""The share of trips that use each road: of the drivers, of the model that was fitted to others, and of the clock."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from gym_ilrl.plots import plot_states

mpl.use("Agg")
import matplotlib.pyplot as plt

FILE = Path(__file__).parents[1] / "docs" / "images" / "routes.png"


def draw(shares: dict[str, NDArray[np.float64]], segments: NDArray[np.float64], start: int, end: int) -> None:
    """Draw one map for each of the shares.

    :param shares: title -> the share of trips that use each road, of shape ``(n_roads,)``
    :param segments: from where to where each road leads, of shape ``(n_roads, 2, 2)``
    :param start: the road on which the trips begin
    :param end: a road on which they end
    """
    figure, axes = plt.subplots(1, len(shares), figsize=(5 * len(shares), 5.2), layout="constrained")
    for ax, (title, share) in zip(axes, shares.items(), strict=True):
        artist = plot_states(
            ax, np.minimum(share, 1.0), segments, kind="occupancy", limits=(0.0, 1.0), colour_bar=False, title=title
        )
        ax.plot(*segments[start, 1], "o", color="black", markersize=7, label="start")
        ax.plot(*segments[end, 1], "*", color="black", markersize=13, label="destination")
    axes[0].legend(frameon=True, loc="lower left")
    figure.colorbar(artist, ax=axes, label="share of the trips", pad=0.01)
    figure.savefig(FILE, dpi=90)
    plt.close(figure)
