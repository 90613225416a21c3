"""``ilrl/GridMaze-v0``: a tabular task with a sparse reward and a known model."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.envs.dynamics import Dynamics, is_within
from gym_ilrl.envs.grid_layouts import generate_layout
from gym_ilrl.envs.grid_model import N_ACTIONS, ToyTextModel, moves, toy_text_model, transition_matrix
from gym_ilrl.envs.grid_viewer import draw, write
from gym_ilrl.envs.random_numbers import draw_key, uniform
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.vector import DynamicsVectorEnv

_STATE = np.dtype([("key", np.uint64), ("cell", np.int64), ("clock", np.int64)])


class GridMazeDynamics(Dynamics):
    """The rules of :class:`GridMazeEnv`.

    :param num_envs: number of copies
    :param size: number of rows and of columns
    :param layout: name of the layout, see :func:`~gym_ilrl.envs.grid_layouts.generate_layout`
    :param layout_seed: seed of the layout
    :param slip: probability that an action is replaced by a perpendicular one, in ``[0, 1]``
    """

    def __init__(
        self, num_envs: int = 1, size: int = 8, layout: str = "maze", layout_seed: int = 0, slip: float = 0.1
    ) -> None:
        super().__init__(num_envs)
        if not is_within(slip, 0.0, 1.0):
            raise ValueError(f"slip is a probability, in [0, 1], and was given {slip!r}")
        self.layout = generate_layout(layout, size, layout_seed)
        self.slip = float(slip)
        self.n_states = self.layout.size**2
        self.start, self.goal = 0, self.n_states - 1
        self.moves = moves(self.layout)
        self.moves[:, self.goal] = self.goal  # the goal is absorbing
        self.observation_space = spaces.Discrete(self.n_states)
        self.action_space = spaces.Discrete(N_ACTIONS)
        self._state = np.zeros(num_envs, dtype=_STATE)

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Put ``rows`` on the start."""
        self._state[rows] = np.array([(draw_key(generator), self.start, 0) for generator in generators], dtype=_STATE)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move every row by one cell; rows on the goal stay there and are paid no more."""
        cell = self._state["cell"]
        u = uniform(self._state["key"], self._state["clock"])
        turn = np.where(u < 0.5 * self.slip, -1, np.where(u < self.slip, 1, 0))
        arrived = self.moves[(actions + turn) % N_ACTIONS, cell]
        rewards = np.where((arrived == self.goal) & (cell != self.goal), 1.0, 0.0)
        self._state["clock"] += cell != self.goal
        self._state["cell"] = arrived
        return rewards, arrived == self.goal

    def observe(self) -> NDArray[np.int64]:
        """Return the cell of every row, of shape ``(num_envs,)``."""
        cells: NDArray[np.int64] = self._state["cell"].copy()
        return cells

    def info(self) -> dict[str, NDArray[Any]]:
        """Return whether every row has arrived at the goal."""
        return {"is_success": self._state["cell"] == self.goal}

    def get_state(self) -> NDArray[Any]:
        """Return a copy of key, cell and clock of every row."""
        state: NDArray[Any] = self._state.copy()
        return state

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the given states."""
        if not ((state["cell"] >= 0) & (state["cell"] < self.n_states)).all():
            raise ValueError(f"the state is of a maze of another size: cell {state['cell']} of {self.n_states}")
        self._state[rows] = state

    def render(self, row: int, mode: str) -> Any:
        """Draw the maze with its start, its goal and the agent."""
        cell = int(self._state["cell"][row])
        if mode == "rgb_array":
            return draw(self.layout, self.start, self.goal, cell)
        return write(self.layout, self.start, self.goal, cell) if mode == "ansi" else super().render(row, mode)

    @cached_property
    def transition_matrix(self) -> sparse.csr_matrix:
        """The probabilities of the next cells, see :attr:`GridMazeEnv.transition_matrix`."""
        return transition_matrix(self.moves, self.slip)

    @cached_property
    def toy_text_model(self) -> ToyTextModel:
        """The model in Gymnasium's toy-text form, see :attr:`GridMazeEnv.P`."""
        return toy_text_model(self.transition_matrix, self.goal)

    @cached_property
    def reward(self) -> NDArray[np.float64]:
        """The probability of arriving at the goal from another cell, of shape ``(4, n_states)``."""
        arriving: NDArray[np.float64] = self.transition_matrix[:, [self.goal]].toarray().reshape(N_ACTIONS, -1)
        arriving[:, self.goal] = 0.0
        return arriving


class GridMazeEnv(SingleEnv):
    """A maze of ``size x size`` cells with thin walls, from the upper left corner to the lower right one.

    A small Markov decision process that one can know completely: planning, inverse reinforcement learning and tabular
    methods read its exact model, and everything else meets a reward that is zero until the goal.

    **Observation.** ``Discrete(size**2)``: the cell, ``row * size + column``, counted from the upper left.

    **Action.** ``Discrete(4)``: 0 left, 1 down, 2 right, 3 up. With probability ``slip`` the action is replaced by one
    of the two perpendicular ones, each with probability ``slip / 2``. Moving into a wall is staying.

    **Reward.** 1 for arriving at the goal, else 0.

    **Termination.** On arriving at the goal. ``gym.make`` truncates after 200 steps; larger mazes want more:
    ``gym.make("ilrl/GridMaze-v0", size=30, max_episode_steps=3000)``.

    **Info.** ``is_success``: whether the goal is reached; Stable-Baselines3 logs its mean as ``rollout/success_rate``.

    :param size: number of rows and of columns, from 2 to 1000
    :param layout: ``"maze"``: a random spanning tree with some extra openings; ``"rooms"``: four rooms and four doors;
        ``"open"``: no walls
    :param layout_seed: seed of the layout, an integer in ``[0, 2**63)``; the layout does not depend on
        ``reset(seed=...)``
    :param slip: probability that an action is replaced by a perpendicular one, in ``[0, 1]``
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.grid_maze.GridMazeExpert` is planned by value iteration on the exact model. At
    the defaults it arrives in every episode, in 18 steps on average; random actions arrive in 1 of 20 episodes.

    **Version history.** v0: first version.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 8}
    dynamics_class = GridMazeDynamics
    dynamics: GridMazeDynamics

    def __init__(
        self,
        size: int = 8,
        layout: str = "maze",
        layout_seed: int = 0,
        slip: float = 0.1,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(GridMazeDynamics(1, size, layout, layout_seed, slip), render_mode)

    @property
    def P(self) -> ToyTextModel:
        """The exact model in the form of Gymnasium's toy-text environments.

        ``P[state][action]`` is a list of ``(probability, next_state, reward, terminated)``. Built on first use.
        """
        return self.dynamics.toy_text_model

    @property
    def transition_matrix(self) -> sparse.csr_matrix:
        """The same probabilities as a sparse matrix of shape ``(4 * n_states, n_states)``.

        Row ``action * n_states + state`` holds ``P(. | state, action)`` and sums to 1; the goal leads to itself. Built
        on first use.
        """
        return self.dynamics.transition_matrix

    @property
    def reward(self) -> NDArray[np.float64]:
        """Expected reward of each action in each state, of shape ``(4, n_states)``, as the rows of the matrix."""
        reward: NDArray[np.float64] = self.dynamics.reward.copy()
        return reward

    @property
    def initial_distribution(self) -> NDArray[np.float64]:
        """Probability of starting in each state, of shape ``(n_states,)``: 1 for the upper left cell."""
        distribution = np.zeros(self.dynamics.n_states)
        distribution[self.dynamics.start] = 1.0
        return distribution

    @property
    def terminal(self) -> NDArray[np.bool_]:
        """Whether arriving in a state ends the episode, of shape ``(n_states,)``: the goal only."""
        terminal = np.zeros(self.dynamics.n_states, dtype=np.bool_)
        terminal[self.dynamics.goal] = True
        return terminal


class GridMazeVectorEnv(DynamicsVectorEnv):
    """Any number of mazes of one layout; see :class:`GridMazeEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = GridMazeEnv
