"""What behaviour cloning learns from: labelled observations as tensors on the training device."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space, maybe_transpose
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.episode import map_arrays
from gym_ilrl.losses.batch import ImitationBatch

_TORCH_CANNOT_INDEX = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.int64}


class Labels(NamedTuple):
    """Consecutive observations and the expert's actions in them, as numpy arrays of the environment's scale."""

    observations: NDArray[Any] | Mapping[str, NDArray[Any]]  # (n, *observation_space.shape), or a dict of such
    actions: NDArray[Any]  # (n, *action_space.shape)
    episode_starts: NDArray[np.bool_]  # (n,), true where a new sequence begins
    action_masks: NDArray[np.bool_] | None = None  # (n, number of actions), for maskable policies
    returns_to_go: NDArray[np.float64] | None = None  # (n,)


class TrainingSet:
    """Labels kept as tensors; they grow in place, and a minibatch is one index operation.

    Raw observations are kept beside the normalised ones only under ``VecNormalize``, whose statistics move.

    :param policy: decides the device and the layout of the observations (images channels first)
    :param vec_normalize: normalises the observations, if the environment has one
    """

    def __init__(self, policy: BasePolicy, vec_normalize: VecNormalize | None = None) -> None:
        self.space = policy.observation_space
        self._policy_needs_masks = isinstance(policy, MaskableActorCriticPolicy)
        self.device = policy.device
        self.vec_normalize = vec_normalize
        self._keeps_raw = vec_normalize is not None
        self._raw: list[NDArray[Any] | Mapping[str, NDArray[Any]]] = []
        self._columns: dict[str, _Column] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def actions(self) -> th.Tensor:
        """The labels, of shape ``(len(self), *action_space.shape)``."""
        return self._columns["actions"].values

    @property
    def episode_starts(self) -> th.Tensor:
        """True where a sequence begins, of shape ``(len(self),)``."""
        return self._columns["episode_starts"].values

    def extend(self, labels: Labels) -> None:
        """Append labels.

        :param labels: raw: what the environment gave and takes
        :raises ValueError: if the policy needs action masks and they have none
        """
        masks = labels.action_masks if self._policy_needs_masks else None
        if self._policy_needs_masks and masks is None:
            raise ValueError(
                "the policy needs action masks and the demonstrations have none; record them as infos['action_masks'], "
                "as collect() does for a maskable policy, or clone into a policy without masks"
            )
        if self._keeps_raw:
            self._raw.append(labels.observations)
        self._append_observations(labels.observations)
        self._append("actions", labels.actions)
        self._append("episode_starts", labels.episode_starts)
        if masks is not None:
            self._append("action_masks", masks)
        if labels.returns_to_go is not None:
            self._append("returns_to_go", labels.returns_to_go)
        self._size += len(labels.actions)

    def set_vec_normalize(self, vec_normalize: VecNormalize | None) -> None:
        """Take the ``VecNormalize`` of another environment for this one's, or none.

        :raises ValueError: if there is one now and was none before
        """
        if vec_normalize is not None and not self._keeps_raw:
            raise ValueError(
                "the labels until now were gathered without VecNormalize; build a new model for an environment with it"
            )
        self.vec_normalize = vec_normalize

    def normalise(self) -> None:
        """Bring the observations up to date with the statistics of ``VecNormalize``, if there is one."""
        if not self._keeps_raw:
            return
        for name in [name for name in self._columns if name.startswith("observations")]:
            del self._columns[name]
        for observations in self._raw:
            self._append_observations(observations)

    def batch(self, indices: th.Tensor) -> ImitationBatch:
        """Return the labels at ``indices``, of shape ``(b,)``."""
        return ImitationBatch(
            observations=self._observations(indices),
            actions=self.actions.index_select(0, indices),
            action_masks=self._select("action_masks", indices),
            returns_to_go=self._select("returns_to_go", indices),
        )

    def sequences(self, starts: th.Tensor, lengths: th.Tensor) -> ImitationBatch:
        """Return windows of consecutive labels, padded to the longest, one after the other.

        :param starts: of shape ``(n_sequences,)``, index of each window's first label
        :param lengths: of shape ``(n_sequences,)``
        """
        clock = th.arange(int(lengths.max()), device=self.device)
        valid = clock < lengths[:, None]
        indices = (starts[:, None] + th.where(valid, clock, 0)).reshape(-1)
        first = (clock == 0).expand_as(valid).reshape(-1)
        return self.batch(indices)._replace(
            episode_starts=first.float(), valid=valid.reshape(-1), n_sequences=len(starts)
        )

    def _select(self, name: str, indices: th.Tensor) -> th.Tensor | None:
        column = self._columns.get(name)
        return None if column is None else column.values.index_select(0, indices)

    def _observations(self, indices: th.Tensor) -> th.Tensor | dict[str, th.Tensor]:
        if isinstance(self.space, spaces.Dict):
            columns = {key: self._columns[f"observations/{key}"].values for key in self.space.spaces}
            return {key: values.index_select(0, indices) for key, values in columns.items()}
        return self._columns["observations"].values.index_select(0, indices)

    def _append_observations(self, observations: NDArray[Any] | Mapping[str, NDArray[Any]]) -> None:
        prepared = prepare_observations(observations, self.space, self.vec_normalize)
        if isinstance(prepared, dict):
            for key, value in prepared.items():
                self._append(f"observations/{key}", value)
        else:
            self._append("observations", prepared)

    def _append(self, name: str, values: NDArray[Any]) -> None:
        if values.dtype in _TORCH_CANNOT_INDEX:
            values = values.astype(_TORCH_CANNOT_INDEX[values.dtype])
        elif values.dtype == np.float64:
            values = values.astype(np.float32)
        tensor = th.tensor(values, device=self.device)
        if name in self._columns:
            self._columns[name].extend(tensor)
        else:
            self._columns[name] = _Column(tensor)


class _Column:
    """A tensor that grows along its first axis, its room doubling when it is full."""

    def __init__(self, values: th.Tensor) -> None:
        self._room, self._size = values, len(values)

    @property
    def values(self) -> th.Tensor:
        return self._room[: self._size]

    def extend(self, values: th.Tensor) -> None:
        size = self._size + len(values)
        if size > len(self._room):
            room = self._room.new_empty((max(size, 2 * len(self._room)), *self._room.shape[1:]))
            room[: self._size] = self.values
            self._room = room
        self._room[self._size : size] = values
        self._size = size


def prepare_observations(
    observations: NDArray[Any] | Mapping[str, NDArray[Any]],
    space: spaces.Space[Any],
    vec_normalize: VecNormalize | None,
) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """Turn the environment's observations into what the policy's ``forward`` takes.

    :param observations: a batch, raw
    :param space: the policy's observation space (images channels first)
    :param vec_normalize: applied with its present statistics, which do not move
    """
    if vec_normalize is not None:
        inner = vec_normalize.venv.observation_space  # its own has normalised images as floats, no images to SB3
        observations = vec_normalize.normalize_obs(channels_as_in(inner, observations))
    prepared: NDArray[Any] | dict[str, NDArray[Any]] = channels_as_in(space, observations)
    return prepared


def channels_as_in(space: spaces.Space[Any], observations: Any) -> Any:
    """Bring the channels of images to where ``space`` has them."""
    if isinstance(space, spaces.Dict):
        return {key: channels_as_in(inner, observations[key]) for key, inner in space.spaces.items()}
    return maybe_transpose(observations, space) if is_image_space(space) else observations


def labels_of(demonstrations: Demonstrations, gamma: float | None = None) -> Labels:
    """Read demonstrations as labels: every observation but each episode's last, in which nothing is done.

    :param demonstrations: with rewards, if ``gamma`` is given
    :param gamma: discount of the returns to go, or None for labels without
    """
    n_labels, n_episodes = demonstrations.n_transitions, demonstrations.n_episodes
    rows = np.arange(n_labels) + np.repeat(np.arange(n_episodes), demonstrations.episode_lengths)
    starts = np.zeros(n_labels, dtype=bool)
    starts[demonstrations.offsets[:-1]] = True
    masks = (demonstrations.infos or {}).get("action_masks")
    return Labels(
        map_arrays(lambda array: array[rows], demonstrations.observations),
        demonstrations.actions,
        starts,
        None if masks is None else masks[rows],
        None if gamma is None else demonstrations.discounted_returns_to_go(gamma),
    )
