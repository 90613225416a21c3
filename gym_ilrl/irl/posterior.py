"""The distribution over trajectories that maximum entropy without causality assumes, and its messages.

Given its first state a trajectory has the probability

    ``p(tau | s_0) = prod_t P(s_t+1 | s_t, a_t) exp(gamma^t r(s_t, a_t) / tau) / Z(s_0)``

(Ziebart, Maas, Bagnell & Dey, "Maximum Entropy Inverse Reinforcement Learning", 2008, equation 4, with the normaliser
kept for each first state). Its log-partition follows backward in time, and its visits forward:

    ``log beta_t(s) = log sum_a exp(gamma^t r(s, a) / tau + log E[beta_t+1(s') | s, a])``, ``log Z = log beta_0``

It conditions on what is to come, so that chance is on the agent's side: the posterior of the *dynamics* is not ``P``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.planning.bellman import Bellman
from gym_ilrl.planning.messages import log_product
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.tabular_mdp import TabularMDP

_SMALLEST = 1e-250  # an expectation of scaled exponentials below it may have lost terms


@dataclass(frozen=True, eq=False)
class _Moment:
    """Messages of one time.

    :param q: ``log beta`` of actions, of shape ``(n_actions, n_states)``
    :param values: ``log beta`` of states, of shape ``(n_states,)``
    :param policy: the posterior of the action, of shape ``(n_actions, n_states)``
    :param following: ``log beta`` of the next time, of shape ``(n_states,)``
    :param weights: its exponentials, less a common factor; None if they do not fit into one range
    :param expectation: ``E[weights]``, or its logarithm with ``log beta`` itself; of shape ``(n_actions, n_states)``
    """

    q: NDArray[np.float64]
    values: NDArray[np.float64]
    policy: NDArray[np.float64]
    following: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    expectation: NDArray[np.float64]


class TrajectoryPosterior:
    """Messages of one process after the other with the same dynamics.

    :param mdp: a process with a horizon
    :param temperature: ``tau``, positive
    """

    def __init__(self, mdp: TabularMDP, temperature: float) -> None:
        require(mdp.horizon is not None, "horizon", mdp.horizon, "given for sums over trajectories: mdp.replace(...)")
        require(is_number(temperature) and temperature > 0.0, "temperature", temperature, "a positive number")
        self._mdp = mdp
        self._temperature = float(temperature)
        self._ends = bool(mdp.ending.any())
        leads = mdp.ending + np.asarray(mdp.transitions.sum(axis=1)).reshape(mdp.ending.shape)
        acting = ~mdp.terminal & (leads > 0.0)
        self._idle = None if acting.all() else np.flatnonzero(~acting)  # of terminal states and unavailable actions
        self._rows = np.repeat(np.arange(mdp.rewards.size), np.diff(mdp.transitions.indptr))
        with np.errstate(divide="ignore"):
            self._log_ending = np.log(mdp.ending)

    def backward(self, rewards: NDArray[np.float64]) -> Iterator[_Moment]:
        """Return the messages from the last time to the first.

        :param rewards: of shape ``(n_actions, n_states)``
        """
        mdp, steps = self._mdp, int(self._mdp.horizon or 0)
        # the operator with its conventions for terminal states and unavailable actions; only what is added differs
        bellman = Bellman.of(mdp.replace(rewards=rewards), self._temperature)
        values = np.zeros(mdp.n_states)
        for t in reversed(range(steps)):
            weights, expectation, logarithm = self._expectation(values)
            q = logarithm + (bellman.rewards if mdp.gamma == 1.0 else mdp.gamma**t * bellman.rewards)
            if self._idle is not None:
                q.ravel()[self._idle] = bellman.rewards.ravel()[self._idle]
            following = values
            values, policy = bellman.improve(q)
            yield _Moment(q, values, policy, following, weights, expectation)

    def forward(self, moment: _Moment, state: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the posterior probability of states and actions now, and of the state at the next time.

        :param moment: messages of this time
        :param state: posterior probability of the state, of shape ``(n_states,)``
        """
        now = moment.policy * state
        transitions = self._mdp.transitions
        if moment.weights is not None:
            following: NDArray[np.float64] = transitions.T @ (now / moment.expectation).ravel()
            following *= moment.weights
            return now, following
        expected = moment.expectation.ravel()[self._rows]
        posterior = transitions.data * np.exp(moment.following[transitions.indices] - expected)
        arriving = np.bincount(transitions.indices, posterior * now.ravel()[self._rows], len(state))
        return now, arriving.astype(np.float64, copy=False)

    def _expectation(
        self, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64] | None, NDArray[np.float64], NDArray[np.float64]]:
        """Return the scaled exponentials of values, their expectation after each action, and its true logarithm."""
        transitions, ending = self._mdp.transitions, self._mdp.ending
        largest = max(float(values.max()), 0.0) if self._ends else float(values.max())
        weights = np.exp(values - largest)
        expectation = (transitions @ weights).reshape(ending.shape)
        if self._ends:
            expectation += ending * np.exp(-largest)
        if self._idle is not None:
            expectation.ravel()[self._idle] = 1.0
        if expectation.min() >= _SMALLEST:
            logarithm = np.log(expectation)
            logarithm += largest
            return weights, expectation, logarithm
        logarithm = log_product(transitions, values).reshape(ending.shape)
        logarithm = np.logaddexp(logarithm, self._log_ending)
        if self._idle is not None:
            logarithm.ravel()[self._idle] = 0.0
        return None, logarithm, logarithm


def posterior_solution(mdp: TabularMDP, temperature: float = 1.0) -> Solution:
    """Return the posterior of the actions as a policy that depends on time, with ``tau log beta`` as its values.

    :param mdp: a process with a horizon ``H``
    :param temperature: ``tau``, positive
    :raises ValueError: if the process has no horizon
    """
    moments = list(TrajectoryPosterior(mdp, temperature).backward(mdp.rewards))[::-1]
    q = np.stack([moment.q for moment in moments])
    values = np.stack([*(moment.values for moment in moments), np.zeros(mdp.n_states)])
    log_policy = q - values[:-1, None, :]
    return Solution(
        temperature * values, temperature * q, log_policy, float(temperature), "messages", len(moments), 0.0
    )
