"""Several multilayer perceptrons of one shape whose parameters are stacked and which are evaluated together."""

import itertools
import math
from collections.abc import Sequence

import torch as th
import torch.nn.functional as F
from torch import nn


class StackedMlp(nn.Module):
    """Networks ``k = 1 .. n`` with one output and ``activation(LayerNorm(x W_k + b_k))`` as hidden layers.

    Each parameter has one row for each network, so the optimizer and the averaging of target networks see a few large
    tensors instead of many small ones. On a GPU every layer is one batched matrix product. A CPU takes the networks in
    turn: the activations of one stay in its cache, those of ten do not.

    :param n_networks: how many
    :param n_inputs: features that all of them read
    :param net_arch: sizes of the hidden layers
    :param activation_fn: after the LayerNorm of each hidden layer (Ba et al. 2016)
    """

    def __init__(self, n_networks: int, n_inputs: int, net_arch: Sequence[int], activation_fn: type[nn.Module]) -> None:
        super().__init__()
        sizes = [n_inputs, *net_arch, 1]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in itertools.pairwise(sizes):
            bound = 1.0 / math.sqrt(n_in)  # as nn.Linear
            self.weights.append(th.empty(n_networks, n_in, n_out).uniform_(-bound, bound))
            self.biases.append(th.empty(n_networks, 1, n_out).uniform_(-bound, bound))
        self.norm_weights = nn.ParameterList(th.ones(n_networks, 1, size) for size in net_arch)
        self.norm_biases = nn.ParameterList(th.zeros(n_networks, 1, size) for size in net_arch)
        self.activation = activation_fn()

    def forward(self, inputs: th.Tensor, members: th.Tensor | None = None) -> th.Tensor:
        """Evaluate the networks, or some of them, on the same inputs.

        :param inputs: ``(B, n_inputs)``
        :param members: which networks, indices of shape ``(n,)``; None for all
        :return: ``(n, B, 1)``
        """
        stacks = [*self.weights, *self.biases, *self.norm_weights, *self.norm_biases]
        if members is not None:
            stacks = [stack[members] for stack in stacks]
        if inputs.device.type != "cpu":
            return self._evaluate(inputs, stacks)
        one_by_one = zip(*(stack.split(1) for stack in stacks), strict=True)
        return th.cat([self._evaluate(inputs, network) for network in one_by_one])

    def _evaluate(self, inputs: th.Tensor, stacks: Sequence[th.Tensor]) -> th.Tensor:
        n_layers, n_hidden = len(self.weights), len(self.norm_weights)
        weights, biases = stacks[:n_layers], stacks[n_layers : 2 * n_layers]
        gains, shifts = stacks[2 * n_layers : 2 * n_layers + n_hidden], stacks[2 * n_layers + n_hidden :]
        latent = inputs.expand(len(weights[0]), *inputs.shape)
        for layer in range(n_hidden):
            latent = th.baddbmm(biases[layer], latent, weights[layer])
            latent = self.activation(_layer_norm(latent, gains[layer], shifts[layer]))
        return th.baddbmm(biases[-1], latent, weights[-1])


def _layer_norm(latent: th.Tensor, gains: th.Tensor, shifts: th.Tensor) -> th.Tensor:
    """Normalise ``(n, B, size)`` over its last dimension, with the gain and shift ``(n, 1, size)`` of each network."""
    if len(gains) == 1:  # torch has one kernel for all of it
        return F.layer_norm(latent, latent.shape[-1:], gains.flatten(), shifts.flatten())
    return th.addcmul(shifts, F.layer_norm(latent, latent.shape[-1:]), gains)
