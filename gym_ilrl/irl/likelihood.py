r"""The conditional likelihood of the expert's actions, or of its states, under the soft optimal policy of a reward.

With ``log pi = (Q - V) / tau``, ``n(s, a)`` the number of times that an action was taken, and ``n(s)`` their sum over
the actions, the derivative of ``L = sum n log pi`` with respect to the rewards is

    ``dL / dr(s, a) = (n(s, a) + pi(a | s) y(s)) / tau``,  ``y = (I - gamma P_pi)^{-T} (gamma P^T n - n)``

since ``dV = (I - gamma P_pi)^{-1} sum_a pi dr``: the expert's counts less the visits of a learner that is started
where the expert's steps begin and taken away where they lead. Rust, "Optimal Replacement of GMC Bus Engines" (1987);
Ziebart, Bagnell & Dey, "Modeling Interaction via the Principle of Maximum Causal Entropy" (2010), section 4. It does
not need complete episodes, nor their order. With stochastic dynamics it is not concave in general.
"""

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.irl.evaluation import Evaluation, Learner
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.seen import seen
from gym_ilrl.irl.time_dependent import likelihood_and_gradient
from gym_ilrl.irl.warm_start import WarmStart
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.tabular_mdp import TabularMDP
from gym_ilrl.planning.time_dependent import Workspace


class ActionLikelihood:
    """Mean negative log-likelihood of a step, as a function of the rewards.

    Calling it with rewards of shape ``(n_actions, n_states)`` returns an :class:`Evaluation`, exactly and from the
    solution of the call before. The policy is stationary without horizon, and else depends on the time: then steps
    are counted from the beginning of their episode.

    :param mdp: the process; its own rewards do not matter
    :param expert: what the demonstrations say. An occupancy counts as infinitely many steps
    :param temperature: ``tau``, positive: the expert takes actions with probability ``exp((Q - V) / tau)``
    :param solver: as in :func:`~gym_ilrl.planning.solve`
    :param state_only: the likelihood of the next state, ``log sum_a pi(a | s) P(s' | s, a)``, endings included: for
        demonstrations without actions
    :param tolerance: of the values, relative to the largest one, without horizon. Line searches compare losses and want
        all digits; for a gradient alone 1e-9 is plenty
    :raises ValueError: if the temperature is out of range, or the demonstrations do not say what is needed
    """

    def __init__(
        self,
        mdp: TabularMDP,
        expert: ExpertVisits,
        temperature: float = 1.0,
        solver: str = "auto",
        state_only: bool = False,
        tolerance: float = 1e-12,
    ) -> None:
        require(is_number(temperature) and temperature > 0.0, "temperature", temperature, "a positive number")
        self._mdp = mdp
        self._temperature = float(temperature)
        self._seen = seen(expert, mdp, state_only)
        self._total = sum(each.total for each in self._seen if each is not None)
        self._workspace = Workspace()
        self._warm = WarmStart(mdp, self._temperature, solver, tolerance) if mdp.horizon is None else None

    def __call__(self, rewards: NDArray[np.float64]) -> Evaluation:
        """Evaluate rewards.

        :param rewards: of every action in every state, of shape ``(n_actions, n_states)``
        :raises DivergenceError: if, without discount and horizon, the values are infinite
        """
        mdp = self._mdp.replace(rewards=rewards)
        if self._warm is None:
            log_likelihood, gradient = likelihood_and_gradient(
                Bellman.of(mdp, self._temperature), self._seen, self._workspace
            )
            learner = Learner(mdp, self._temperature)
        else:
            log_likelihood, gradient, learner = self._stationary(mdp, self._warm)
        gradient *= -1.0 / (self._total * self._temperature)
        mean = log_likelihood / self._total
        return Evaluation(-mean, gradient, mean, learner)

    def _stationary(self, mdp: TabularMDP, warm: WarmStart) -> tuple[float, NDArray[np.float64], Learner]:
        solution = warm.solve(mdp)
        (what,) = self._seen
        assert what is not None
        log_likelihood, taken = what.read(solution.log_policy, np.zeros(mdp.n_states))
        counts = np.zeros(mdp.rewards.shape)
        counts.ravel()[what.rows] = taken
        policy = solution.policy
        gradient = counts + policy * warm.flow(policy, warm.following(counts) - counts.sum(axis=0))
        return log_likelihood, gradient, Learner(mdp, self._temperature, solution, warm.system)
