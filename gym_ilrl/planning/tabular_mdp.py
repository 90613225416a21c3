"""A Markov decision process with finitely many states and actions, and a known model."""

from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gym_ilrl.arguments import require
from gym_ilrl.planning.checks import (
    check_available,
    check_initial,
    check_limits,
    check_rewards,
    check_rows,
    filled,
)
from gym_ilrl.planning.endings import end_in, ending_of, keep_rows, unending
from gym_ilrl.planning.environment_model import arguments_of
from gym_ilrl.planning.layouts import action_major, by_successors, expected_rewards, final_matrix, stacked
from gym_ilrl.planning.outcomes import OutcomeFunction, by_outcomes
from gym_ilrl.planning.reachability import steps_to_end
from gym_ilrl.planning.tabular_env import environment_of

_ARGUMENTS = (
    "transitions",
    "rewards",
    "ending",
    "final_transitions",
    "initial",
    "terminal",
    "available",
    "gamma",
    "horizon",
)


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
    :param final_transitions: in place of ``ending``, the probability that the episode ends by arriving in each state,
        sparse or dense, in the shape of ``transitions``; for endings in states that are not terminal
    :param initial: probability of starting in each state, of shape ``(n_states,)``; None: the same for all that are
        not terminal
    :param terminal: whether a state ends the episode, of shape ``(n_states,)``; None: none does. The rows of terminal
        states are ignored, and the probability of entering one is moved from ``transitions`` to ``final_transitions``
    :param available: which actions exist in each state, of shape ``(n_actions, n_states)``; None: all do. What is given
        for the others is ignored: their rows are empty, their rewards 0, and policies never take them. In terminal
        states all count as available
    :param gamma: discount factor, in ``[0, 1]``. Without a horizon, 1 is for problems with a goal: an ending must be
        reachable from every state that is reachable from the start. Of the other states, those that reach none are
        made terminal
    :param horizon: number of steps after which the episode is over, at least 1; None: unlimited
    :raises ValueError: if the arrays do not describe such a process; the sentence names the state and the action

    All arguments are attributes. ``ending`` then is the probability of ending in any way, 1 in terminal states;
    ``final_transitions`` is a sparse CSR matrix, or None where some ``ending`` was given that names no state;
    ``available`` is None where all actions are.
    """

    transitions: Any
    rewards: NDArray[np.float64]
    ending: NDArray[np.float64]
    final_transitions: Any
    initial: NDArray[np.float64]
    terminal: NDArray[np.bool_]
    available: NDArray[np.bool_] | None
    gamma: float
    horizon: int | None

    def __init__(
        self,
        transitions: Any,
        rewards: ArrayLike,
        *,
        ending: ArrayLike | None = None,
        final_transitions: Any = None,
        initial: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        available: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> None:
        check_limits(gamma, horizon)
        both = ending is not None and final_transitions is not None
        require(not both, "ending", ending, "None where final_transitions are given, which sum to it")
        earned = np.array(rewards, dtype=np.float64)
        matrix, final = action_major(transitions, earned), final_matrix(final_transitions, earned)
        over = filled(terminal, earned.shape[1:], "terminal", False).astype(np.bool_)
        nameless = filled(ending, earned.shape, "ending", 0.0)
        offered = check_available(available, over, earned.shape)
        acting = offered & ~over
        keep_rows(acting, matrix)
        keep_rows(acting, final)
        nameless[~acting] = 0.0
        totals = check_rows(matrix, final, nameless, acting)
        check_rewards(earned, acting)
        for part in (matrix, final):
            part.data /= np.repeat(totals, np.diff(part.indptr))
        final = end_in(over, matrix, final)
        start = check_initial(initial, over)
        ends = ending_of(matrix, offered)
        if float(gamma) == 1.0 and horizon is None:
            over |= unending(matrix, ends, start, over)
            offered[:, over], earned[:, over] = True, 0.0
            final = end_in(over, matrix, final)
            ends = ending_of(matrix, offered)
        for array in (earned, ends, start, over, offered, *_arrays_of(matrix), *_arrays_of(final)):
            array.setflags(write=False)
        self.__dict__.update(transitions=matrix, rewards=earned, ending=ends, initial=start, terminal=over)
        self.__dict__.update(final_transitions=None if nameless.any() else final)
        self.__dict__.update(available=None if offered.all() else offered)
        self.__dict__.update(gamma=float(gamma), horizon=None if horizon is None else int(horizon))

    @classmethod
    def from_env(cls, env: gym.Env[Any, Any], gamma: float = 0.99, horizon: int | None = None) -> "TabularMDP":
        """Read the model of an environment, however it is wrapped.

        :param env: whose ``env.unwrapped`` has ``P``, a dictionary ``P[state][action]`` of lists of ``(probability,
            next_state, reward, terminated)`` as Gymnasium's toy-text environments have, with ``initial_state_distrib``
            where the start is random; or ``transition_matrix``, ``reward``, ``initial_distribution`` and ``terminal``
            as ``ilrl/GridMaze-v0`` has. It may also have ``available``, as the class takes it. Wrappers, the time limit
            among them, do not change the model
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
        available: ArrayLike | None = None,
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
        :param available: as for the class
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: as for the class
        :raises ValueError: as the class
        """
        matrix = stacked(transitions, "transitions")
        earned = expected_rewards(matrix, rewards)
        return cls(
            matrix, earned, initial=initial, terminal=terminal, available=available, gamma=gamma, horizon=horizon
        )

    @classmethod
    def from_successors(
        cls,
        successors: ArrayLike,
        probabilities: ArrayLike,
        rewards: Any,
        *,
        initial: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        available: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> "TabularMDP":
        """Build a process in which each action leads to at most ``K`` states.

        :param successors: the next states, of shape ``(n_states, n_actions, K)``; repeated ones add up
        :param probabilities: of the same shape; unused places have the probability 0
        :param rewards: of shape ``(n_states,)``, ``(n_states, n_actions)`` or ``(n_states, n_actions, K)``
        :param initial: as for the class
        :param terminal: as for the class
        :param available: as for the class
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: as for the class
        :raises ValueError: as the class
        """
        matrix, earned = by_successors(successors, probabilities, rewards)
        return cls(
            matrix, earned, initial=initial, terminal=terminal, available=available, gamma=gamma, horizon=horizon
        )

    @classmethod
    def from_function(
        cls,
        outcomes: OutcomeFunction,
        n_states: int,
        n_actions: int,
        *,
        initial: ArrayLike | None = None,
        available: ArrayLike | None = None,
        gamma: float = 0.99,
        horizon: int | None = None,
    ) -> "TabularMDP":
        """Build a process by asking for the outcomes of every action in every state.

        :param outcomes: called as ``outcomes(state, action)``, returns a list of ``(probability, next_state, reward,
            terminated)``
        :param n_states: number of states
        :param n_actions: number of actions
        :param initial: as for the class
        :param available: as for the class; the function is not asked for the others
        :param gamma: discount factor, in ``[0, 1]``
        :param horizon: as for the class
        :raises ValueError: as the class
        """
        return cls(**by_outcomes(outcomes, n_states, n_actions, initial, available), gamma=gamma, horizon=horizon)

    def replace(self, **changes: Any) -> "TabularMDP":
        """Return the same process with other arguments: ``mdp.replace(rewards=..., horizon=20)``.

        :param changes: arguments of the class
        """
        other = {name: changes.get(name, getattr(self, name)) for name in _ARGUMENTS}
        undiscounted = other["gamma"] == 1.0 and other["horizon"] is None
        if set(changes) <= {"rewards", "gamma", "horizon"} and (self.is_goal_directed or not undiscounted):
            return self._sharing(other)
        named = "ending" not in changes and other["final_transitions"] is not None
        other["ending" if named else "final_transitions"] = None
        return type(self)(**other)

    def _sharing(self, arguments: dict[str, Any]) -> "TabularMDP":
        """Return the process with these rewards and limits; checked transitions, and what follows, are shared."""
        check_limits(arguments["gamma"], arguments["horizon"])
        rewards = self.rewards
        if arguments["rewards"] is not rewards:
            rewards = filled(arguments["rewards"], self.rewards.shape, "rewards", 0.0)
            acting = np.broadcast_to(~self.terminal, rewards.shape)
            check_rewards(rewards, acting if self.available is None else acting & self.available)
            rewards.setflags(write=False)
        horizon = arguments["horizon"]
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, rewards=rewards, gamma=float(arguments["gamma"]))
        other.__dict__.update(horizon=None if horizon is None else int(horizon))
        return other

    def to_env(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Return an environment that samples this process: what learns by trial and error can be given it.

        Observations and actions are the numbers of states and actions, from 0, and rewards the expected ones. With a
        horizon, a ``TimeLimit`` truncates episodes. Where an episode ends without entering a state, the state acted in
        is observed once more. Where actions are missing, the info has an ``action_mask``, and taking one is an error.
        :meth:`from_env` reads the process back.

        :param render_mode: ``None``, or ``"ansi"`` for the number of the state
        """
        return environment_of(self, render_mode)

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


def _arrays_of(matrix: Any) -> tuple[NDArray[Any], ...]:
    return matrix.data, matrix.indices, matrix.indptr
