"""Small problems, and the sum over all trajectories that everything else is compared with."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest

from gym_ilrl.planning import TabularMDP


class Trajectory(NamedTuple):
    """One possible course of an episode; ``chance`` is the probability of its start and of its transitions."""

    chance: float
    states: list[int]
    actions: list[int]

    def rewards(self, mdp: TabularMDP) -> float:
        return sum(mdp.rewards[a, s] for s, a in self.pairs())

    def pairs(self) -> Iterator[tuple[int, int]]:
        """State and action of every step; the state after the last action has none."""
        return zip(self.states, self.actions, strict=False)


def random_mdp(seed: int = 0, n_states: int = 4, n_actions: int = 3, ending: float = 0.0, **arguments) -> TabularMDP:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(n_states, 0.5), size=n_actions * n_states)
    ends = ending * generator.random((n_actions, n_states))
    arguments = {"initial": generator.dirichlet(np.ones(n_states)), **arguments}
    return TabularMDP(
        transitions * (1.0 - ends.reshape(-1, 1)),
        generator.normal(size=(n_actions, n_states)),
        ending=ends,
        **arguments,
    )


def all_trajectories(mdp: TabularMDP) -> Iterator[Trajectory]:
    """Every course of at most ``horizon`` steps; with a discount, an episode ends after a step with ``1 - gamma``."""
    dynamics = mdp.transitions.toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)

    def go_on(course: Trajectory) -> Iterator[Trajectory]:
        if len(course.actions) == mdp.horizon:
            yield course
            return
        state = course.states[-1]
        for action in range(mdp.n_actions):
            over = 1.0 - mdp.gamma * dynamics[action, state].sum()
            if over > 1e-12:
                yield Trajectory(course.chance * over, course.states, [*course.actions, action])
            for following in np.flatnonzero(dynamics[action, state]):
                chance = course.chance * mdp.gamma * dynamics[action, state, following]
                yield from go_on(Trajectory(chance, [*course.states, int(following)], [*course.actions, action]))

    for state in np.flatnonzero(mdp.initial):
        yield from go_on(Trajectory(float(mdp.initial[state]), [int(state)], []))


def grid(size: int = 6, slip: float = 0.2, seed: int = 0, **arguments) -> TabularMDP:
    """A grid with five actions, the last of which stays, and a random reward of states."""
    n_states = size * size
    row, column = np.divmod(np.arange(n_states), size)
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    arrive = np.stack(
        [np.clip(row + dr, 0, size - 1) * size + np.clip(column + dc, 0, size - 1) for dr, dc in moves]
        + [np.arange(n_states)],
        axis=1,
    )
    sides = np.array([[0, 1, 3], [1, 2, 0], [2, 3, 1], [3, 0, 2], [4, 4, 4]])
    chances = np.broadcast_to([1.0 - slip, slip / 2, slip / 2], (n_states, 5, 3))
    rewards = np.random.default_rng(seed).normal(size=n_states)
    arguments = {"rewards": rewards, **arguments}
    return TabularMDP.from_successors(arrive[:, sides], chances, **arguments)


@pytest.fixture(scope="session", name="random_mdp")
def _random_mdp() -> Callable[..., TabularMDP]:
    return random_mdp


@pytest.fixture(scope="session", name="grid")
def _grid() -> Callable[..., TabularMDP]:
    return grid


@pytest.fixture(scope="session", name="all_trajectories")
def _all_trajectories() -> Callable[[TabularMDP], Iterator[Trajectory]]:
    return all_trajectories
