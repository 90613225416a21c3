"""A reward that is learned: its parameters, and the table of what they give."""

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from gym_ilrl.arguments import require
from gym_ilrl.irl.features import Features
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.network import RewardNetwork
from gym_ilrl.rewards.table import RewardTable

_ONE_HOT = 4096  # states at most that a network sees one-hot


class RewardModel(nn.Module):
    """Parameters of a learned reward, and the table of rewards that they give.

    :param observation_space: of the states
    :param action_space: of the actions
    :param learned: the weights of features, or a network from features to rewards
    :param on_states: whether states have the reward, or actions
    :param gamma: discount factor, in ``[0, 1]``
    """

    def __init__(
        self,
        observation_space: spaces.Discrete,
        action_space: spaces.Discrete,
        learned: nn.Module,
        on_states: bool,
        gamma: float,
    ) -> None:
        super().__init__()
        self.table = RewardTable(observation_space, action_space, "states" if on_states else "actions", gamma)
        self.learned = learned

    def inputs(self, features: Features) -> th.Tensor:
        """Return what a network sees of every state (or action), of shape ``(n, d)``, of the type of its parameters.

        :param features: of the states or actions
        :raises ValueError: if there are none, and too many states to tell them apart one by one
        """
        first = next(self.learned.parameters())
        return th.tensor(inputs_of(features), dtype=first.dtype, device=first.device)

    def rows(self, inputs: th.Tensor) -> th.Tensor:
        """Return what a network gives for rows of features, of shape ``(n,)``.

        :param inputs: of shape ``(n, d)``
        :raises ValueError: if it does not take them, or gives another number of rewards
        """
        try:
            rewards: th.Tensor = self.learned(inputs)
        except RuntimeError as error:
            raise ValueError(f"reward, a module, must take features of shape {tuple(inputs.shape)}: {error}") from error
        expected = f"{(len(inputs),)} or {(len(inputs), 1)} for features of shape {tuple(inputs.shape)}"
        require(rewards.numel() == len(inputs), "the shape of the module's rewards", tuple(rewards.shape), expected)
        return rewards.reshape(len(inputs))

    def tabulate(self, features: Features) -> NDArray[np.float64]:
        """Return the reward of every state or action, action-major, as the parameters give it.

        Modules of networks are used as in evaluation: nothing is dropped out, and no statistics are gathered.

        :param features: of the states or actions
        """
        if isinstance(self.learned, LinearReward):
            return features.table(self.learned.weights.detach().cpu().numpy())
        was_training = self.learned.training
        self.learned.eval()
        with th.no_grad():
            rows = self.rows(self.inputs(features))
        self.learned.train(was_training)
        table: NDArray[np.float64] = rows.double().cpu().numpy().reshape(features.earned.table_shape)
        return table


def inputs_of(features: Features) -> NDArray[np.float64]:
    """Return what a network sees of every state (or action): its features, or which one it is.

    :param features: of states or actions
    :raises ValueError: if there are none, and too many states to tell them apart one by one
    :return: of shape ``(n, d)``
    """
    matrix: Any = features.matrix
    if matrix is None:
        if features.n_features > _ONE_HOT:
            raise ValueError(
                f"a network that tells {features.n_features} states or actions apart one by one would be too large: "
                "give features, or reward='tabular'"
            )
        return np.eye(features.n_features)
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def learned_module(kind: str | nn.Module, is_neural: bool, n_features: int, net_arch: tuple[int, ...]) -> nn.Module:
    """Return the parameters of a reward.

    :param kind: of reward; a module is taken as it is
    :raises ValueError: if a module has nothing to learn
    :param is_neural: whether it is a network
    :param n_features: number of features
    :param net_arch: widths of a network's hidden layers
    """
    if isinstance(kind, nn.Module):
        learns = any(parameter.requires_grad for parameter in kind.parameters())
        require(learns, "reward", kind, "a module with parameters that require gradients")
        return kind
    return RewardNetwork(n_features, net_arch) if is_neural else LinearReward(n_features)
