"""A DAgger run on disk: the demonstrations it began with, every label, and the model after every round."""

from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import VecEnv

from gym_ilrl.algorithms.label_journal import LabelJournal
from gym_ilrl.algorithms.training_set import TrainingSet
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.raw_env import raw_vec_env

if TYPE_CHECKING:
    from gym_ilrl.algorithms.dagger import DAgger

_COUNTERS = ("num_timesteps", "n_rounds", "n_labels", "n_expert_steps", "n_failures", "_n_updates", "_n_labels_left")


class Checkpoint:
    """The directory of a run.

    :param directory: made if it does not exist
    :param env: the environment, as wrapped by SB3
    :param n_masks: length of the action masks, 0 for none
    :raises ValueError: if the directory belongs to another environment
    """

    def __init__(self, directory: Path, env: VecEnv, n_masks: int) -> None:
        self.journal = LabelJournal(directory, raw_vec_env(env)[0].observation_space, env.action_space, n_masks)
        self._model = directory / "model.zip"
        self._demonstrations = directory / "demonstrations.npz"

    def keep_demonstrations(self, given: Demonstrations | None) -> Demonstrations | None:
        """Return the demonstrations that the run began with; at its beginning, keep ``given``."""
        if self._demonstrations.exists():
            return Demonstrations.load(self._demonstrations)
        if given is not None and len(self.journal) == 0:
            given.save(self._demonstrations)
        return given

    def save(self, model: "DAgger") -> None:
        """Write the model; a kill in the middle leaves the one before."""
        temporary = self._model.with_name("model.tmp.zip")
        model.save(temporary)
        temporary.replace(self._model)

    def restore(self, model: "DAgger", training_set: TrainingSet) -> bool:
        """Bring a run back to its last label; return False if there is nothing to bring back."""
        n_in_model = 0
        if self._model.exists():
            data, _, _ = load_from_zip_file(self._model, device=model.device)
            assert data is not None
            model.set_parameters(str(self._model), device=model.device)
            for name in _COUNTERS:
                setattr(model, name, data[name])
            n_in_model = model.n_labels
        n_since = len(self.journal) - n_in_model
        if len(self.journal):
            training_set.extend(self.journal.read())
        model.num_timesteps += n_since
        model.n_labels += n_since
        model._n_labels_left -= n_since
        return self._model.exists() or n_since > 0
