"""The critic of REDQ and RLPD: an ensemble whose targets take the least of a few members drawn at random."""

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.preprocessing import get_action_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from gym_ilrl.policies.stacked import StackedMlp


class EnsembleCritic(ContinuousCritic):
    """SB3's ``ContinuousCritic`` with LayerNorm, evaluated as one network.

    :param observation_space: Observation space
    :param action_space: Action space
    :param net_arch: sizes of the hidden layers
    :param features_extractor: Network to extract features
    :param features_dim: Number of features
    :param activation_fn: after the LayerNorm of each hidden layer
    :param normalize_images: Whether to divide images by 255
    :param n_critics: Number of critic networks
    :param share_features_extractor: Whether the actor has the same features extractor, and trains it
    """

    #: how many members, drawn anew at each call, ``forward`` returns; None for all. The target network's is set
    n_drawn: int | None = None

    #: whether ``forward`` returns the mean member alone for actions that a gradient is wanted for
    mean_for_actor = False

    def __init__(
        self,
        observation_space: spaces.Space,  # type: ignore[type-arg]
        action_space: spaces.Box,
        net_arch: list[int],
        features_extractor: BaseFeaturesExtractor,
        features_dim: int,
        activation_fn: type[nn.Module] = nn.ReLU,
        normalize_images: bool = True,
        n_critics: int = 2,
        share_features_extractor: bool = True,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            net_arch,
            features_extractor,
            features_dim,
            activation_fn,
            normalize_images,
            n_critics=0,  # SB3's networks are not needed
            share_features_extractor=share_features_extractor,
        )
        self.n_critics = n_critics
        self.ensemble = StackedMlp(n_critics, features_dim + get_action_dim(action_space), net_arch, activation_fn)

    def forward(self, obs: th.Tensor, actions: th.Tensor) -> tuple[th.Tensor, ...]:
        """Return ``Q_k(s, a)``, one ``(B, 1)`` for each member ``k``: all, the drawn ones, or their mean alone.

        :param obs: observations, ``(B, ...)``
        :param actions: ``(B, action_dim)`` in the policy's scale, ``[-1, 1]``
        """
        with th.set_grad_enabled(th.is_grad_enabled() and not self.share_features_extractor):
            features = self.extract_features(obs, self.features_extractor)
        inputs = th.cat([features, actions], dim=1)
        if self.n_drawn is not None:
            drawn = th.randperm(self.n_critics, device=inputs.device)[: self.n_drawn]
            return tuple(self.ensemble(inputs, drawn))
        values: th.Tensor = self.ensemble(inputs)
        if self.mean_for_actor and actions.requires_grad:
            return (values.mean(dim=0),)
        return tuple(values)

    def q1_forward(self, obs: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """Return the first member's values, ``(B, 1)``: what TD3's actor climbs."""
        with th.no_grad():
            features = self.extract_features(obs, self.features_extractor)
        first = th.zeros(1, dtype=th.int64, device=actions.device)
        values: th.Tensor = self.ensemble(th.cat([features, actions], dim=1), first)[0]
        return values
