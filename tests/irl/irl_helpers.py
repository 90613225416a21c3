"""Small problems, demonstrations drawn from a policy, the sum over all trajectories, and finite differences."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from gym_ilrl import Demonstrations
from gym_ilrl.planning import TabularMDP


class Trajectories(NamedTuple):
    """All possible trajectories, one a row; after its end a trajectory is padded with zeros.

    ``start`` is the probability of the first state, ``chance`` that of the transitions given the actions, and
    ``lasts`` tells whether there is a step, of shape ``(n, horizon)`` as ``states`` and ``actions``; ``arrived`` is the
    state after the last one.
    """

    start: np.ndarray
    chance: np.ndarray
    states: np.ndarray
    actions: np.ndarray
    lasts: np.ndarray
    arrived: np.ndarray

    def sums(self, table: np.ndarray, gamma: float) -> np.ndarray:
        """Discounted sums along the trajectories of a table ``(n_actions, n_states)``, or with the time in front."""
        times = np.arange(self.states.shape[1])
        each = table[times, self.actions, self.states] if table.ndim == 3 else table[self.actions, self.states]
        return (np.where(self.lasts, each, 0.0) * gamma**times).sum(axis=1)

    def visits(self, weights: np.ndarray, shape: tuple[int, int], gamma: float) -> np.ndarray:
        """Discounted visits of all trajectories, weighted."""
        found = np.zeros(shape)
        each = weights[:, None] * gamma ** np.arange(self.states.shape[1])
        np.add.at(found, (self.actions[self.lasts], self.states[self.lasts]), each[self.lasts])
        return found


def problem(
    gamma: float = 1.0,
    horizon: int | None = None,
    n_states: int = 4,
    n_actions: int = 3,
    is_stochastic: bool = True,
    ends: bool = True,
    seed: int = 0,
    missing: tuple[int, int] | None = (1, 1),
) -> TabularMDP:
    """A random process; its last state is terminal if it ``ends``, and it misses one action in one state."""
    generator = np.random.default_rng(seed)
    shape = (n_actions, n_states, n_states)
    dynamics = generator.dirichlet(np.full(n_states, 0.7), size=shape[:2])
    if not is_stochastic:
        dynamics = np.eye(n_states)[dynamics.argmax(axis=2)]
        dynamics[-1] = np.roll(np.eye(n_states), 1, axis=1)  # the last action leads through all states
    available = np.ones(shape[:2], dtype=bool)
    if missing is not None:
        available[missing] = False
    initial = np.zeros(n_states)
    initial[:2] = 0.3, 0.7
    return TabularMDP(
        dynamics.reshape(-1, n_states),
        generator.normal(size=shape[:2]) - 2.0,  # wandering must not pay where there is no discount
        terminal=np.arange(n_states) == n_states - 1 if ends else None,
        available=available,
        initial=initial,
        gamma=gamma,
        horizon=horizon,
    )


def dynamics_of(mdp: TabularMDP) -> np.ndarray:
    """``P(s' | s, a)`` with the endings, of shape ``(n_actions, n_states, n_states)``."""
    return (mdp.transitions + mdp.final_transitions).toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)


def all_trajectories(mdp: TabularMDP) -> Trajectories:
    """Every trajectory from a possible start to a terminal state or to the horizon."""
    dynamics, found = dynamics_of(mdp), []

    def go_on(start: float, chance: float, states: tuple[int, ...], actions: tuple[int, ...]) -> None:
        state = states[-1]
        if len(actions) == mdp.horizon or mdp.terminal[state]:
            padding = (0,) * (mdp.horizon - len(actions))
            lasts = np.arange(mdp.horizon) < len(actions)
            found.append((start, chance, states[:-1] + padding, actions + padding, lasts, state))
            return
        for action in range(mdp.n_actions):
            for following in np.flatnonzero(dynamics[action, state]):
                probability = chance * dynamics[action, state, following]
                go_on(start, probability, (*states, int(following)), (*actions, action))

    for state in np.flatnonzero(mdp.initial):
        go_on(float(mdp.initial[state]), 1.0, (int(state),), ())
    return Trajectories(*(np.array(column) for column in zip(*found, strict=True)))


def drawn(mdp: TabularMDP, policy: np.ndarray, n_episodes: int, n_steps: int, seed: int = 0) -> Demonstrations:
    """Episodes of a policy ``(n_actions, n_states)``, or with the time in front, of at most ``n_steps``."""
    generator = np.random.default_rng(seed)
    dynamics, episodes = dynamics_of(mdp), []
    for _ in range(n_episodes):
        states, actions = [int(generator.choice(mdp.n_states, p=mdp.initial))], []
        while len(actions) < n_steps and not mdp.terminal[states[-1]]:
            now = policy[len(actions)] if policy.ndim == 3 else policy
            actions.append(int(generator.choice(mdp.n_actions, p=now[:, states[-1]])))
            states.append(int(generator.choice(mdp.n_states, p=dynamics[actions[-1], states[-1]])))
        terminations = np.zeros(len(actions), dtype=bool)
        terminations[-1] = mdp.terminal[states[-1]]
        episodes.append({"observations": states, "actions": actions, "terminations": terminations})
    return Demonstrations.from_episodes(episodes, spaces_of(mdp))


def spaces_of(mdp: TabularMDP) -> tuple[spaces.Discrete, spaces.Discrete]:
    return spaces.Discrete(mdp.n_states), spaces.Discrete(mdp.n_actions)


def finite_differences(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """The gradient by central differences of fourth order."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        by = np.zeros_like(at)
        by[index] = step
        near, far = function(at + by) - function(at - by), function(at + 2 * by) - function(at - 2 * by)
        gradient[index] = (8.0 * near - far) / (12.0 * step)
    return gradient


def disturbed(mdp: TabularMDP, seed: int = 5, scale: float = 0.2) -> np.ndarray:
    """Rewards beside those of the process."""
    return mdp.rewards + scale * np.random.default_rng(seed).normal(size=mdp.rewards.shape)
