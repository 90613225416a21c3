"""Policies that SB3 lacks."""

from gym_ilrl.policies.ensemble_critic import EnsembleCritic
from gym_ilrl.policies.layer_norm import (
    LayerNormCnnPolicy,
    LayerNormCritics,
    LayerNormMultiInputPolicy,
    LayerNormSACPolicy,
)
from gym_ilrl.policies.tabular import TabularPolicy
from gym_ilrl.policies.tabular_mixture import TabularMixturePolicy
from gym_ilrl.policies.tabular_q import TabularQPolicy

__all__ = [
    "EnsembleCritic",
    "LayerNormCnnPolicy",
    "LayerNormCritics",
    "LayerNormMultiInputPolicy",
    "LayerNormSACPolicy",
    "TabularMixturePolicy",
    "TabularPolicy",
    "TabularQPolicy",
]
