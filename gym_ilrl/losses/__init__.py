"""The imitation loss of every Stable-Baselines3 and sb3-contrib policy."""

from gym_ilrl.losses.actor import actor_optimizer, actor_parameters
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.distribution import action_distribution
from gym_ilrl.losses.imitation import imitation_loss, loss_options

__all__ = [
    "ImitationBatch",
    "action_distribution",
    "actor_optimizer",
    "actor_parameters",
    "imitation_loss",
    "loss_options",
]
