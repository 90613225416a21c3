"""A Markov decision process with finitely many states and actions, and a known model."""

from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.planning.checks import (
    check_initial,
    check_limits,
    check_rewards,
    check_rows,
    filled,
)
from gym_ilrl.planning.endings import end_in, ending_of, unending
from gym_ilrl.planning.environment_model import arguments_of
from gym_ilrl.planning.layouts import action_major, by_successors, expected_rewards, stacked
from gym_ilrl.planning.outcomes import OutcomeFunction, by_outcomes
from gym_ilrl.planning.reachability import steps_to_end

_ARGUMENTS = ("transitions", "rewards", "ending", "initial", "terminal", "gamma", "horizon")


class TabularMDP:
    """A Markov decision process with finitely many states and actions, and a known model.

    Arrays are action-major: ``(n_actions, n_states)``, and row ``a * n_states + s`` of the sparse transition matrix
    belongs to action ``a`` in state ``s``. :meth:`from_env`, :meth:`from_arrays`, :meth:`from_successors` and
    :meth:`from_function` take the usual layouts; the constructor takes the inner form. A process does not change;
    :meth:`replace` makes another one.

    An episode ends when it enters a terminal state, or with the probability ``ending``. The reward of that last action
    counts; what follows has the value 0. The reward of a *state* is earned by acting in it, at times ``t < horizon``.

    :param transitions: sparse or dense, of shape ``(n_actions * n_states, n_states)``
    :param rewards: expected reward of every action in every state, of shape ``(n_actions, n_states)``
    :param ending: probability that the episode ends without entering a state, of shape ``(n_actions, n_states)``; with
        the row of ``transitions`` it sums to 1; None: 0
    :param initial: probability of starting in each state, of shape ``(n_states,)``; None: the same for all that are
        not terminal
    :param terminal: whether a state ends the episode, of shape ``(n_states,)``; None: none does. The rows of terminal
        states are ignored, and the probability of entering one is moved from ``transitions`` to ``ending``
    :param gamma: discount factor, in ``[0, 1]``. Without a horizon, 1 is for problems with a goal: an ending must be
        reachable from every state that is reachable from the start. Of the other states, those that reach none are
        made terminal
    :param horizon: number of steps after which the episode is over, at least 1; None: unlimited
    :raises ValueError: if the arrays do not describe such a process; the sentence names the state and the action
    """

    transitions: Any
    rewards: NDArray[np.float64]
    ending: NDArray[np.float64]
    initial: NDArray[np.float64]
    terminal: NDArray[np.bool_]
    gamma: float
    horizon: int | None

    def __init__(
        self,
        transitions: Any,
        rewards: ArrayLike,
        *,
        ending: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> None:
        check_limits(gamma, horizon)
        earned = np.array(rewards, dtype=np.float64)
        matrix = action_major(transitions, earned)
        n_actions, n_states = earned.shape
        over = filled(terminal, (n_states,), "terminal", False).astype(np.bool_)
        ends = filled(ending, earned.shape, "ending", 0.0)
        totals = check_rows(matrix, ends.ravel(), np.tile(~over, n_actions))
        check_rewards(earned, over)
        matrix.data /= np.repeat(totals, np.diff(matrix.indptr))
        end_in(over, matrix, earned)
        start = check_initial(initial, over)
        ends = ending_of(matrix, earned.shape)
        if float(gamma) == 1.0 and horizon is None:
            over |= unending(matrix, ends, start, over)
            end_in(over, matrix, earned)
            ends = ending_of(matrix, earned.shape)
        for array in (matrix.data, matrix.indices, matrix.indptr, earned, ends, start, over):
            array.setflags(write=False)
        self.__dict__.update(transitions=matrix, rewards=earned, ending=ends, initial=start, terminal=over)
        self.__dict__.update(gamma=float(gamma), horizon=None if horizon is None else int(horizon))

    @classmethod
    def from_env(cls, env: gym.Env[Any, Any], gamma: float = 0.99, horizon: int | None = None) -> "TabularMDP":
        """Read the model of an environment, however it is wrapped.

        :param env: whose ``env.unwrapped`` has ``P``, a dictionary ``P[state][action]`` of lists of ``(probability,
            next_state, reward, terminated)`` as Gymnasium's toy-text environments have, with ``initial_state_distrib``
            where the start is random; or ``transition_matrix``, ``reward``, ``initial_distribution`` and ``terminal``
            as ``ilrl/GridMaze-v0`` has. Wrappers, the time limit among them, do not change the model
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: number of steps after which the episode is over; ``env.spec.max_episode_steps`` models the time
            limit; None: unlimited
        :raises ValueError: if the environment has no such model
        """
        return cls(**arguments_of(env), gamma=gamma, horizon=horizon)

    @classmethod
    def from_arrays(
        cls,
        transitions: Any,
        rewards: Any,
        *,
        initial: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> "TabularMDP":
        """Build a process from arrays or sparse matrices.

        :param transitions: ``P(s' | s, a)``: an array of shape ``(n_states, n_actions, n_states)``, or for each action
            a sparse matrix or an array of shape ``(n_states, n_states)``, or one sparse matrix of shape
            ``(n_actions * n_states, n_states)``
        :param rewards: of shape ``(n_states,)``, ``(n_states, n_actions)`` or ``(n_states, n_actions, n_states)``; or
            the reward of each transition in one of the sparse layouts of ``transitions``
        :param initial: as for the class
        :param terminal: as for the class
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: as for the class
        :raises ValueError: as the class
        """
        matrix = stacked(transitions, "transitions")
        earned = expected_rewards(matrix, rewards)
        return cls(matrix, earned, initial=initial, terminal=terminal, gamma=gamma, horizon=horizon)

    @classmethod
    def from_successors(
        cls,
        successors: ArrayLike,
        probabilities: ArrayLike,
        rewards: Any,
        *,
        initial: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> "TabularMDP":
        """Build a process in which each action leads to at most ``K`` states.

        :param successors: the next states, of shape ``(n_states, n_actions, K)``; repeated ones add up
        :param probabilities: of the same shape; unused places have the probability 0
        :param rewards: of shape ``(n_states,)``, ``(n_states, n_actions)`` or ``(n_states, n_actions, K)``
        :param initial: as for the class
        :param terminal: as for the class
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: as for the class
        :raises ValueError: as the class
        """
        matrix, earned = by_successors(successors, probabilities, rewards)
        return cls(matrix, earned, initial=initial, terminal=terminal, gamma=gamma, horizon=horizon)

    @classmethod
    def from_function(
        cls,
        outcomes: OutcomeFunction,
        n_states: int,
        n_actions: int,
        *,
        initial: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> "TabularMDP":
        """Build a process by asking for the outcomes of every action in every state.

        :param outcomes: called as ``outcomes(state, action)``, returns a list of ``(probability, next_state, reward,
            terminated)``
        :param n_states: number of states
        :param n_actions: number of actions
        :param initial: as for the class
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: as for the class
        :raises ValueError: as the class
        """
        return cls(**by_outcomes(outcomes, n_states, n_actions, initial), gamma=gamma, horizon=horizon)

    def replace(self, **changes: Any) -> "TabularMDP":
        """Return the same process with other arguments: ``mdp.replace(rewards=..., horizon=20)``.

        :param changes: arguments of the class
        """
        if set(changes) == {
            "rewards"
        }:  # the checked and reduced transitions are shared, and so is what follows of them
            rewards = filled(changes["rewards"], self.rewards.shape, "rewards", 0.0)
            check_rewards(rewards, self.terminal)
            rewards[:, self.terminal] = 0.0
            rewards.setflags(write=False)
            other = object.__new__(type(self))
            other.__dict__.update(self.__dict__, rewards=rewards)
            return other
        kept = {name: getattr(self, name) for name in _ARGUMENTS}
        return type(self)(**{**kept, **changes})

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.rewards.shape[1])

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return int(self.rewards.shape[0])

    @property
    def is_goal_directed(self) -> bool:
        """Whether only reaching an ending limits the return: no discount and no horizon."""
        return self.gamma == 1.0 and self.horizon is None

    @cached_property
    def steps_to_end(self) -> NDArray[np.int64]:
        """Fewest steps to an ending, of shape ``(n_states,)``: 0 in terminal states, -1 where none can be reached."""
        return steps_to_end(self.transitions, self.ending, self.terminal)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a TabularMDP does not change; mdp.replace({name}=...) makes another one")

    def __repr__(self) -> str:
        limit = "" if self.horizon is None else f", horizon={self.horizon}"
        return f"TabularMDP(n_states={self.n_states}, n_actions={self.n_actions}, gamma={self.gamma:g}{limit})"
