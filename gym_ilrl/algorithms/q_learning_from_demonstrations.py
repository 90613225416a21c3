"""Deep Q-learning from demonstrations."""

from typing import Any, ClassVar

import torch as th
from sb3_contrib import QRDQN
from stable_baselines3 import DQN

from gym_ilrl.algorithms.compat import PrioritizedDemoNStepReplayBuffer
from gym_ilrl.algorithms.from_demonstrations import FromDemonstrations
from gym_ilrl.buffers import PrioritizedDemoReplay, PrioritizedDemoReplayBuffer


class DQfD(FromDemonstrations, DQN):
    """Deep Q-learning from demonstrations (Hester et al., AAAI 2018).

    The demonstrations stay in a prioritised replay buffer; a pretraining phase trains on them alone
    (1000 updates, or ``pretrain_kwargs={"critic_updates": ...}``); in both phases the large margin loss joins the
    temporal difference error of ``n_steps``-step returns (3 by default; 1 for Dict observations, a replay buffer class
    of one's own, and SB3 < 2.7, which has no others). Differences from the paper: one n-step loss in place of a
    one-step and an n-step loss, priorities that are computed when a batch is drawn
    (:class:`~gym_ilrl.buffers.PrioritizedDemoReplay`), and no L2 penalty.

    The arguments are DQN's and those of :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`.
    """

    host_defaults: ClassVar[dict[str, Any]] = {"n_steps": 3}
    replay_classes = (PrioritizedDemoReplayBuffer, PrioritizedDemoNStepReplayBuffer)

    def _use_demonstrations(self) -> None:
        if isinstance(self.replay_buffer, PrioritizedDemoReplay):
            self.replay_buffer.td_error = self._td_error
        super()._use_demonstrations()

    def _td_error(self, samples: Any) -> th.Tensor:
        discounts = getattr(samples, "discounts", None)  # of n-step returns
        values = self.q_net_target(samples.next_observations).amax(dim=1, keepdim=True)
        targets = samples.rewards + (1 - samples.dones) * (self.gamma if discounts is None else discounts) * values
        errors: th.Tensor = self.q_net(samples.observations).gather(1, samples.actions.long()) - targets
        return errors.flatten()

    def load_replay_buffer(self, *args: Any, **kwargs: Any) -> None:
        """Load a replay buffer, whose priorities are this model's (see base class)."""
        super().load_replay_buffer(*args, **kwargs)
        if isinstance(self.replay_buffer, PrioritizedDemoReplay):
            self.replay_buffer.td_error = self._td_error


class QRDQNfD(FromDemonstrations, QRDQN):
    """QR-DQN from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`."""

    host_defaults: ClassVar[dict[str, Any]] = {"n_steps": 3}
