"""From demonstrations to a replay buffer that holds nothing else."""

from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.episode import Arrays, map_arrays
from gym_ilrl.supervised.training_set import channels_as_in


class Columns(NamedTuple):
    """``n`` transitions as SB3's replay buffers hold them, in the order of the episodes."""

    observations: Arrays
    next_observations: Arrays
    actions: NDArray[Any]  # (n, *action_space.shape); Box actions scaled to [-1, 1]
    rewards: NDArray[np.float32]  # (n,)
    dones: NDArray[np.bool_]  # (n,)
    timeouts: NDArray[np.bool_]  # (n,): done, but not terminated: the update bootstraps


def filled_buffer(
    base: type[ReplayBuffer],
    demonstrations: Demonstrations,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    device: th.device | str,
    **kwargs: Any,
) -> ReplayBuffer:
    """Return a buffer of the class ``base`` with all transitions of the demonstrations, raw.

    :param base: any replay buffer that takes SB3's arguments
    :param demonstrations: that fit the spaces; without rewards, zeros are stored
    :param observation_space: the algorithm's (images channels first)
    :param action_space: the algorithm's
    :param kwargs: further arguments of ``base``, as in ``replay_buffer_kwargs``
    :raises ValueError: if the demonstrations do not fit the spaces
    """
    check_fits(demonstrations, observation_space, action_space)
    # One place more than transitions: HerReplayBuffer takes one episode that fills it exactly for an empty one.
    # Unoptimised: SB3's memory optimisation loses the last observation of every episode.
    buffer = base(
        demonstrations.n_transitions + 1,
        observation_space,
        action_space,
        device=device,
        n_envs=1,
        optimize_memory_usage=False,
        **kwargs,
    )
    columns = _columns(demonstrations, observation_space, action_space)
    if base.add in (ReplayBuffer.add, DictReplayBuffer.add):
        _write(buffer, columns)
    else:
        _add_one_by_one(buffer, columns, demonstrations)
    return buffer


def check_fits(
    demonstrations: Demonstrations, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> None:
    """Refuse demonstrations of other spaces.

    :param observation_space: of a buffer; images may be transposed, or floats as ``VecNormalize`` makes them
    :raises ValueError: saying which space differs, and how
    """
    if isinstance(action_space, spaces.Discrete) and action_space.start != 0:
        raise ValueError(
            f"SB3's algorithms count the actions from 0, and the action space is {action_space}; "
            "wrap the environment so that its actions start at 0, and collect the demonstrations there"
        )
    demonstrations.check_compatible((_raw_space(demonstrations.observation_space, observation_space), action_space))


def _raw_space(ours: spaces.Space[Any], theirs: spaces.Space[Any]) -> spaces.Space[Any]:
    """Return ``theirs``, or for an image that ``VecNormalize`` turned into floats of the same shape, ``ours``."""
    if isinstance(ours, spaces.Dict) and isinstance(theirs, spaces.Dict) and ours.spaces.keys() == theirs.spaces.keys():
        return spaces.Dict({key: _raw_space(ours[key], theirs[key]) for key in theirs.spaces})
    normalised_image = ours.dtype == np.uint8 and theirs.dtype == np.float32 and len(ours.shape or ()) == 3
    return ours if normalised_image and ours.shape == theirs.shape else theirs


def _columns(
    demonstrations: Demonstrations, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> Columns:
    steps = demonstrations.transitions()
    rewards = np.zeros(demonstrations.n_transitions) if steps.rewards is None else steps.rewards
    dones = steps.terminations | steps.truncations
    return Columns(
        observations=channels_as_in(observation_space, steps.observations),
        next_observations=channels_as_in(observation_space, steps.next_observations),
        actions=_scaled(steps.actions, action_space),
        rewards=rewards.astype(np.float32),
        dones=dones,
        timeouts=dones & ~steps.terminations,
    )


def _scaled(actions: NDArray[Any], space: spaces.Space[Any]) -> NDArray[Any]:
    """Return Box actions in ``[-1, 1]``, as ``BasePolicy.scale_action`` does for online data; others as they are."""
    if not isinstance(space, spaces.Box):
        return actions
    scaled: NDArray[Any] = 2.0 * ((actions - space.low) / (space.high - space.low)) - 1.0
    return scaled


def _write(buffer: ReplayBuffer, columns: Columns) -> None:
    """Do what ``add`` would do for each row, for all rows at once."""
    n = len(columns.actions)
    _write_observations(buffer.observations, columns.observations)
    _write_observations(buffer.next_observations, columns.next_observations)
    buffer.actions[:n] = columns.actions.reshape(n, 1, -1)
    buffer.rewards[:n, 0] = columns.rewards
    buffer.dones[:n, 0] = columns.dones
    if buffer.handle_timeout_termination:
        buffer.timeouts[:n, 0] = columns.timeouts
    buffer.pos = n


def _write_observations(room: Any, values: Any) -> None:
    if isinstance(room, dict):
        for key, inner in room.items():
            _write_observations(inner, values[key])
    else:
        room[: len(values)] = values.reshape(len(values), *room.shape[1:])


def _add_one_by_one(buffer: ReplayBuffer, columns: Columns, demonstrations: Demonstrations) -> None:
    rows = np.arange(demonstrations.n_transitions)
    after = rows + np.repeat(np.arange(len(demonstrations)), demonstrations.episode_lengths) + 1
    infos = {key: values[after] for key, values in (demonstrations.infos or {}).items()}  # of the step, as SB3's are
    for row in rows:
        one = slice(row, row + 1)
        info = {key: values[row] for key, values in infos.items()}
        info["TimeLimit.truncated"] = bool(columns.timeouts[row])
        buffer.add(
            map_arrays(lambda array, one=one: array[one], columns.observations),  # type: ignore[misc,arg-type]
            map_arrays(lambda array, one=one: array[one], columns.next_observations),  # type: ignore[misc,arg-type]
            columns.actions[one],
            columns.rewards[one],
            columns.dones[one],
            [info],
        )
