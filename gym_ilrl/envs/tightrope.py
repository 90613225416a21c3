"""``ilrl/Tightrope-v0``: one mistake is paid for the rest of the episode."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_ilrl.envs.dynamics import Dynamics, is_integer, is_within
from gym_ilrl.envs.random_numbers import draw_key, uniform
from gym_ilrl.envs.single import SingleEnv
from gym_ilrl.envs.tightrope_viewer import draw, write
from gym_ilrl.envs.vector import DynamicsVectorEnv

ROPE, NET, GROUND = 0, 1, 2
N_LANES = 3
N_ACTIONS = 20
EMBEDDING_SIZE = 16

_STATE = np.dtype([("key", np.uint64), ("cell", np.int64), ("lane", np.int64)])


class TightropeDynamics(Dynamics):
    """The rules of :class:`TightropeEnv`.

    :param num_envs: number of copies
    :param length: number of cells, which is the number of steps of every episode, at least 1
    :param slip: probability of slipping off the rope at a step, in ``[0, 1]``
    :param book_seed: seed of the rule book, an integer in ``[0, 2**63)``
    """

    def __init__(self, num_envs: int = 1, length: int = 100, slip: float = 0.02, book_seed: int = 0) -> None:
        super().__init__(num_envs)
        if not is_integer(length) or length < 1:
            raise ValueError(f"length must be an integer of at least 1 (25 to 200 shows the effect), not {length!r}")
        if not is_within(slip, 0.0, 1.0):
            raise ValueError(f"slip is a probability, in [0, 1], and was given {slip!r}")
        self.length, self.slip, self.book_seed = int(length), float(slip), book_seed
        self.embeddings, self.codes = rule_book(self.length, book_seed)
        self.observation_space = spaces.Box(-1.0, 1.0, (EMBEDDING_SIZE,), np.float32)
        self.action_space = spaces.Discrete(N_ACTIONS)
        self._state = np.zeros(num_envs, dtype=_STATE)

    def reset(
        self, rows: Sequence[int], generators: Sequence[np.random.Generator], options: dict[str, Any] | None = None
    ) -> None:
        """Put ``rows`` on the first cell of the rope."""
        self._state[rows] = np.array([(draw_key(generator), 0, ROPE) for generator in generators], dtype=_STATE)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Advance every row that has not yet arrived by one cell."""
        cell, lane = self._state["cell"], self._state["lane"]
        correct = actions == self.codes[cell, lane]
        slipped = (lane == ROPE) & (uniform(self._state["key"], cell) < self.slip)
        arrived = np.where(slipped, NET, np.where(correct, np.maximum(lane - 1, ROPE), GROUND))
        walking = cell < self.length
        self._state["lane"] = np.where(walking, arrived, lane)
        self._state["cell"] += walking
        rewards = np.where(walking & (self._state["lane"] != ROPE), -1.0, 0.0)
        return rewards, self._state["cell"] == self.length

    def observe(self) -> NDArray[np.float32]:
        """Return the embedding of every row's cell and lane, of shape ``(num_envs, 16)``."""
        embeddings: NDArray[np.float32] = self.embeddings[self._state["cell"], self._state["lane"]]
        return embeddings

    def info(self) -> dict[str, NDArray[Any]]:
        """Return where every row is, and whether it has arrived on the rope."""
        cell, lane = self._state["cell"].copy(), self._state["lane"].copy()
        return {"cell": cell, "lane": lane, "is_success": (cell == self.length) & (lane == ROPE)}

    def get_state(self) -> NDArray[Any]:
        """Return a copy of key, cell and lane of every row."""
        state: NDArray[Any] = self._state.copy()
        return state

    def set_state(self, rows: Sequence[int], state: NDArray[Any]) -> None:
        """Put ``rows`` into the given states."""
        if not ((state["cell"] >= 0) & (state["cell"] <= self.length)).all():
            raise ValueError(f"the state is of a longer rope: cell {state['cell']} of {self.length}")
        self._state[rows] = state

    def render(self, row: int, mode: str) -> Any:
        """Draw the rope, the net, the ground and the walker."""
        cell, lane = int(self._state["cell"][row]), int(self._state["lane"][row])
        if mode == "rgb_array":
            return draw(self.length, cell, lane)
        return write(self.length, cell, lane) if mode == "ansi" else super().render(row, mode)


def rule_book(length: int, book_seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return what every (cell, lane) looks like and the one action that is correct there.

    A pure function of ``book_seed``, the same on every machine; the book of a shorter rope is the beginning of the book
    of a longer one, so that costs at different lengths compare like with like.

    :param length: number of cells; the book has one page more, the platform at the end
    :param book_seed: an integer in ``[0, 2**63)``
    :raises ValueError: if ``book_seed`` is out of range
    :return: embeddings, float32 in ``[-1, 1]`` of shape ``(length + 1, 3, 16)``, and codes in ``{0, ..., 19}`` of shape
        ``(length + 1, 3)``
    """
    if not is_integer(book_seed) or not 0 <= book_seed < 2**63:
        raise ValueError(f"book_seed must be an integer in [0, 2**63), not {book_seed!r}")
    shape = (length + 1, N_LANES, EMBEDDING_SIZE + 1)
    numbers = uniform(np.array([book_seed], dtype=np.uint64), np.arange(np.prod(shape))).reshape(shape)
    embeddings = (2.0 * numbers[..., :EMBEDDING_SIZE] - 1.0).astype(np.float32)
    return embeddings, (N_ACTIONS * numbers[..., EMBEDDING_SIZE]).astype(np.int64)


class TightropeEnv(SingleEnv):
    """A rope of ``length`` cells, each of which wants its own step; whoever falls pays until they are back on it.

    The smallest problem on which the cost of behaviour cloning grows faster than the length ``T`` of the task and
    DAgger's does not (Ross and Bagnell, "Efficient reductions for imitation learning", AISTATS 2010, theorem 2.1; Ross,
    Gordon and Bagnell, "A reduction of imitation learning and structured prediction to no-regret online learning",
    AISTATS 2011, theorem 2.2). Below the rope is a net, and below the net the ground. In each cell each of these three
    lanes has its own random look and its own random correct action (its code), so nothing learned on the rope helps
    below it. A perfect walker slips into the net now and then and climbs back at once: its demonstrations show every
    cell of the rope, few of the net and none of the ground. A clone that slips where they did not falls to the ground
    and stays there, to pay for the rest of the episode; DAgger asks what to do there.

    **Observation.** ``Box(-1, 1, (16,), float32)``: the random embedding of the current cell and lane. All embeddings
    and codes are the rule book, fixed by ``book_seed`` and not by ``reset(seed=...)``.

    **Action.** ``Discrete(20)``. Every action moves on by one cell, and then:

    ====== ============= =====================
    from   with the code with any other action
    ====== ============= =====================
    rope   rope          ground
    net    rope          ground
    ground net           ground
    ====== ============= =====================

    But whatever is done on the rope, with probability ``slip`` it ends in the net.

    **Reward.** -1 for every step that ends off the rope, else 0.

    **Termination.** After exactly ``length`` steps, at the platform behind the last cell: the task is over, so this is
    a termination and the environment needs no time limit.

    **Info.** ``cell`` in ``{0, ..., length}`` and ``lane``: 0 rope, 1 net, 2 ground; ``is_success``: whether the
    platform was reached on the rope. Stable-Baselines3 logs its mean as ``rollout/success_rate``.

    :param length: number of cells and of steps, at least 1; 25 to 200 shows the effect
    :param slip: probability of slipping off the rope at a step, in ``[0, 1]``. Without it demonstrations never leave
        the rope, a clone learns the rope by heart, and there is nothing to compound
    :param book_seed: seed of the rule book, an integer in ``[0, 2**63)``
    :param render_mode: ``None``, ``"rgb_array"`` or ``"ansi"``; ``gym.make`` adds ``"human"``
    :raises ValueError: if an argument is out of range

    **Expert.** :class:`gym_ilrl.experts.tightrope.TightropeExpert` finds the observation in the rule book and gives its
    code. Its expected return is about ``-slip * length``: -2.0 at the defaults, where random actions reach -99.7.

    **Version history.** v0: first version.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 10}
    dynamics_class = TightropeDynamics
    dynamics: TightropeDynamics

    def __init__(
        self, length: int = 100, slip: float = 0.02, book_seed: int = 0, render_mode: str | None = None
    ) -> None:
        super().__init__(TightropeDynamics(1, length, slip, book_seed), render_mode)


class TightropeVectorEnv(DynamicsVectorEnv):
    """Any number of ropes, walked together; see :class:`TightropeEnv` for the arguments.

    :param num_envs: number of copies
    """

    env_class = TightropeEnv
