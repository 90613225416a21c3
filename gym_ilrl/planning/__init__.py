"""Planning with a known model: tabular Markov decision processes, hard and soft optimality, occupancies, messages."""

from gym_ilrl.planning.bellman import DivergenceError
from gym_ilrl.planning.evaluation import policy_evaluation
from gym_ilrl.planning.expectations import expected_over_next
from gym_ilrl.planning.finite_horizon import backward_induction
from gym_ilrl.planning.messages import (
    BackwardMessages,
    backward_messages,
    forward_messages,
    log_partition,
    state_posterior,
)
from gym_ilrl.planning.occupancy import SoftOccupancy, occupancy, soft_occupancy, visitation
from gym_ilrl.planning.policies import greedy_policy
from gym_ilrl.planning.policy_system import PolicySystem
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.solve import solve
from gym_ilrl.planning.tabular_mdp import TabularMDP

__all__ = [
    "BackwardMessages",
    "DivergenceError",
    "PolicySystem",
    "SoftOccupancy",
    "Solution",
    "TabularMDP",
    "backward_induction",
    "backward_messages",
    "expected_over_next",
    "forward_messages",
    "greedy_policy",
    "log_partition",
    "occupancy",
    "policy_evaluation",
    "soft_occupancy",
    "solve",
    "state_posterior",
    "visitation",
]
