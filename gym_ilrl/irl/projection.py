"""Apprenticeship learning by projection (Abbeel & Ng, 2004, section 3.1)."""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.feature_matching import MixtureSearch, deviation


class Projection(MixtureSearch):
    """The mixture moves to the point of the line to the new policy that is closest to the expert.

        ``mu <- mu + s (mu_i - mu),  s = (mu_i - mu) (mu_E - mu) / |mu_i - mu|^2``

    Nothing is solved besides the planning problem, and more of these are needed than with :class:`MaxMargin`. The step
    ends at the new policy, ``s <= 1``: beyond it there is no mixture. See :class:`MixtureSearch`.
    """

    def _mix(self, differences: NDArray[np.float64], mixture: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(mixture) == 0:
            return np.ones(1)
        now = mixture @ differences[:-1]
        line = now - differences[-1]
        length = float(line @ line)
        # for costs it is the step by the quadratic upper bound of the squared distance, which curves at most as much
        step = 0.0 if length == 0.0 else float(np.clip(line @ deviation(now, self._costs) / length, 0.0, 1.0))
        return np.append((1.0 - step) * mixture, step)
