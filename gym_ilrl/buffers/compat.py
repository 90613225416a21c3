"""Differences between the supported versions of Stable-Baselines3."""

from stable_baselines3.common import buffers
from stable_baselines3.common.buffers import ReplayBuffer

NStepReplayBuffer: type[ReplayBuffer] | None = getattr(buffers, "NStepReplayBuffer", None)  # since SB3 2.7
