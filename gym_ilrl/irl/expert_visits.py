"""What demonstrations say about a known process: how often the expert did what, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.arguments import require
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.irl.steps import UNKNOWN, Steps, check_steps
from gym_ilrl.planning.tabular_mdp import TabularMDP

_FLOW = 1e-2  # share of an occupancy that may come from nowhere: tables are often rounded


@dataclass(frozen=True, eq=False)
class ExpertVisits:
    """How often an expert did what, and where; arrays are action-major as those of a ``TabularMDP``.

    Made by :meth:`from_demonstrations`, :meth:`from_states` and :meth:`from_occupancy`.

    :param counts: how often each action was taken in each state, in all episodes together and undiscounted, of shape
        ``(n_actions, n_states)``; NaN where only states were seen
    :param occupancy: mean over the episodes of ``sum_t gamma^t 1[s_t = s, a_t = a]``, of the same shape
    :param initial: share of the episodes that begin in each state, of shape ``(n_states,)``
    :param steps: every step; without rows if built from an occupancy
    :param transitions: how often each state followed each state, endings included: sparse, ``(n_states, n_states)``
    :param n_episodes: number of episodes; 0 if built from an occupancy
    :param n_steps: number of steps; 0 if built from an occupancy
    :param is_complete: whether every episode runs from a possible start to an ending of the process, to its horizon,
        or until what may follow is discounted by a factor of a million
    """

    counts: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    initial: NDArray[np.float64]
    steps: Steps
    transitions: Any
    n_episodes: int
    n_steps: int
    is_complete: bool

    @property
    def has_actions(self) -> bool:
        """Whether the expert's actions are known."""
        return not bool(np.isnan(self.counts[0, 0]))

    @classmethod
    def from_demonstrations(
        cls, demonstrations: Demonstrations, mdp: TabularMDP, observation_start: int = 0, action_start: int = 0
    ) -> "ExpertVisits":
        """Read demonstrations with states as observations.

        Episodes may have any length, and need not be complete. Their time is counted from their first step.

        :param demonstrations: with ``Discrete`` spaces
        :param mdp: the process that they come from
        :param observation_start: the observation of state 0, ``observation_space.start``
        :param action_start: the number of the first action, ``action_space.start``
        :raises ValueError: if spaces are not ``Discrete``, or the process does not have some step of an episode
        """
        for name in ("observation_space", "action_space"):
            space = getattr(demonstrations, name)
            require(isinstance(space, spaces.Discrete), name, space, "Discrete, for states and actions are numbered")
        data = demonstrations.transitions()
        steps = _steps(
            np.asarray(data.observations, dtype=np.int64).reshape(-1) - observation_start,
            np.asarray(data.actions, dtype=np.int64).reshape(-1) - action_start,
            np.asarray(data.next_observations, dtype=np.int64).reshape(-1) - observation_start,
            demonstrations.episode_lengths,
        )
        is_complete = check_steps(steps, mdp, np.asarray(data.terminations, dtype=np.bool_))
        n_episodes = len(demonstrations)
        rows = steps.rows(mdp)[0]
        counts = np.bincount(rows, minlength=mdp.rewards.size).astype(np.float64).reshape(mdp.rewards.shape)
        visits = np.bincount(rows, mdp.gamma**steps.time, mdp.rewards.size).reshape(mdp.rewards.shape) / n_episodes
        return cls(counts, visits, *_of_states(steps, mdp, n_episodes), n_episodes, len(rows), is_complete)

    @classmethod
    def from_states(cls, sequences: Sequence[ArrayLike], mdp: TabularMDP) -> "ExpertVisits":
        """Read sequences of states, whose actions are not known.

        :param sequences: for each episode its states in order, whole numbers from 0, the last one included: one more
            than steps, and at least two
        :param mdp: the process that they come from
        :raises ValueError: if a sequence is none, or no action of the process leads from one state to the next
        """
        episodes = [np.asarray(states) for states in sequences]
        require(len(episodes) > 0, "sequences", sequences, "at least one sequence of states")
        for i, states in enumerate(episodes):
            fits = states.ndim == 1 and len(states) >= 2 and np.issubdtype(states.dtype, np.integer)
            require(fits, f"sequences[{i}]", states, "whole numbers, two or more, of shape (n_steps + 1,)")
        steps = _steps(
            np.concatenate([states[:-1] for states in episodes]).astype(np.int64),
            np.full(sum(len(states) - 1 for states in episodes), UNKNOWN),
            np.concatenate([states[1:] for states in episodes]).astype(np.int64),
            np.array([len(states) - 1 for states in episodes]),
        )
        is_complete = check_steps(steps, mdp)
        unknown = np.full(mdp.rewards.shape, np.nan)
        of_states = _of_states(steps, mdp, len(episodes))
        return cls(unknown, unknown, *of_states, len(episodes), len(steps.time), is_complete)

    @classmethod
    def from_occupancy(cls, occupancy: ArrayLike, mdp: TabularMDP) -> "ExpertVisits":
        """Take an expert's expected visits as they are, as if infinitely many episodes had been seen.

        :param occupancy: expected discounted number of times that each action is taken in each state, per episode, of
            shape ``(n_states, n_actions)``: ``gym_ilrl.planning.occupancy(mdp, policy).T``
        :param mdp: the process; the expert starts where it does
        :raises ValueError: if it is no occupancy of the process: negative, in a terminal state, of an unavailable
            action, or not summing to the length of an episode
        """
        given = np.asarray(occupancy, dtype=np.float64)
        expected = mdp.rewards.shape[::-1]
        require(given.shape == expected, "the shape of occupancy", given.shape, f"(n_states, n_actions), {expected}")
        visits = np.ascontiguousarray(given.T)
        _check_occupancy(visits, mdp)
        followed = mdp.transitions if mdp.final_transitions is None else mdp.transitions + mdp.final_transitions
        n_actions, n_states = mdp.rewards.shape
        states = (visits.ravel(), (np.tile(np.arange(n_states), n_actions), np.arange(visits.size)))
        transitions = sparse.csr_matrix(states, shape=(n_states, visits.size)) @ followed
        none = np.zeros(0, dtype=np.int64)
        return cls(visits, visits, mdp.initial, Steps(none, none, none, none, none), transitions, 0, 0, True)


def _steps(
    states: NDArray[np.int64], actions: NDArray[np.int64], following: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Steps:
    episode = np.repeat(np.arange(len(lengths)), lengths)
    time = np.arange(len(states)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Steps(time, actions, states, following, episode)


def _of_states(steps: Steps, mdp: TabularMDP, n_episodes: int) -> tuple[NDArray[np.float64], Steps, Any]:
    initial = np.bincount(steps.state[steps.time == 0], minlength=mdp.n_states) / n_episodes
    pairs = (np.ones(len(steps.state)), (steps.state, steps.next_state))
    return initial, steps, sparse.csr_matrix(pairs, shape=(mdp.n_states, mdp.n_states))


def _check_occupancy(visits: NDArray[np.float64], mdp: TabularMDP) -> None:
    wrong = np.argwhere(~((visits >= 0.0) & np.isfinite(visits)))
    if len(wrong):
        action, state = wrong[0]
        number = visits[action, state]
        raise ValueError(f"an occupancy is at least 0, and that of action {action} in state {state} is {number}")
    acting = ~mdp.terminal if mdp.available is None else mdp.available & ~mdp.terminal
    wrong = np.argwhere((visits > 0.0) & ~acting)
    if len(wrong):
        action, state = wrong[0]
        kind = "terminal" if mdp.terminal[state] else f"without action {action}"
        raise ValueError(f"the expert's occupancy of state {state} must be 0 for action {action}: it is {kind}")
    if mdp.horizon is not None:
        longest = float((mdp.gamma ** np.arange(mdp.horizon)).sum())
        shortest = 1.0 if mdp.ending.any() else longest
        fits = shortest * (1.0 - _FLOW) <= visits.sum() <= longest * (1.0 + _FLOW)
        expected = f"the expected discounted length of an episode, in [{shortest:g}, {longest:g}]"
        require(fits, "the sum of occupancy", float(visits.sum()), expected)
        return
    # what enters an endless process, 1 per episode, is what leaves it: by the discount, or by an ending
    left = float(visits.sum() - mdp.gamma * np.vdot(visits, 1.0 - mdp.ending))
    what = "the sum of occupancy, less what is left of it a discounted step later,"
    require(abs(left - 1.0) <= _FLOW, what, left, "1, for an episode has one start; see planning.occupancy")
