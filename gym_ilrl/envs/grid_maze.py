"""``ilrl/GridMaze-v0``: a tabular task with a sparse reward and a known model."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy import sparse

from gym_ilrl.arguments import require
from gym_ilrl.envs.dynamics import Dynamics, is_within
from gym_ilrl.envs.grid_layouts import generate_layout
from gym_ilrl.envs.grid_model import DIRECTIONS, N_ACTIONS, moves, transition_matrix
from gym_ilrl.envs.grid_viewer import draw, write
from gym_ilrl.envs.random_numbers import draw_key, uniform
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.toy_text import ToyTextModel, toy_text_model
from gym_ilrl.envs.vector import DynamicsVectorEnv

_GUSTS = 2**62  # the numbers of the wind are far behind those of the slips in each row's sequence
_STATE = np.dtype([("key", np.uint64), ("cell", np.int64), ("clock", np.int64)])


class GridMazeDynamics(Dynamics):
    """The rules of :class:`GridMazeEnv`.

    :param num_envs: number of copies
    :param size: number of rows and of columns
    :param layout: see :func:`~gym_ilrl.envs.grid_layouts.generate_layout`
    :param layout_seed: seed of the layout
    :param slip: probability that an action is replaced by a perpendicular one, in ``[0, 1]``
    :param wind: probability of being blown one cell further, in ``[0, 1]``
    :param wind_direction: where to: ``"left"``, ``"down"``, ``"right"`` or ``"up"``
    """

    def __init__(
        self,
        num_envs: int = 1,
        size: int = 8,
        layout: str | Sequence[str] = "maze",
        layout_seed: int = 0,
        slip: float = 0.1,
        wind: float = 0.0,
        wind_direction: str = "up",
    ) -> None:
        super().__init__(num_envs)
        for name, probability in (("slip", slip), ("wind", wind)):
            if not is_within(probability, 0.0, 1.0):
                raise ValueError(f"{name} is a probability, in [0, 1], and was given {probability!r}")
        require(wind_direction in DIRECTIONS, "wind_direction", wind_direction, f"one of {', '.join(DIRECTIONS)}")
        self.layout = generate_layout(layout, size, layout_seed)
        self.slip, self.wind, self.wind_direction = float(slip), float(wind), DIRECTIONS.index(wind_direction)
        self.n_states = self.layout.solid.size
        self.start, self.goal = self.layout.start, self.layout.goal
        self.terminal = self.layout.cliff.ravel().copy()
        self.terminal[self.goal] = True
        self.moves = moves(self.layout)
        self.moves[:, self.terminal] = np.flatnonzero(self.terminal)  # what ends the episode is absorbing
        self.observation_space = spaces.Discrete(self.n_states)
        self.action_space = spaces.Discrete(N_ACTIONS)
        self._state = np.zeros(num_envs, dtype=_STATE)

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Put ``rows`` on the start."""
        self._state[rows] = np.array([(draw_key(generator), self.start, 0) for generator in generators], dtype=_STATE)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Move every row by one cell, and by the wind; rows whose episode is over stay and are paid no more."""
        cell = self._state["cell"]
        u = uniform(self._state["key"], self._state["clock"])
        turn = np.where(u < 0.5 * self.slip, -1, np.where(u < self.slip, 1, 0))
        arrived = self.moves[(actions + turn) % N_ACTIONS, cell]
        if self.wind > 0.0:
            blown = uniform(self._state["key"], self._state["clock"] + _GUSTS) < self.wind
            arrived = np.where(blown, self.moves[self.wind_direction, arrived], arrived)
        rewards = np.where((arrived == self.goal) & (cell != self.goal), 1.0, 0.0)
        self._state["clock"] += ~self.terminal[cell]
        self._state["cell"] = arrived
        return rewards, self.terminal[arrived]

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
        return transition_matrix(self.moves, self.slip, self.wind, self.wind_direction)

    @cached_property
    def toy_text_model(self) -> ToyTextModel:
        """The model in Gymnasium's toy-text form, see :attr:`GridMazeEnv.P`."""
        arriving = (self.transition_matrix.indices == self.goal).astype(np.float64)
        return toy_text_model(self.transition_matrix, arriving, self.terminal)

    @cached_property
    def reward(self) -> NDArray[np.float64]:
        """The probability of arriving at the goal from another cell, of shape ``(4, n_states)``."""
        arriving: NDArray[np.float64] = self.transition_matrix[:, [self.goal]].toarray().reshape(N_ACTIONS, -1)
        arriving[:, self.goal] = 0.0
        return arriving


class GridMazeEnv(SingleEnv):
    """A maze of ``size x size`` cells with thin walls; by default from the upper left corner to the lower right one.

    A small Markov decision process that one can know completely: planning, inverse reinforcement learning and tabular
    methods read its exact model, and everything else meets a reward that is zero until the goal.

    **Observation.** ``Discrete(rows * columns)``: the cell, ``row * columns + column``, counted from the upper left.

    **Action.** ``Discrete(4)``: 0 left, 1 down, 2 right, 3 up. With probability ``slip`` the action is replaced by one
    of the two perpendicular ones, each with probability ``slip / 2``. Moving into a wall is staying. Then, with
    probability ``wind``, a gust blows the agent one cell further in ``wind_direction``, unless it has arrived or a wall
    is in the way (Sutton and Barto, "Reinforcement Learning", 2nd edition, 2018, example 6.5, where the strength
    depends on the column).

    **Reward.** 1 for arriving at the goal, else 0.

    **Termination.** On arriving at the goal, or in a cell of the cliff. ``gym.make`` truncates after 200 steps; larger
    mazes want more:
    ``gym.make("ilrl/GridMaze-v0", size=30, max_episode_steps=3000)``.

    **Info.** ``is_success``: whether the goal is reached; Stable-Baselines3 logs its mean as ``rollout/success_rate``.

    :param size: number of rows and of columns of a layout with a name, from 2 to 1000
    :param layout: ``"maze"``: a random spanning tree with some extra openings; ``"rooms"``: four rooms and four doors;
        ``"open"``: no walls; ``"spiral"``: one corridor to the middle; ``"cliff"``: no walls, and a cliff between start
        and goal in the lower corners. Or a grid of your own, one string a row: ``#`` wall, space free, ``C`` cliff, one
        ``S`` start, one ``G`` goal
    :param layout_seed: seed of the layout, an integer in ``[0, 2**63)``; the layout does not depend on
        ``reset(seed=...)``
    :param slip: probability that an action is replaced by a perpendicular one, in ``[0, 1]``
    :param wind: probability of a gust after each move, in ``[0, 1]``
    :param wind_direction: where the wind blows: ``"left"``, ``"down"``, ``"right"`` or ``"up"``
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.grid_maze.GridMazeExpert` is planned by value iteration on the exact model. At
    the defaults it arrives in every episode, in 18 steps on average; random actions arrive in 1 of 20 episodes.

    **Version history.** v0: first version; later ``wind``, ``"spiral"``, ``"cliff"`` and layouts of one's own, which
    change nothing at the defaults.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 8}
    dynamics_class = GridMazeDynamics
    dynamics: GridMazeDynamics

    def __init__(
        self,
        size: int = 8,
        layout: str | Sequence[str] = "maze",
        layout_seed: int = 0,
        slip: float = 0.1,
        render_mode: str | None = None,
        wind: float = 0.0,
        wind_direction: str = "up",
    ) -> None:
        super().__init__(GridMazeDynamics(1, size, layout, layout_seed, slip, wind, wind_direction), render_mode)

    @property
    def P(self) -> ToyTextModel:
        """The exact model in the form of Gymnasium's toy-text environments.

        ``P[state][action]`` is a list of ``(probability, next_state, reward, terminated)``. Built on first use.
        """
        return self.dynamics.toy_text_model

    @property
    def transition_matrix(self) -> sparse.csr_matrix:
        """The same probabilities as a sparse matrix of shape ``(4 * n_states, n_states)``.

        Row ``action * n_states + state`` holds ``P(. | state, action)`` and sums to 1; terminal cells lead to
        themselves. Built on first use.
        """
        return self.dynamics.transition_matrix

    @property
    def reward(self) -> NDArray[np.float64]:
        """Expected reward of each action in each state, of shape ``(4, n_states)``, as the rows of the matrix."""
        reward: NDArray[np.float64] = self.dynamics.reward.copy()
        return reward

    @property
    def initial_distribution(self) -> NDArray[np.float64]:
        """Probability of starting in each state, of shape ``(n_states,)``: 1 for the start."""
        distribution = np.zeros(self.dynamics.n_states)
        distribution[self.dynamics.start] = 1.0
        return distribution

    @property
    def terminal(self) -> NDArray[np.bool_]:
        """Whether arriving in a state ends the episode, of shape ``(n_states,)``: the goal, and the cliff."""
        terminal: NDArray[np.bool_] = self.dynamics.terminal.copy()
        return terminal

    @property
    def positions(self) -> NDArray[np.float64]:
        """Column (to the right) and row (downwards) of every state, of shape ``(n_states, 2)``."""
        row, column = np.indices(self.dynamics.layout.shape).reshape(2, -1)
        return np.stack([column, row], axis=1).astype(np.float64)


class GridMazeVectorEnv(DynamicsVectorEnv):
    """Any number of mazes of one layout; see :class:`GridMazeEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = GridMazeEnv
