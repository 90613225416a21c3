"""Bellman backups, hard and soft, in units of the temperature.

Soft values are ``V(s) = tau log sum_a exp(Q(s, a) / tau)`` (Ziebart, Bagnell & Dey, "Modeling Interaction via the
Principle of Maximum Causal Entropy", 2010; Haarnoja et al., "Reinforcement Learning with Deep Energy-Based Policies",
2017). Divided by ``tau``, rewards and values obey the same equation with temperature 1, so one kernel serves all.
Arrays are action-major, ``(n_actions, n_states)``: the reduction over actions runs along contiguous memory.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require
from gym_ilrl.planning.tabular_mdp import TabularMDP

UNAVAILABLE = -1e100  # the reward of an action that does not exist, in units of the temperature
_BLOCK = 16_384  # states: a block of Q-values stays in the cache while it is exponentiated


class DivergenceError(ValueError):
    """The values of an undiscounted problem are infinite."""


@dataclass(frozen=True)
class Bellman:
    """The Bellman operator of a problem.

    :param transitions: sparse, of shape ``(n_actions * n_states, n_states)``; row ``a * n_states + s`` sums to the
        probability that the episode goes on
    :param rewards: of shape ``(n_actions, n_states)``, in units of ``unit``; -1e100 of actions that do not exist, so
        that their probability is 0 and its logarithm is finite
    :param gamma: discount factor
    :param soft: whether actions are combined by the logarithm of the sum of exponentials, or by the maximum
    :param unit: the temperature, or 1 where it is 0
    :param highest: the largest reward of a state that is not terminal, in units of ``unit``
    :param most_actions: the largest number of actions that exist in a state that is not terminal
    """

    transitions: Any
    rewards: NDArray[np.float64]
    gamma: float
    soft: bool
    unit: float
    highest: float
    most_actions: int

    @classmethod
    def of(cls, mdp: TabularMDP, temperature: float) -> "Bellman":
        """Return the operator of a problem at a temperature; 0 is the hard one."""
        require(is_number(temperature) and temperature >= 0.0, "temperature", temperature, "a number of at least 0")
        soft, unit = temperature > 0.0, float(temperature) if temperature > 0.0 else 1.0
        rewards, most_actions = mdp.rewards if unit == 1.0 else mdp.rewards / unit, mdp.n_actions
        if mdp.available is not None:
            rewards = np.where(mdp.available, rewards, UNAVAILABLE)
            most_actions = int(mdp.available[:, ~mdp.terminal].sum(axis=0).max())
        highest = float(rewards.max(initial=-np.inf, where=~mdp.terminal))
        if soft and mdp.terminal.any():  # of uniform actions: the value of a terminal state is 0
            rewards = np.where(mdp.terminal, -np.log(mdp.n_actions), rewards)
        return cls(mdp.transitions, rewards, mdp.gamma, soft, unit, highest, most_actions)

    def q_values(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``Q(a, s) = r(s, a) + gamma sum_s' P(s' | s, a) V(s')``."""
        q: NDArray[np.float64] = (self.transitions @ values).reshape(self.rewards.shape)
        if self.gamma != 1.0:
            q *= self.gamma
        q += self.rewards
        return q

    def values(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values of the best policy against ``q``, of shape ``(n_states,)``."""
        if self.soft:
            return log_sum_exp(q)
        best: NDArray[np.float64] = q.max(axis=0)
        return best

    def improve(
        self, q: NDArray[np.float64], current: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the values and the action probabilities of the best policy against ``q``.

        :param q: of shape ``(n_actions, n_states)``
        :param current: hard only: a deterministic policy whose actions are kept where no other is better; else the
            first best one is taken
        :return: of shapes ``(n_states,)`` and ``(n_actions, n_states)``
        """
        if self.soft:
            policy = np.empty_like(q)
            values, total = exponentials(q, policy)
            policy /= total
            return values, policy
        largest = q.max(axis=0)
        tied = q >= largest - 1e-12 * np.maximum(1.0, np.abs(largest))
        if current is not None:
            kept = (tied & (current > 0.5)).any(axis=0)
            tied = np.where(kept, current > 0.5, tied)
        return largest, one_hot(tied.argmax(axis=0), len(q))

    def propagate(self, policy: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``gamma P_pi V``, the discounted expectation of the next state's value."""
        following: NDArray[np.float64] = self.transitions @ values
        return self.gamma * mean_over_actions(policy, following.reshape(policy.shape))

    def propagate_back(self, policy: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``gamma P_pi^T d``, the discounted distribution of the next state."""
        flow: NDArray[np.float64] = self.transitions.T @ (policy * mass).ravel()
        flow *= self.gamma
        return flow

    def divergence(self) -> DivergenceError:
        """Return the error that says why the values are infinite."""
        if not self.soft:
            return DivergenceError(
                "the values are infinite: without discount, some loop of actions pays more than it costs; make its "
                "rewards negative, or give gamma < 1 or a horizon"
            )
        entropy = np.log(self.most_actions)
        enough = f" below {-self.highest * self.unit / entropy:.3g}" if self.highest < 0.0 else ""
        return DivergenceError(
            f"the soft values are infinite: at temperature {self.unit:g} a step gains up to {entropy * self.unit:.3g} "
            f"by its entropy and its reward is as high as {self.highest * self.unit:.3g}, so that wandering pays more "
            f"than ending; lower the temperature{enough}, make each step cost something, or give gamma < 1 or a horizon"
        )


def exponentials(q: NDArray[np.float64], out: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Write ``exp(q - max_a q)`` to ``out``, which is the soft policy but for its sum over the actions.

    :param q: of shape ``(n_actions, n_states)``
    :param out: of the same shape
    :return: the soft values, and the sums, of shape ``(n_states,)``
    """
    values = q.max(axis=0)
    np.subtract(q, values, out=out)
    np.exp(out, out=out)
    total: NDArray[np.float64] = out.sum(axis=0)
    values += np.log(total)
    return values, total


def log_sum_exp(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``log sum_a exp q(a, s)``, block by block of states, of shape ``(n_states,)``."""
    values = np.empty(q.shape[1])
    for start in range(0, len(values), _BLOCK):
        block = q[:, start : start + _BLOCK]
        largest = block.max(axis=0)
        shifted = block - largest
        np.exp(shifted, out=shifted)
        total = shifted.sum(axis=0)
        np.log(total, out=total)
        np.add(total, largest, out=values[start : start + _BLOCK])
    return values


def mean_over_actions(policy: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sum_a pi(a | s) f(a, s)``, of shape ``(n_states,)``."""
    mean: NDArray[np.float64] = np.einsum("as,as->s", policy, of)
    return mean


def one_hot(actions: NDArray[np.int64], n_actions: int) -> NDArray[np.float64]:
    """Return the policy of shape ``(n_actions, n_states)`` that takes the given actions."""
    policy = np.zeros((n_actions, len(actions)))
    policy[actions, np.arange(len(actions))] = 1.0
    return policy
