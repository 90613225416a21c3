"""On-policy algorithms from demonstrations."""

from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO

from gym_ilrl.algorithms.from_demonstrations import FromDemonstrations


class PPOfD(FromDemonstrations, PPO):
    """PPO from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class A2CfD(FromDemonstrations, A2C):
    """A2C from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class TRPOfD(FromDemonstrations, TRPO):
    """TRPO from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class RecurrentPPOfD(FromDemonstrations, RecurrentPPO):
    """RecurrentPPO from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class MaskablePPOfD(FromDemonstrations, MaskablePPO):
    """MaskablePPO from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`.

    The demonstrations need ``infos["action_masks"]``, as ``collect`` records them for a maskable policy.
    """
