"""What kind of policy a policy is, where its training depends on it."""

from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import DiagGaussianDistribution
from torch import nn

from gym_ilrl.losses.actor import unwrap


def has_free_deviation(policy: nn.Module) -> bool:
    """Tell whether the policy is a Gaussian whose deviation is a parameter of its own, as PPO's is in a Box."""
    return isinstance(getattr(unwrap(policy), "action_dist", None), DiagGaussianDistribution)


def is_recurrent(policy: nn.Module) -> bool:
    """Tell whether the policy has a memory, so that it has to be trained on sequences."""
    return isinstance(unwrap(policy), RecurrentActorCriticPolicy)
