"""Inverse reinforcement learning with known dynamics: what demonstrations say, objectives, optimisers; only numpy."""

from gym_ilrl.irl.dual import CausalEntropyDual
from gym_ilrl.irl.evaluation import Evaluation, Learner
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import EarnedRewards, Features, features_of
from gym_ilrl.irl.indifference import indifferent_rewards
from gym_ilrl.irl.likelihood import ActionLikelihood
from gym_ilrl.irl.posterior import posterior_solution
from gym_ilrl.irl.steps import Steps
from gym_ilrl.irl.trajectories import TrajectoryLikelihood

__all__ = [
    "ActionLikelihood",
    "CausalEntropyDual",
    "EarnedRewards",
    "Evaluation",
    "ExpertVisits",
    "Features",
    "Learner",
    "Steps",
    "TrajectoryLikelihood",
    "features_of",
    "indifferent_rewards",
    "posterior_solution",
]
