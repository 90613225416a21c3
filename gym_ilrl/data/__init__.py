"""Demonstrations: the container, collecting, files.

Collecting is in :mod:`gym_ilrl.data.collect`, which imports Stable-Baselines3; nothing here imports torch.
"""

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.episode import Episode, Transitions

__all__ = ["Demonstrations", "Episode", "Transitions"]
