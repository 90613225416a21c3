"""Replay buffers with demonstrations beside the online data."""

from gym_ilrl.buffers.compat import NStepReplayBuffer
from gym_ilrl.buffers.demo_replay import DemoReplay
from gym_ilrl.buffers.from_model import demonstration_buffer
from gym_ilrl.buffers.prioritized import PrioritizedDemoReplay, PrioritizedDemoReplayBuffer
from gym_ilrl.buffers.replay import DemoDictReplayBuffer, DemoHerReplayBuffer, DemoReplayBuffer

__all__ = [
    "DemoDictReplayBuffer",
    "DemoHerReplayBuffer",
    "DemoReplay",
    "DemoReplayBuffer",
    "PrioritizedDemoReplay",
    "PrioritizedDemoReplayBuffer",
    "demonstration_buffer",
]

if NStepReplayBuffer is not None:
    from gym_ilrl.buffers.n_step import DemoNStepReplayBuffer, PrioritizedDemoNStepReplayBuffer

    __all__ += ["DemoNStepReplayBuffer", "PrioritizedDemoNStepReplayBuffer"]
