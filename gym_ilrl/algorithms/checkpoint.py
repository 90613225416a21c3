"""A DAgger run on disk: the demonstrations it began with, every label, and the model after every round."""

from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from gym_ilrl.algorithms.label_journal import LabelJournal
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.raw_env import raw_vec_env
from gym_ilrl.supervised.training_set import TrainingSet

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
        self._vec_normalize = directory / "vec_normalize.pkl"
        self._demonstrations = directory / "demonstrations.npz"

    def keep_demonstrations(self, given: Demonstrations | None) -> Demonstrations | None:
        """Return the demonstrations that the run began with; at its beginning, keep ``given``."""
        if self._demonstrations.exists():
            return Demonstrations.load(self._demonstrations)
        if given is not None and len(self.journal) == 0:
            given.save(self._demonstrations)
        return given

    def save(self, model: "DAgger") -> None:
        """Write the model and the statistics of ``VecNormalize``; a kill in the middle leaves those before."""
        vec_normalize = model.get_vec_normalize_env()
        if vec_normalize is not None:
            temporary = self._vec_normalize.with_suffix(".tmp")
            vec_normalize.save(str(temporary))
            temporary.replace(self._vec_normalize)
        temporary = self._model.with_name("model.tmp.zip")
        model.save(temporary)
        temporary.replace(self._model)

    def restore(self, model: "DAgger", training_set: TrainingSet) -> bool:
        """Bring back every label; and, for a model that knows of no run yet, the model of the run.

        :return: True if the run goes on where it was killed; False for a model that was loaded with a past of its own,
            or if there is nothing to bring back
        """
        n_labels = len(self.journal)
        if n_labels:
            training_set.extend(self.journal.read())
        if model.n_rounds or model.n_labels:
            model.n_labels = n_labels
            return False
        if self._model.exists():
            self._restore_model(model)
        n_since = n_labels - model.n_labels
        if n_since < 0:
            raise ValueError(
                f"{self._model} has seen {model.n_labels} labels and there are {n_labels} beside it; "
                "bring labels.bin back, or give an empty checkpoint_dir"
            )
        model.num_timesteps += n_since
        model.n_labels += n_since
        model._n_labels_left -= n_since
        return self._model.exists() or n_since > 0

    def _restore_model(self, model: "DAgger") -> None:
        data, _, _ = load_from_zip_file(self._model, device=model.device)
        assert data is not None
        try:
            model.set_parameters(str(self._model), device=model.device)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self._model} is of a run with another base, policy or policy_kwargs; give those, or an empty "
                f"checkpoint_dir: {error}"
            ) from error
        for name in _COUNTERS:
            setattr(model, name, data[name])
        vec_normalize = model.get_vec_normalize_env()
        if vec_normalize is not None and self._vec_normalize.exists():
            saved = VecNormalize.load(str(self._vec_normalize), vec_normalize.venv)
            vec_normalize.obs_rms, vec_normalize.ret_rms = saved.obs_rms, saved.ret_rms
