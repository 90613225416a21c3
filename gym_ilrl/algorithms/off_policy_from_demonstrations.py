"""Off-policy actor-critic algorithms from demonstrations."""

from typing import Any, ClassVar

from sb3_contrib import TQC
from stable_baselines3 import DDPG, SAC, TD3

from gym_ilrl.algorithms.from_demonstrations import FromDemonstrations

# SB3's entropy coefficient begins at 1, where the entropy drowns a sparse reward and a cloned actor with it
SMALL_ENTROPY: dict[str, Any] = {"ent_coef": "auto_0.01"}


class SACfD(FromDemonstrations, SAC):
    """SAC from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`.

    The entropy coefficient begins at 0.01 (SB3: at 1), so that it does not undo the cloning.
    """

    host_defaults: ClassVar[dict[str, Any]] = SMALL_ENTROPY


class TD3fD(FromDemonstrations, TD3):
    """TD3 from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class DDPGfD(FromDemonstrations, DDPG):
    """DDPG from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class TQCfD(FromDemonstrations, TQC):
    """TQC from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`.

    The entropy coefficient begins at 0.01, as in :class:`SACfD`.
    """

    host_defaults: ClassVar[dict[str, Any]] = SMALL_ENTROPY
