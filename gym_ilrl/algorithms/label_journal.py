"""Labels on disk, written as they are given, so that a killed run has lost none."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_ilrl.data import space_json
from gym_ilrl.supervised.training_set import Labels


class LabelJournal:
    """An append-only file with one fixed-size record a label, beside a description of the record.

    A record that a kill cut in half is dropped at the next opening: all before it are whole.

    :param directory: made if it does not exist
    :param observation_space: of the environment, raw
    :param action_space: of the environment
    :param n_mask: length of the action masks, 0 for none
    :raises ValueError: if the directory holds labels of other spaces
    """

    def __init__(
        self,
        directory: Path,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        n_mask: int = 0,
    ) -> None:
        if directory.exists() and not directory.is_dir():
            raise ValueError(f"checkpoint_dir must be a directory, and {directory} is a file; give another path")
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "labels.bin"
        self._space = observation_space
        self._dtype = _record_dtype(observation_space, action_space, n_mask)
        _check_description(
            directory / "labels.json", observation_space=space_json.to_json(observation_space), n_mask=n_mask,
            action_space=space_json.to_json(action_space),
        )  # fmt: skip
        if self._path.exists():
            whole = self._path.stat().st_size // self._dtype.itemsize * self._dtype.itemsize
            os.truncate(self._path, whole)

    def __len__(self) -> int:
        return self._path.stat().st_size // self._dtype.itemsize if self._path.exists() else 0

    def append(self, labels: Labels, environments: NDArray[np.int64]) -> None:
        """Write labels; they survive the death of this process once this returns.

        :param environments: index of the sub-environment that each label comes from, of shape ``(n,)``
        """
        records = np.zeros(len(labels.actions), dtype=self._dtype)
        if isinstance(self._space, spaces.Dict):
            for key in self._space.spaces:
                records[f"observation/{key}"] = labels.observations[key]
        else:
            records["observation"] = labels.observations
        records["action"] = labels.actions
        records["episode_start"] = labels.episode_starts
        records["environment"] = environments
        if labels.action_masks is not None:
            records["action_mask"] = labels.action_masks
        with self._path.open("ab") as file:
            file.write(records.tobytes())

    def read(self) -> Labels:
        """Return all labels, those of each sub-environment one after the other."""
        records = np.fromfile(self._path, dtype=self._dtype)
        records = records[np.argsort(records["environment"], kind="stable")]
        observations: Any
        if isinstance(self._space, spaces.Dict):
            observations = {key: records[f"observation/{key}"].copy() for key in self._space.spaces}
        else:
            observations = records["observation"].copy()
        masks = records["action_mask"].copy() if "action_mask" in (self._dtype.names or ()) else None
        return Labels(observations, records["action"].copy(), records["episode_start"].copy(), masks)


def _record_dtype(observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_mask: int) -> np.dtype[Any]:
    if isinstance(observation_space, spaces.Dict):
        fields: list[Any] = [(f"observation/{key}", s.dtype, s.shape) for key, s in observation_space.spaces.items()]
    else:
        fields = [("observation", observation_space.dtype, observation_space.shape)]
    fields.append(("action", action_space.dtype, action_space.shape))
    fields += [("episode_start", np.bool_, ()), ("environment", np.int64, ())]
    if n_mask:
        fields.append(("action_mask", np.bool_, (n_mask,)))
    return np.dtype(fields)


def _check_description(path: Path, **description: Any) -> None:
    text = json.dumps(description, sort_keys=True)
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(path)
    elif path.read_text() != text:
        raise ValueError(
            f"{path.parent} holds the checkpoint of another environment ({path.name} describes other spaces); "
            "give an empty checkpoint_dir, or remove that one"
        )
