"""Off-policy actor-critic algorithms from demonstrations."""

from sb3_contrib import TQC
from stable_baselines3 import DDPG, SAC, TD3

from gym_ilrl.algorithms.from_demonstrations import FromDemonstrations


class SACfD(FromDemonstrations, SAC):
    """SAC from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class TD3fD(FromDemonstrations, TD3):
    """TD3 from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class DDPGfD(FromDemonstrations, DDPG):
    """DDPG from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""


class TQCfD(FromDemonstrations, TQC):
    """TQC from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""
