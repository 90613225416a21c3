"""Inverse reinforcement learning with known dynamics: what demonstrations say, objectives, optimisers; only numpy."""

from gym_ilrl.irl.evaluation import Evaluation, Learner
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.likelihood import ActionLikelihood
from gym_ilrl.irl.steps import Steps

__all__ = [
    "ActionLikelihood",
    "Evaluation",
    "ExpertVisits",
    "Learner",
    "Steps",
]
