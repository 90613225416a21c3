"""``ilrl/RiskyPath-v0``: a sure way and a lottery, which tell two kinds of maximum entropy apart."""

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.envs.dynamics import Dynamics, is_within
from gym_ilrl.envs.risky_path_viewer import draw, write
from gym_ilrl.envs.tabular import TabularDynamics, TabularEnv
from gym_ilrl.envs.vector import DynamicsVectorEnv

FORK, VILLAGE, TREASURE, ABYSS = range(4)
SAFE, RISKY = 0, 1
STATES = ("fork", "village", "treasure", "abyss")


class RiskyPathDynamics(TabularDynamics):
    """The rules of :class:`RiskyPathEnv`.

    :param num_envs: number of copies
    :param win_probability: that the risky way leads to the treasure, in ``[0, 1]``
    :param prize: what the treasure pays at each step, at least 0
    :param loss: what the abyss costs at each step, at least 0
    :param safe: what the village pays at each step, at least 0
    """

    def __init__(
        self,
        num_envs: int = 1,
        win_probability: float = 0.1,
        prize: float = 4.0,
        loss: float = 4.0,
        safe: float = 1.0,
    ) -> None:
        chance = is_within(win_probability, 0.0, 1.0)
        require(chance, "win_probability", win_probability, "a probability, in [0, 1]")
        for name, value in (("prize", prize), ("loss", loss), ("safe", safe)):
            require(is_number(value) and value >= 0.0, name, value, "a number of at least 0")
        transitions = np.tile(np.eye(4), (2, 1)).reshape(2, 4, 4)  # whoever has arrived stays
        transitions[SAFE, FORK] = [0.0, 1.0, 0.0, 0.0]
        transitions[RISKY, FORK] = [0.0, 0.0, win_probability, 1.0 - win_probability]
        pays = np.array([0.0, safe, prize, -loss])
        super().__init__(num_envs, transitions.reshape(8, 4), np.tile(pays, (2, 1)), np.eye(4)[FORK])

    @cached_property
    def features(self) -> NDArray[np.float64]:
        """See :attr:`RiskyPathEnv.features`."""
        features = np.eye(4)
        features.setflags(write=False)
        return features

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """See :attr:`RiskyPathEnv.positions`."""
        positions = np.array([[0.0, 1.0], [2.0, 2.0], [2.0, 0.0], [1.0, 0.5]])
        positions.setflags(write=False)
        return positions

    def render(self, row: int, mode: str) -> Any:
        """Draw the two ways and the agent."""
        state = int(self._state["state"][row])
        if mode == "rgb_array":
            return draw(state, *self.reward[0, [VILLAGE, TREASURE, ABYSS]].tolist())
        return write(STATES, state, self.reward[0].tolist()) if mode == "ansi" else super().render(row, mode)


class RiskyPathEnv(TabularEnv):
    r"""A fork: one way leads to a village for sure, the other one to a treasure or, more often, into an abyss.

    The smallest problem in which it matters *how* entropy is maximised. The maximum entropy model of Ziebart et al.
    ("Maximum entropy inverse reinforcement learning", AAAI 2008) gives a trajectory of return :math:`R` a probability
    proportional to :math:`P\,e^R`, where :math:`P` is that of its chances: good luck becomes more probable when it
    pays, as if the agent could choose it. The causal model (Ziebart, Bagnell and Dey, "Modeling interaction via the
    principle of maximum causal entropy", ICML 2010) leaves chance alone. Over the two steps of an episode, with the
    temperature :math:`\tau` and :math:`\sigma(x) = 1/(1 + e^{-x})`, the probabilities of the risky way are

    .. math::
        \text{maximum entropy: } \sigma\left(\log(p\,e^{prize/\tau} + (1 - p)\,e^{-loss/\tau}) - safe/\tau\right),
        \qquad
        \text{causal: } \sigma\left((p\,prize - (1 - p)\,loss - safe)/\tau\right)

    with the probability of winning :math:`p`: 0.668 and 0.0148 at the defaults and temperature 1. The idea of a test
    with a risky way is that of ``RiskyPath`` in the package seals.

    **Observation.** ``Discrete(4)``: 0 fork, 1 village, 2 treasure, 3 abyss.

    **Action.** ``Discrete(2)``, which matters at the fork: 0 takes the safe way to the village, 1 the risky way, which
    leads to the treasure with ``win_probability`` and else into the abyss. Whoever has arrived stays.

    **Reward.** For acting in a state: ``safe`` in the village, ``prize`` at the treasure, ``-loss`` in the abyss, 0 at
    the fork.

    **Termination.** Never; an episode starts at the fork. ``gym.make`` truncates after 2 steps: one to go and one to be
    paid.

    **Features.** ``env.unwrapped.features``: one indicator a state.

    :param win_probability: that the risky way leads to the treasure, in ``[0, 1]``
    :param prize: what the treasure pays at each step, at least 0
    :param loss: what the abyss costs at each step, at least 0
    :param safe: what the village pays at each step, at least 0
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.tabular.TabularExpert` takes the way with the higher expected reward: the safe
    one at the defaults, for a return of 1. Random actions earn -1.1 on average.

    **Version history.** v0: first version.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 2}
    dynamics_class: ClassVar[type[Dynamics]] = RiskyPathDynamics
    dynamics: RiskyPathDynamics

    def __init__(
        self,
        win_probability: float = 0.1,
        prize: float = 4.0,
        loss: float = 4.0,
        safe: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(RiskyPathDynamics(1, win_probability, prize, loss, safe), render_mode)

    @property
    def features(self) -> NDArray[np.float64]:
        """One indicator a state, of shape ``(4, 4)``, read-only."""
        return self.dynamics.features

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the states."""
        return STATES

    @property
    def positions(self) -> NDArray[np.float64]:
        """Where the states are drawn, x to the right and y downwards, of shape ``(4, 2)``, read-only."""
        return self.dynamics.positions


class RiskyPathVectorEnv(DynamicsVectorEnv):
    """Any number of copies; see :class:`RiskyPathEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = RiskyPathEnv
