"""``VecNormalize`` and demonstrations."""

from typing import Any

from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

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
