"""``VecNormalize`` and demonstrations."""

from typing import Any

import numpy as np
from scipy.signal import lfilter
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.supervised.training_set import channels_as_in


def seed_statistics(vec_normalize: VecNormalize, observations: Any) -> None:
    """Let the observation statistics see the demonstrations, if they have seen less than those until now.

    A fresh ``VecNormalize`` does not normalise; a policy cloned on its output would be thrown off as soon as its
    statistics begin to move.

    :param observations: all demonstrated ones, raw; a dict of them for a Dict space
    """
    if not (vec_normalize.training and vec_normalize.norm_obs):
        return
    observations = channels_as_in(vec_normalize.venv.observation_space, observations)
    statistics = vec_normalize.obs_rms
    if isinstance(statistics, RunningMeanStd):
        pairs = [(statistics, observations)]
    else:
        pairs = [(rms, observations[key]) for key, rms in statistics.items()]
    for rms, values in pairs:
        if rms.count < len(values):
            rms.update(values)


def seed_return_statistics(vec_normalize: VecNormalize, demonstrations: Demonstrations) -> None:
    """Let the return statistics see the demonstrations, if they have seen less than those until now.

    ``VecNormalize`` divides rewards by the deviation of ``R_t = gamma R_{t-1} + r_t``; a value function that was fitted
    to the demonstrations' returns keeps its scale only if that deviation is the demonstrations' from the beginning.

    :param demonstrations: with rewards
    """
    statistics = vec_normalize.ret_rms
    if not (vec_normalize.training and vec_normalize.norm_reward) or statistics.count >= demonstrations.n_transitions:
        return
    for episode in demonstrations:
        statistics.update(lfilter([1.0], [1.0, -vec_normalize.gamma], np.asarray(episode.rewards, dtype=np.float64)))


def return_scale(vec_normalize: VecNormalize | None) -> float:
    """Return what ``VecNormalize`` divides rewards by at present; 1.0 without one.

    :param vec_normalize: of the environment, if it has one
    """
    if vec_normalize is None or not vec_normalize.norm_reward:
        return 1.0
    return float(np.sqrt(vec_normalize.ret_rms.var + vec_normalize.epsilon))
