"""Maximum entropy over trajectories: the likelihood of the expert's trajectories, chance included."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.irl.dual import check_complete
from gym_ilrl.irl.evaluation import Evaluation, Learner
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.posterior import TrajectoryPosterior, posterior_solution
from gym_ilrl.irl.steps import arrival_probability
from gym_ilrl.planning.occupancy import occupancy
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.tabular_mdp import TabularMDP


class PosteriorLearner(Learner):
    """The agent that acts by the posterior of its actions, in the process as it is."""

    @cached_property
    def solution(self) -> Solution:
        """``tau log beta`` and the posterior of the actions."""
        return posterior_solution(self.mdp, self.temperature)

    @cached_property
    def occupancy(self) -> NDArray[np.float64]:
        """Expected discounted visits in the process itself, whose chance is on nobody's side."""
        return occupancy(self.mdp, self.solution.policy)


class TrajectoryLikelihood:
    """Negative log-likelihood of the expert's trajectories, per episode, times the temperature.

    ``p(tau | s_0)`` is proportional to ``prod_t P(s_t+1 | s_t, a_t) exp(gamma^t r(s_t, a_t) / tau)`` (Ziebart, Maas,
    Bagnell & Dey, "Maximum Entropy Inverse Reinforcement Learning", 2008). The gradient is what the model believes the
    visits to be, given the first states of the demonstrations, less those of the expert; the loss is convex. Where the
    dynamics are stochastic the model believes in luck, and its policy does not match the expert: then use
    :class:`~gym_ilrl.irl.CausalEntropyDual`. Without discount and chance the two are the same function of the rewards.

    Calling it with rewards of shape ``(n_actions, n_states)`` returns an :class:`Evaluation`. Its loss leaves out the
    probability of the outcomes of chance in the demonstrations, which no reward changes; ``log_likelihood`` contains
    it. Its solution is the posterior policy, and its occupancy what that policy visits in the process.

    :param mdp: the process, with a horizon; its own rewards do not matter
    :param expert: what complete demonstrations say
    :param temperature: ``tau``, positive
    :raises ValueError: if the process has no horizon, the temperature is out of range, or the demonstrations are not
        complete
    """

    def __init__(self, mdp: TabularMDP, expert: ExpertVisits, temperature: float = 1.0) -> None:
        self._posterior = TrajectoryPosterior(mdp, temperature)
        check_complete(expert, mdp, "maximum entropy over trajectories", "causal=True")
        self._mdp = mdp
        self._expert = expert
        self._temperature = float(temperature)
        self._log_chance = np.nan  # of all outcomes together; an occupancy does not say
        if expert.n_steps > 0:
            steps = expert.steps
            self._log_chance = float(np.log(arrival_probability(mdp, steps.rows(mdp), steps.next_state)).sum())

    def __call__(self, rewards: NDArray[np.float64]) -> Evaluation:
        """Evaluate rewards.

        :param rewards: of every action in every state, of shape ``(n_actions, n_states)``
        """
        mdp, expert = self._mdp.replace(rewards=rewards), self._expert
        moments = list(self._posterior.backward(mdp.rewards))
        log_partition = float(expert.initial @ moments[-1].values)
        visits, state, discount = np.zeros(rewards.shape), expert.initial, 1.0
        while moments:
            now, state = self._posterior.forward(moments.pop(), state)
            visits += now if discount == 1.0 else discount * now
            discount *= mdp.gamma
        loss = self._temperature * log_partition - float(np.vdot(expert.occupancy, mdp.rewards))
        mean = np.nan
        if expert.n_steps > 0:
            mean = (self._log_chance - expert.n_episodes * loss / self._temperature) / expert.n_steps
        return Evaluation(loss, visits - expert.occupancy, mean, PosteriorLearner(mdp, self._temperature))
