"""What belongs to each observation of a ``VecEnv``: itself, the wanted infos, the action masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.vec_env import VecEnv

_MASKS = "infos/action_masks"


class Watched:
    """Named columns of what goes with the observations, as :class:`~gym_ilrl.data.recording.Recording` takes them.

    :param venv: the environments
    :param keys: of their infos
    :param masked: ask the environments for action masks
    """

    def __init__(self, venv: VecEnv, keys: Sequence[str], masked: bool) -> None:
        self.venv = venv
        self._keys = [key for key in keys if not (masked and key == "action_masks")]
        self._masked = masked

    def now(self, observations: Any, infos: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
        """Return the columns of the present step, one row an environment.

        :param infos: those that came with ``observations``: of ``reset`` where an episode begins
        """
        values = _named(observations)
        for key in self._keys:
            values[f"infos/{key}"] = np.stack([_value(info, key) for info in infos])
        if self._masked:
            values[_MASKS] = get_action_masks(self.venv)
        return values

    def final(self, info: Mapping[str, Any], present: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Return the row of an episode's last observation.

        :param info: of the step that ended the episode
        :param present: the columns of some step, for the shape of the masks
        """
        values = _named(info["terminal_observation"])
        values.update({f"infos/{key}": _value(info, key) for key in self._keys})
        if self._masked:
            values[_MASKS] = np.ones_like(present[_MASKS][0])
        return values


def _named(observations: Any) -> dict[str, Any]:
    if isinstance(observations, Mapping):
        return {f"observations/{key}": value for key, value in observations.items()}
    return {"observations": observations}


def _value(info: Mapping[str, Any], key: str) -> NDArray[Any]:
    if key not in info:
        raise ValueError(
            f"infos={key!r} was asked for, but an info has only {sorted(info)}; a key can be kept if every "
            "step's info and that of reset has it"
        )
    return np.asarray(info[key])
