"""Environments with finitely many states that publish their exact model."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.envs.dynamics import Dynamics
from gym_ilrl.envs.random_numbers import draw_key, uniform
from gym_ilrl.envs.row_sampler import RowSampler
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.tabular_checks import check_initial, check_rows, shaped
from gym_ilrl.envs.toy_text import ToyTextModel, toy_text_model
from gym_ilrl.envs.vector import DynamicsVectorEnv

_STATE = np.dtype([("key", np.uint64), ("state", np.int64), ("clock", np.int64), ("over", np.bool_)])


class TabularDynamics(Dynamics):
    """The rules of :class:`TabularEnv`.

    A step costs the logarithm of the number of next states of an action, whatever the number of states is.

    :param num_envs: number of copies
    :param transition_matrix: probabilities of the next states, sparse or dense, of shape ``(n_actions * n_states,
        n_states)``, row ``action * n_states + state``. An empty row (without ``ending``) is an action that does not
        exist in that state
    :param reward: what each action pays in each state, of shape ``(n_actions, n_states)``
    :param initial_distribution: probability of starting in each state, of shape ``(n_states,)``; None: the same for
        all that are not terminal
    :param terminal: whether arriving in a state ends the episode, of shape ``(n_states,)``; None: none does. The rows
        of terminal states are ignored
    :param ending: probability that the episode ends without arriving in another state, of shape ``(n_actions,
        n_states)``; with the row of ``transition_matrix`` it sums to 1; None: 0. What is observed then is the state
        that was acted in
    :raises ValueError: if the arrays do not describe such a process; the sentence names the state and the action
    """

    def __init__(
        self,
        num_envs: int,
        transition_matrix: Any,
        reward: ArrayLike,
        initial_distribution: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        ending: ArrayLike | None = None,
    ) -> None:
        super().__init__(num_envs)
        paid = np.array(reward, dtype=np.float64)
        if paid.ndim != 2 or paid.size == 0:
            raise ValueError(f"reward must have the shape (n_actions, n_states), not {paid.shape}")
        self.n_actions, self.n_states = paid.shape
        matrix = sparse.csr_matrix(transition_matrix, dtype=np.float64, copy=True)
        shaped(matrix, "transition_matrix", (paid.size, self.n_states))
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        over = np.zeros(self.n_states, dtype=np.bool_)
        if terminal is not None:
            over = shaped(np.array(terminal, dtype=np.bool_), "terminal", (self.n_states,))
        ends = None if ending is None else shaped(np.array(ending, dtype=np.float64), "ending", paid.shape)
        exists = check_rows(matrix, paid, over, ends)
        for array in (matrix.data, matrix.indices, matrix.indptr, paid, over, exists, ends):
            if array is not None:
                array.setflags(write=False)
        self.transition_matrix, self.reward, self.terminal, self.ending = matrix, paid, over, ends
        self.available: NDArray[np.bool_] | None = None if exists.all() else exists
        self.initial_distribution = check_initial(initial_distribution, over)
        self.observation_space = spaces.Discrete(self.n_states)
        self.action_space = spaces.Discrete(self.n_actions)
        self._state = np.zeros(num_envs, dtype=_STATE)

    @cached_property
    def _starts(self) -> RowSampler:
        return RowSampler(sparse.csr_matrix(self.initial_distribution[None]))

    @cached_property
    def _arrivals(self) -> RowSampler:
        return RowSampler(self.transition_matrix)

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Start an episode in each of ``rows``, in a state drawn from the initial distribution."""
        started = np.zeros(len(rows), dtype=_STATE)
        started["key"] = [draw_key(generator) for generator in generators]
        u = uniform(started["key"], started["clock"])
        started["state"] = self._starts.draw(np.zeros(len(rows), dtype=np.int64), u)
        started["clock"] = 1
        self._state[rows] = started

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Act in every row whose episode goes on; the others stay as they are and are paid no more."""
        now = self._state.copy()
        state, acting = now["state"], ~now["over"]
        if self.available is not None:
            self._refuse_unavailable(actions, state, acting)
        rewards = np.where(acting, self.reward[actions, state], 0.0)
        u = uniform(now["key"], now["clock"])
        moving = acting
        if self.ending is not None:  # u below 1 - ending goes on, and is uniform again when divided by it
            going_on = 1.0 - self.ending[actions, state]
            moving = acting & (u < going_on)
            u[moving] /= going_on[moving]
        row = actions.astype(np.int64) * self.n_states + state
        state[moving] = self._arrivals.draw(row[moving], u[moving])
        now["clock"] += acting
        now["over"] = ~moving | self.terminal[state]
        self._state = now
        return rewards, now["over"].copy()

    def observe(self) -> NDArray[np.int64]:
        """Return the state of every row, of shape ``(num_envs,)``."""
        states: NDArray[np.int64] = self._state["state"].copy()
        return states

    def info(self) -> dict[str, NDArray[Any]]:
        """Return which actions exist now, as ``action_mask`` for ``action_space.sample``, unless all always do."""
        if self.available is None:
            return {}
        return {"action_mask": self.available[:, self._state["state"]].T.astype(np.int8)}

    def get_state(self) -> NDArray[Any]:
        """Return a copy of key, state and clock of every row, and whether its episode is over."""
        state: NDArray[Any] = self._state.copy()
        return state

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the given states."""
        if not ((state["state"] >= 0) & (state["state"] < self.n_states)).all():
            raise ValueError(f"the state is of an environment of another size: {state['state']} of {self.n_states}")
        self._state[rows] = state

    def render(self, row: int, mode: str) -> Any:
        """Write the number of the state."""
        if mode != "ansi":
            return super().render(row, mode)
        state, over = int(self._state["state"][row]), bool(self._state["over"][row])
        return f"state {state} of {self.n_states}{', the episode is over' if over else ''}\n"

    @cached_property
    def toy_text_model(self) -> ToyTextModel:
        """The model in Gymnasium's toy-text form, see :attr:`TabularEnv.P`."""
        matrix = self.transition_matrix
        model = toy_text_model(matrix, np.repeat(self.reward.ravel(), np.diff(matrix.indptr)), self.terminal)
        if self.ending is not None:
            for action, state in np.argwhere((self.ending > 0.0) & ~self.terminal).tolist():
                probability, paid = float(self.ending[action, state]), float(self.reward[action, state])
                model[state][action].append((probability, state, paid, True))
        return model

    def _refuse_unavailable(self, actions: NDArray[Any], state: NDArray[np.int64], acting: NDArray[np.bool_]) -> None:
        assert self.available is not None
        wrong = np.flatnonzero(acting & ~self.available[actions, state])
        if len(wrong):
            raise ValueError(
                f"action {actions[wrong[0]]} does not exist in state {state[wrong[0]]}: take one of those that "
                "info['action_mask'] marks with 1"
            )


class TabularEnv(SingleEnv):
    """An environment given by its transition probabilities.

    ``TabularEnv(TabularDynamics(1, transition_matrix, reward))`` is one; subclasses are the same with a story, their
    own arguments and a picture. :class:`gym_ilrl.TabularMDP` reads its model.

    **Observation.** ``Discrete(n_states)``: the state.

    **Action.** ``Discrete(n_actions)``. Where not every action exists in every state, the info has an ``action_mask``,
    and taking an action that does not exist is refused.

    **Reward.** ``reward[action, state]``: the expected reward, whatever the next state is.

    **Termination.** On arriving in a terminal state, or with the probability ``ending``.

    :param dynamics: the rules
    :param render_mode: ``None`` or one of ``metadata["render_modes"]``
    :param row: the row of ``dynamics`` this is a view of; None: ``dynamics`` has one row, which it owns
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}
    dynamics_class: ClassVar[type[Dynamics]] = TabularDynamics
    dynamics: TabularDynamics

    @property
    def P(self) -> ToyTextModel:
        """The exact model in the form of Gymnasium's toy-text environments.

        ``P[state][action]`` is a list of ``(probability, next_state, reward, terminated)``. Built on first use.
        """
        return self.dynamics.toy_text_model

    @property
    def transition_matrix(self) -> sparse.csr_matrix:
        """Probabilities of the next states, sparse, of shape ``(n_actions * n_states, n_states)``, read-only.

        Row ``action * n_states + state`` holds ``P(. | state, action)``.
        """
        return self.dynamics.transition_matrix

    @property
    def reward(self) -> NDArray[np.float64]:
        """Expected reward of each action in each state, of shape ``(n_actions, n_states)``, read-only."""
        return self.dynamics.reward

    @property
    def initial_distribution(self) -> NDArray[np.float64]:
        """Probability of starting in each state, of shape ``(n_states,)``, read-only."""
        return self.dynamics.initial_distribution

    @property
    def terminal(self) -> NDArray[np.bool_]:
        """Whether arriving in a state ends the episode, of shape ``(n_states,)``, read-only."""
        return self.dynamics.terminal

    @property
    def ending(self) -> NDArray[np.float64] | None:
        """Probability of ending without arriving in another state, ``(n_actions, n_states)``, read-only; None: 0."""
        return self.dynamics.ending

    @property
    def available(self) -> NDArray[np.bool_] | None:
        """Which actions exist in each state, of shape ``(n_actions, n_states)``, read-only; None: all."""
        return self.dynamics.available


class TabularVectorEnv(DynamicsVectorEnv):
    """Any number of copies of a :class:`TabularEnv`; its other arguments are those of :class:`TabularDynamics`.

    :param num_envs: number of copies
    """

    env_class = TabularEnv
