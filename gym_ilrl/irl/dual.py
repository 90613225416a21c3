"""The dual of maximum causal entropy: the soft value of the start less the return of the expert.

Of all policies with the expert's feature expectations, the one of the largest causal entropy is the soft optimal one
of the reward that minimises this function, which is convex in the reward (Ziebart, Bagnell & Dey, "Modeling
Interaction via the Principle of Maximum Causal Entropy", 2010). Its derivative is the learner's occupancy less the
expert's.
"""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.irl.evaluation import Evaluation, Learner
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.seen import Seen, seen
from gym_ilrl.irl.time_dependent import value_and_occupancy
from gym_ilrl.irl.warm_start import WarmStart
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.planning.time_dependent import Workspace


def check_complete(
    expert: ExpertVisits, mdp: TabularMDP, objective: str, instead: str = "objective='likelihood'"
) -> None:
    """Refuse demonstrations whose mean return is not the expert's expected return.

    :param expert: what they say
    :param mdp: the process
    :param objective: in words
    :param instead: the option that does without
    :raises ValueError: saying what is missing and what to use in its place
    """
    if not expert.has_actions:
        raise ValueError(
            f"{objective} needs the expert's actions, and the demonstrations have states only; use {instead}, "
            "which sums over the actions"
        )
    if not expert.is_complete:
        until = "an ending" if mdp.horizon is None else f"an ending or the horizon of {mdp.horizon} steps"
        raise ValueError(
            f"{objective} needs complete episodes, from a possible start to {until}, and some are not: what is cut off "
            f"would count as if the expert avoided it; use {instead}"
        )


class CausalEntropyDual:
    """Soft value of the start less the expert's return, per episode, as a function of the rewards.

    Calling it with rewards of shape ``(n_actions, n_states)`` returns an :class:`Evaluation`; without horizon from the
    solution of the call before. The learner starts where the demonstrations do, so that by which starts were drawn
    does not matter.

    :param mdp: the process; its own rewards do not matter
    :param expert: what complete demonstrations say
    :param temperature: ``tau``, positive: the expert takes actions with probability ``exp((Q - V) / tau)``
    :param solver: as in :func:`~gym_ilrl.planning.solve`
    :param tolerance: as in :class:`~gym_ilrl.irl.likelihood.ActionLikelihood`
    :raises ValueError: if the temperature is out of range, or the demonstrations are not complete
    """

    def __init__(
        self,
        mdp: TabularMDP,
        expert: ExpertVisits,
        temperature: float = 1.0,
        solver: str = "auto",
        tolerance: float = 1e-12,
    ) -> None:
        require(is_number(temperature) and temperature > 0.0, "temperature", temperature, "a positive number")
        check_complete(expert, mdp, "the dual of maximum causal entropy")
        self._mdp = mdp
        self._expert = expert
        self._temperature = float(temperature)
        self._seen: list[Seen | None]
        self._total = float(expert.counts.sum())
        if mdp.horizon is not None and expert.n_steps == 0:  # an occupancy does not say when
            self._seen, self._total = [None] * mdp.horizon, np.nan
        else:
            self._seen = seen(expert, mdp, state_only=False)
        self._workspace = Workspace()
        self._warm = WarmStart(mdp, self._temperature, solver, tolerance) if mdp.horizon is None else None

    def __call__(self, rewards: NDArray[np.float64]) -> Evaluation:
        """Evaluate rewards.

        :param rewards: of every action in every state, of shape ``(n_actions, n_states)``
        :raises DivergenceError: if, without discount and horizon, the values are infinite
        """
        mdp = self._mdp.replace(rewards=rewards)
        if self._warm is None:
            bellman = Bellman.of(mdp, self._temperature)
            value, visits, log_likelihood = value_and_occupancy(
                bellman, self._expert.initial, self._seen, self._workspace
            )
            value *= self._temperature
            learner = Learner(mdp, self._temperature)
        else:
            value, visits, log_likelihood, learner = self._stationary(mdp, self._warm)
        loss = value - float(np.vdot(self._expert.occupancy, mdp.rewards))
        return Evaluation(loss, visits - self._expert.occupancy, log_likelihood / self._total, learner)

    def _stationary(self, mdp: TabularMDP, warm: WarmStart) -> tuple[float, NDArray[np.float64], float, Learner]:
        solution = warm.solve(mdp)
        policy = solution.policy
        visits = policy * warm.flow(policy, self._expert.initial)
        (what,) = self._seen
        assert what is not None
        log_likelihood, _ = what.read(solution.log_policy, np.zeros(mdp.n_states))
        learner = Learner(mdp, self._temperature, solution, warm.system)
        return float(self._expert.initial @ solution.values), visits, log_likelihood, learner
