"""Differences between the supported versions of Stable-Baselines3."""

from typing import Any

from gym_ilrl import buffers

# None before SB3 2.7, which has no n-step returns
DemoNStepReplayBuffer: type[Any] | None = getattr(buffers, "DemoNStepReplayBuffer", None)
PrioritizedDemoNStepReplayBuffer: type[Any] | None = getattr(buffers, "PrioritizedDemoNStepReplayBuffer", None)
