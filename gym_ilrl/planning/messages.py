"""Control as inference: the messages of the graphical model in which every step is "optimal".

With an optimality variable of probability ``exp(r(s, a) / tau)`` at every step, and no preference among those actions
that exist,

    ``beta_t(s, a) = exp(r(s, a) / tau) E[beta_t+1(s') | s, a]``, ``beta_t(s) = sum_a beta_t(s, a)``,
    ``alpha_t+1(s') = sum_s,a P(s' | s, a) exp(r(s, a) / tau) alpha_t(s)``, ``alpha_0 = initial``

(Todorov, 2008; Levine, "Reinforcement Learning and Control as Probabilistic Inference", 2018, section 3). The messages
condition on success, as if chance were on the agent's side as well: ``log E exp V`` is **optimistic** where the
dynamics are stochastic. The variational answer keeps the dynamics as they are, ``E V`` (section 3.2 there), and is
soft optimality. A discount is a probability ``1 - gamma`` to end after every step. All of it in logarithms.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.arguments import is_number, require
from gym_ilrl.planning.bellman import Bellman, log_sum_exp
from gym_ilrl.planning.tabular_mdp import TabularMDP


@dataclass(frozen=True, eq=False)
class BackwardMessages:
    """Logarithms of the messages from the end, with the horizon ``H``.

    :param log_beta: of shape ``(H + 1, n_states)``, the last row 0
    :param log_beta_action: of shape ``(H, n_actions, n_states)``
    """

    log_beta: NDArray[np.float64]
    log_beta_action: NDArray[np.float64]

    @property
    def log_policy(self) -> NDArray[np.float64]:
        """Logarithm of the action's posterior, ``beta(s, a) / beta(s)``, of shape ``(H, n_actions, n_states)``."""
        return self.log_beta_action - self.log_beta[:-1, None, :]


def backward_messages(mdp: TabularMDP, temperature: float = 1.0, variational: bool = False) -> BackwardMessages:
    """Return ``log beta``: how much reward can be expected from here on, as a likelihood.

    :param mdp: a problem with a horizon
    :param temperature: ``tau``, positive
    :param variational: ``E V`` in place of ``log E exp V``: chance is not on the agent's side. Then ``tau log_beta`` is
        the soft value
    :raises ValueError: if the problem has no horizon
    """
    steps = _require(mdp, temperature)
    bellman = Bellman.of(mdp, temperature)
    dynamics = _LogDynamics(mdp)
    log_beta = np.zeros((steps + 1, mdp.n_states))
    log_beta_action = np.empty((steps, *mdp.rewards.shape))
    for t in reversed(range(steps)):
        following = log_beta[t + 1]
        q = bellman.q_values(following) if variational else bellman.rewards + dynamics.log_expectation(following)
        log_beta_action[t], log_beta[t] = q, log_sum_exp(q)
    return BackwardMessages(log_beta, log_beta_action)


def forward_messages(mdp: TabularMDP, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return ``log alpha``: how probably the state is met, together with the reward so far as a likelihood.

    :param mdp: a problem with a horizon ``H``
    :param temperature: ``tau``, positive
    :raises ValueError: if the problem has no horizon
    :return: of shape ``(H + 1, n_states)``, minus infinity where a state cannot be
    """
    steps = _require(mdp, temperature)
    rewards, dynamics = mdp.rewards / temperature, _LogDynamics(mdp)
    with np.errstate(divide="ignore"):
        log_alpha = [np.log(mdp.initial)]
    for _ in range(steps):
        log_alpha.append(dynamics.log_arrivals(rewards + log_alpha[-1]))
    return np.stack(log_alpha)


def log_partition(mdp: TabularMDP, messages: BackwardMessages) -> float:
    """Return ``log Z = log sum_s initial(s) beta_0(s)``, the logarithm of the sum over all trajectories.

    :param mdp: the problem
    :param messages: its backward messages
    """
    with np.errstate(divide="ignore"):
        return float(log_sum_exp((np.log(mdp.initial) + messages.log_beta[0])[:, None])[0])


def state_posterior(mdp: TabularMDP, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return ``alpha_t(s) beta_t(s) / Z``: where the agent is at each time, given that every step is optimal.

    :param mdp: a problem with a horizon ``H``
    :param temperature: ``tau``, positive
    :raises ValueError: if the problem has no horizon
    :return: of shape ``(H + 1, n_states)``; a row sums to the probability that the episode still goes on
    """
    messages = backward_messages(mdp, temperature)
    return np.exp(forward_messages(mdp, temperature) + messages.log_beta - log_partition(mdp, messages))


class _LogDynamics:
    """Expectations and sums of exponentials over the transitions, each with its own largest term taken out."""

    def __init__(self, mdp: TabularMDP) -> None:
        self._shape = mdp.rewards.shape
        self._forward = mdp.gamma * mdp.transitions
        self._backward = sparse.csr_matrix(self._forward.T)
        with np.errstate(divide="ignore"):
            self._log_ending = np.log(1.0 - mdp.gamma * (1.0 - mdp.ending))
        if mdp.available is not None:  # finite: only their rewards keep actions from being taken that do not exist
            self._log_ending[~mdp.available] = 0.0

    def log_expectation(self, log_values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``log E[exp(values(s')) | s, a]``, where nothing is to come after the end."""
        going_on = log_product(self._forward, log_values).reshape(self._shape)
        return np.logaddexp(going_on, self._log_ending)

    def log_arrivals(self, log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``log sum_s,a P(s' | s, a) exp(weights(s, a))``."""
        return log_product(self._backward, log_weights.ravel())


def log_product(matrix: Any, log_vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``log(matrix @ exp(log_vector))`` for a matrix in CSR form."""
    filled = np.flatnonzero(np.diff(matrix.indptr))
    result = np.full(matrix.shape[0], -np.inf)
    if len(filled) == 0:
        return result
    terms = np.log(matrix.data) + log_vector[matrix.indices]
    starts = matrix.indptr[filled]
    largest = np.maximum.reduceat(terms, starts)
    largest[np.isneginf(largest)] = 0.0
    terms -= np.repeat(largest, np.diff(matrix.indptr)[filled])
    with np.errstate(divide="ignore"):
        result[filled] = largest + np.log(np.add.reduceat(np.exp(terms), starts))
    return result


def _require(mdp: TabularMDP, temperature: float) -> int:
    require(mdp.horizon is not None, "horizon", mdp.horizon, "given for messages: mdp.replace(horizon=...)")
    require(is_number(temperature) and temperature > 0.0, "temperature", temperature, "a positive number")
    return int(mdp.horizon or 0)
