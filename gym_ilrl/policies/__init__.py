"""Policies that SB3 lacks."""

from gym_ilrl.policies.ensemble_critic import EnsembleCritic
from gym_ilrl.policies.layer_norm import (
    LayerNormCnnPolicy,
    LayerNormCritics,
    LayerNormMultiInputPolicy,
    LayerNormSACPolicy,
)

__all__ = [
    "EnsembleCritic",
    "LayerNormCnnPolicy",
    "LayerNormCritics",
    "LayerNormMultiInputPolicy",
    "LayerNormSACPolicy",
]
