"""The container of demonstrations: an immutable, ordered set of episodes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from gym_ilrl.data import compatibility, construction, files, layouts, rearrange, summaries
from gym_ilrl.data.episode import Arrays, Episode, Transitions, equal_arrays, map_arrays, read_only

SelfDemonstrations = TypeVar("SelfDemonstrations", bound="Demonstrations")


@dataclass(frozen=True, eq=False, repr=False)
class Demonstrations:
    """Episodes of an expert, or of anyone: flat read-only arrays and the offsets of the episodes in them.

    Made by :func:`gym_ilrl.collect`, :meth:`from_episodes`, :meth:`from_arrays` and :meth:`load`. ``len(d)`` is the
    number of *episodes*; ``d[i]`` is an :class:`Episode`, ``d[a:b]`` and ``d[[3, 1]]`` are ``Demonstrations``.
    Observations and actions are the environment's own: not normalised, images as the environment gives them.
    Field names are Minari's. ``copy`` and ``deepcopy`` return the object itself.

    :param observations: all episodes' observations in order, ``n_transitions + n_episodes`` rows (each episode's last
        observation is there too); for a Dict space a dict of such arrays. Kept in the dtype of the space
    :param actions: ``n_transitions`` rows
    :param rewards: of shape ``(n_transitions,)``, or ``None``
    :param terminations: of shape ``(n_transitions,)``; see :class:`Episode`
    :param truncations: of shape ``(n_transitions,)``; see :class:`Episode`
    :param infos: extras with as many rows as the observations they belong to, or ``None``
    :param offsets: of shape ``(n_episodes + 1,)``: episode ``i`` has the transitions ``offsets[i]:offsets[i + 1]``
    :param observation_space: Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of them
    :param action_space: Box, Discrete, MultiDiscrete or MultiBinary
    :param spec: what ``gymnasium.make`` rebuilds the environment from, if known
    :param metadata: anything that JSON can hold
    :param check: look at every value; only for arrays that were checked before is ``False`` right
    :raises ValueError: on anything malformed, naming it
    """

    observations: Arrays
    actions: NDArray[Any]
    rewards: NDArray[Any] | None
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    infos: dict[str, NDArray[Any]] | None
    offsets: NDArray[np.int64]
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    spec: EnvSpec | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            for name, value in construction.checked(self).items():
                object.__setattr__(self, name, value)

    @classmethod
    def from_episodes(
        cls: type[SelfDemonstrations],
        episodes: Iterable[Episode | Mapping[str, Any]],
        env: Any,
        metadata: dict[str, Any] | None = None,
    ) -> SelfDemonstrations:
        """Build from episodes.

        :param episodes: :class:`Episode` objects, or dicts with its field names; all or none of them with rewards, and
            all with the same keys of infos
        :param env: whose spaces these are: an id, a ``gym.Env``, an SB3 ``VecEnv``, or the pair
            ``(observation_space, action_space)``
        :param metadata: anything that JSON can hold
        :raises ValueError: on anything malformed, naming it
        """
        return cls(**construction.join_episodes(episodes), **compatibility.describe(env), metadata=metadata or {})

    @classmethod
    def from_arrays(
        cls: type[SelfDemonstrations],
        observations: Any,
        actions: Any,
        env: Any,
        *,
        rewards: Any | None = None,
        next_observations: Any | None = None,
        terminations: Any | None = None,
        truncations: Any | None = None,
        episode_lengths: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        infos: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        without_final_observations: bool = False,
    ) -> SelfDemonstrations:
        """Build from plain arrays, in one of three layouts.

        1. *Lists*, one array an episode: ``observations[i]`` has one row more than ``actions[i]``.
        2. *Flat arrays* of all steps, with ``next_observations`` (SB3's replay buffers, D4RL): as many rows as actions.
        3. *Flat arrays* without ``next_observations``: each episode has one row of observations more than of actions.

        Flat arrays are cut into episodes by ``episode_lengths``, or else where ``terminations`` or ``truncations`` are
        true. A last episode that has no end counts as truncated.

        :param observations: for Dict spaces a dict of arrays (in a list: a list of such dicts)
        :param actions: in the environment's own scale
        :param env: see :meth:`from_episodes`
        :param rewards: one a step
        :param next_observations: layout 2 only; within an episode they must repeat the following ``observations``
        :param terminations: booleans, one a step
        :param truncations: booleans, one a step (``timeouts`` of D4RL)
        :param episode_lengths: steps of each episode
        :param infos: extras with as many rows as the observations; layouts 1 (a dict of lists) and 3
        :param metadata: anything that JSON can hold
        :param without_final_observations: layouts 1 and 3 with as many observations as actions. Where the last action
            of an episode led is unknown, so that step is dropped, the episode counts as truncated before it, and an
            episode of one step is left out
        :raises ValueError: on anything malformed, naming it
        """
        arrays = layouts.Columns(observations, actions, rewards, terminations, truncations, infos)
        parts = layouts.from_columns(arrays, next_observations, episode_lengths, without_final_observations)
        return cls(**parts, **compatibility.describe(env), metadata=metadata or {})

    @classmethod
    def load(cls: type[SelfDemonstrations], path: str | Path, mmap: bool = False) -> SelfDemonstrations:
        """Read what :meth:`save` wrote; nothing in the file is ever executed.

        :param path: an ``.npz`` file or a directory
        :param mmap: leave the arrays of a directory on disk and read what is used when it is used; sizes and dtypes are
            checked, the values are not. Episodes and slices stay on disk; :meth:`transitions`, :meth:`shuffle` and
            ``+`` copy into memory
        :raises FileNotFoundError: if there is nothing at ``path``
        :raises ValueError: if the file is damaged, was not written by :meth:`save`, or by a newer version
        """
        with files.naming(Path(path)):
            return cls(**files.read(Path(path), mmap), check=not mmap)

    def save(self, path: str | Path) -> None:
        """Write to an ``.npz`` file, or, where ``path`` has no suffix, to a directory that can be memory-mapped.

        What was there before is replaced when all is written: a killed process leaves the old or the new data. (A
        directory is replaced by two renames; killed between them, both lie beside ``path`` under hidden names.)

        :param path: ends in ``.npz``, or names a directory by having no suffix; the parent directory is created
        :raises ValueError: on another suffix, or where ``path`` is a directory of something else
        """
        files.write(Path(path), self)

    @property
    def n_episodes(self) -> int:
        """Number of episodes."""
        return len(self.offsets) - 1

    @property
    def n_transitions(self) -> int:
        """Number of steps in all episodes together."""
        return int(self.offsets[-1])

    @property
    def episode_lengths(self) -> NDArray[np.int64]:
        """Steps of each episode, of shape ``(n_episodes,)``."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return self.n_episodes

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Episode: ...

    @overload
    def __getitem__(
        self: SelfDemonstrations, index: slice | Sequence[int] | NDArray[np.integer[Any]]
    ) -> SelfDemonstrations: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"there is no episode {index}: there are {len(self)}, counted from 0")
            return Episode(**rearrange.episode_columns(self, int(index) % len(self)))
        return self._with(rearrange.select(self, index))

    def __add__(self: SelfDemonstrations, other: "Demonstrations") -> SelfDemonstrations:
        """Return the episodes of both; rewards and infos are kept where both have them, metadata where they agree."""
        if not isinstance(other, Demonstrations):
            return NotImplemented
        compatibility.check_same_spaces(self, other)
        return self._with(rearrange.join_two(self, other))

    def split(
        self: SelfDemonstrations, fraction: float, seed: int | None = None
    ) -> tuple[SelfDemonstrations, SelfDemonstrations]:
        """Split by episodes, so that no episode is on both sides.

        :param fraction: of the episodes that go to the first part, in (0, 1); each part gets at least one
        :param seed: of the shuffle before; ``None`` keeps the order
        :return: the first part and the rest
        """
        if not 0 < fraction < 1:
            raise ValueError(f"fraction={fraction} leaves one part without episodes; give a number between 0 and 1")
        if len(self) < 2:
            raise ValueError("one episode cannot be split by episodes; collect at least two")
        episodes = self if seed is None else self.shuffle(seed)
        cut = min(max(round(fraction * len(self)), 1), len(self) - 1)
        return episodes[:cut], episodes[cut:]

    def shuffle(self: SelfDemonstrations, seed: int | None = None) -> SelfDemonstrations:
        """Return the episodes in random order."""
        return self[np.random.default_rng(seed).permutation(len(self))]

    def returns(self) -> NDArray[np.float64]:
        """Return each episode's sum of rewards, of shape ``(n_episodes,)``."""
        return np.add.reduceat(self._rewards(), self.offsets[:-1])

    def discounted_returns_to_go(self, gamma: float) -> NDArray[np.float64]:
        r"""Return :math:`G_t = \sum_{k \ge t} \gamma^{k-t} r_k` up to the episode's end, ``(n_transitions,)`` in shape.

        A truncated episode counts as if nothing came after it.

        :param gamma: the discount, in [0, 1]
        """
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma={gamma} is no discount; give a number between 0 and 1")
        return rearrange.returns_to_go(self._rewards(), self.offsets, gamma)

    def transitions(self) -> Transitions:
        """Return all steps without their order, with ``next_observations``; copies the observations."""
        rows = np.arange(self.n_transitions) + np.repeat(np.arange(len(self)), self.episode_lengths)
        return Transitions(
            observations=map_arrays(lambda array: array[rows], self.observations),
            actions=self.actions,
            next_observations=map_arrays(lambda array: array[rows + 1], self.observations),
            rewards=self.rewards,
            terminations=self.terminations,
            truncations=self.truncations,
            infos=None if self.infos is None else {key: array[rows] for key, array in self.infos.items()},
        )

    def check_compatible(self, env: Any) -> None:
        """Refuse an environment whose spaces are not those of the demonstrations.

        Tolerated: images transposed by SB3 (``VecTransposeImage``), observations normalised by SB3 (``VecNormalize``;
        demonstrations are compared with what it wraps), and bounds beyond 1e38 on one side where the other has infinity
        (Gymnasium changed those of CartPole).

        :param env: a ``gym.Env``, an SB3 ``VecEnv``, an id, or the pair ``(observation_space, action_space)``
        :raises ValueError: saying which space differs, and how
        """
        compatibility.check_compatible(self, env)

    def summary(self) -> str:
        """Return a few readable lines: sizes, lengths, returns, spaces."""
        return summaries.summary(self)

    def __repr__(self) -> str:
        return summaries.one_line(self)

    def __eq__(self, other: object) -> bool:
        """Tell whether spaces, spec, metadata and every array are the same."""
        if not isinstance(other, Demonstrations):
            return NotImplemented
        described = ("observation_space", "action_space", "spec", "metadata")
        return all(getattr(self, name) == getattr(other, name) for name in described) and all(
            equal_arrays(getattr(self, name), getattr(other, name)) for name in rearrange.ARRAYS
        )

    __hash__ = None  # type: ignore[assignment]  # equal by value, and arrays have no hash

    def __copy__(self: SelfDemonstrations) -> SelfDemonstrations:
        return self

    def __deepcopy__(self: SelfDemonstrations, memo: dict[int, Any]) -> SelfDemonstrations:
        return self  # immutable; Gymnasium deep-copies the arguments of every wrapper, and again for every spec

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():  # pickle forgets which arrays are read-only
            is_array = name in rearrange.ARRAYS and value is not None
            object.__setattr__(self, name, map_arrays(read_only, value) if is_array else value)

    def _with(self: SelfDemonstrations, changed: dict[str, Any]) -> SelfDemonstrations:
        described = ("observation_space", "action_space", "spec", "metadata")
        kept = {name: getattr(self, name) for name in described}
        return type(self)(**{**kept, **changed}, check=False)

    def _rewards(self) -> NDArray[np.float64]:
        if self.rewards is None:
            raise ValueError(
                "these demonstrations have no rewards, so they have no returns; give rewards when building"
            )
        return np.asarray(self.rewards, dtype=np.float64)
