"""Reward models: tables, linear in features, neural networks."""

from gym_ilrl.rewards.differentiable import differentiable
from gym_ilrl.rewards.linear import LinearReward
from gym_ilrl.rewards.model import RewardModel
from gym_ilrl.rewards.network import RewardNetwork
from gym_ilrl.rewards.table import RewardTable

__all__ = ["LinearReward", "RewardModel", "RewardNetwork", "RewardTable", "differentiable"]
