"""From what the learner is shown back to what the environment gave."""

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize

from gym_ilrl.data.raw_env import raw_vec_env


def raw_observations(env: VecEnv, last_obs: Any) -> Any:
    """Undo ``VecNormalize`` and ``VecTransposeImage``: experts and files see what the environment gave.

    :param env: as wrapped by SB3
    :param last_obs: the last observations it returned
    :return: fresh arrays, one row a sub-environment
    """
    normalised = unwrap_vec_normalize(env)
    observations = last_obs if normalised is None else normalised.get_original_obs()
    return _channels_last_as_in(raw_vec_env(env)[0].observation_space, observations)


def _channels_last_as_in(space: spaces.Space[Any], observations: Any) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _channels_last_as_in(inner, observations[key]) for key, inner in space.spaces.items()}
    if observations.shape[1:] != space.shape and observations.ndim == 4:
        return np.transpose(observations, (0, 2, 3, 1)).copy()
    return np.array(observations)
