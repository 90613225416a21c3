"""Blackjack: basic strategy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.experts.standard import StandardExpert
from gym_ilrl.wrappers.tuple_to_multi_discrete import TupleToMultiDiscrete

_STICK, _HIT = 0, 1


class BlackjackExpert(StandardExpert):
    """Plays the optimal strategy of blackjack without doubling and splitting.

    R. S. Sutton and A. G. Barto, "Reinforcement Learning: An Introduction", 2nd edition, example 5.3.

    :param env: ``Blackjack-v1``, in :class:`gym_ilrl.wrappers.TupleToMultiDiscrete` or not
    """

    understood_wrappers = (TupleToMultiDiscrete,)

    def act(self, observations: Any) -> NDArray[Any]:
        """Return 0 (stick) or 1 (hit).

        :param observations: ``(sums, dealer's cards, usable aces)``, each of shape ``(n,)``, or an array ``(n, 3)``
        """
        columns = observations if isinstance(observations, tuple) else np.asarray(observations).T
        total, dealer, usable_ace = (np.asarray(column).astype(np.int64) for column in columns)
        soft = np.where((dealer == 1) | (dealer >= 9), 19, 18)
        hard = np.where((dealer == 1) | (dealer >= 7), 17, np.where(dealer >= 4, 12, 13))
        return self.numbered(np.where(total >= np.where(usable_ace > 0, soft, hard), _STICK, _HIT))
