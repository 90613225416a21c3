"""What an imitation loss is computed on."""

from typing import NamedTuple

import torch as th
from stable_baselines3.common.type_aliases import PyTorchObs


class ImitationBatch(NamedTuple):
    """A minibatch of demonstrated observations and actions, as tensors on the policy's device.

    :param observations: what the policy's ``forward`` takes, ``(B, ...)`` or a dict of such: on its device, images
        channel-first, normalised if the policy was trained on normalised ones
    :param actions: ``(B, *action_shape)`` in the scale of the environment, of any dtype; ``(B,)`` or ``(B, 1)`` for a
        ``Discrete`` space
    :param action_masks: bool ``(B, n_masks)``, True where an action is allowed; needed by maskable policies only
    :param episode_starts: ``(B,)``, nonzero where a new episode starts; read by recurrent policies only, whose batches
        are ``n_sequences`` sequences of equal length, one after the other
    :param valid: bool ``(B,)``, False on the padding of sequences
    :param n_sequences: number of sequences, read by recurrent policies only
    :param weights: ``(B,)``, non-negative; the loss is the weighted mean over the samples
    :param returns_to_go: ``(B,)``, what the demonstrator earned from each observation on; no imitation loss reads it
    """

    observations: PyTorchObs
    actions: th.Tensor
    action_masks: th.Tensor | None = None
    episode_starts: th.Tensor | None = None
    valid: th.Tensor | None = None
    n_sequences: int = 1
    weights: th.Tensor | None = None
    returns_to_go: th.Tensor | None = None

    def mean(self, per_sample: th.Tensor) -> th.Tensor:
        """Average over the samples: weighted, and without the padding.

        :param per_sample: ``(B,)``
        :return: scalar
        """
        if self.valid is None and self.weights is None:
            return per_sample.mean()
        weights = th.ones_like(per_sample) if self.weights is None else self.weights.to(per_sample.dtype)
        if self.valid is not None:
            weights = weights * self.valid
        return (weights * per_sample).sum() / weights.sum()
