"""N-step returns with demonstrations; imported only where SB3 has an ``NStepReplayBuffer``."""

from stable_baselines3.common.buffers import NStepReplayBuffer

from gym_ilrl.buffers.demo_replay import DemoReplay
from gym_ilrl.buffers.prioritized import PrioritizedDemoReplay


class DemoNStepReplayBuffer(DemoReplay, NStepReplayBuffer):
    """``NStepReplayBuffer`` with demonstrations (SB3 >= 2.7); the arguments are those of :class:`DemoReplay`.

    SB3 ignores an algorithm's ``n_steps`` when it is given a buffer class: give ``n_steps`` and ``gamma`` (the
    algorithm's) in ``replay_buffer_kwargs``.
    """


class PrioritizedDemoNStepReplayBuffer(PrioritizedDemoReplay, NStepReplayBuffer):
    """:class:`PrioritizedDemoReplay` over ``NStepReplayBuffer``; see :class:`DemoNStepReplayBuffer`."""
