"""The objectives of maximum entropy inverse reinforcement learning by their names."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.dual import CausalEntropyDual
from gym_ilrl.irl.evaluation import Evaluation
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.likelihood import ActionLikelihood
from gym_ilrl.irl.trajectories import TrajectoryLikelihood
from gym_ilrl.planning.tabular_mdp import TabularMDP

Objective = Callable[[NDArray[np.float64]], Evaluation]


def objective_of(
    kind: str, mdp: TabularMDP, expert: ExpertVisits, temperature: float, solver: str, state_only: bool
) -> Objective:
    """Return an objective of rewards of shape ``(n_actions, n_states)``.

    :param kind: ``"likelihood"``, ``"dual"`` or ``"trajectory"``
    :param mdp: the process
    :param expert: what the demonstrations say
    :param temperature: of the demonstrator, positive
    :param solver: of the planning
    :param state_only: whether to leave the demonstrated actions out
    :raises ValueError: if the demonstrations do not say what the objective needs
    """
    if kind == "trajectory":
        return TrajectoryLikelihood(mdp, expert, temperature)
    if kind == "dual":
        return CausalEntropyDual(mdp, expert, temperature, solver)
    return ActionLikelihood(mdp, expert, temperature, solver, state_only or not expert.has_actions)


def demonstrated_rates(kind: str, expert: ExpertVisits, temperature: float) -> NDArray[np.float64]:
    """Return how much of each action in each state the loss is about, of shape ``(n_actions, n_states)``.

    :param kind: of objective
    :param expert: what the demonstrations say
    :param temperature: of the demonstrator
    :return: the discounted visits of an episode, or, for the likelihood, the shares of the steps over the temperature.
        Where the actions are unknown, the states' are spread over all of them
    """
    if kind != "likelihood":
        return expert.occupancy
    counts = expert.counts
    if not expert.has_actions:
        counts = np.tile(np.asarray(expert.transitions.sum(axis=1)).ravel(), (len(counts), 1))
    rates: NDArray[np.float64] = counts / (counts.sum() * temperature)
    return rates
