"""Minibatches of demonstrations for a model that is being trained."""

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.losses.actor import unwrap
from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.losses.kinds import is_recurrent
from gym_ilrl.supervised.minibatches import Minibatches
from gym_ilrl.supervised.training_set import TrainingSet, labels_of

STEPS_BETWEEN_NORMALISATIONS = 1000  # of the environment: VecNormalize's statistics hardly move in fewer


class DemonstrationBatches:
    """Demonstrations as tensors on a model's device, drawn in minibatches without touching global random streams.

    :param model: whose policy is trained on them
    :param demonstrations: checked against the model's environment
    :param batch_size: labels in a minibatch
    :param seed: of the order; None takes the model's seed, or the operating system's entropy if it has none
    :param sequence_length: of the windows that recurrent policies are given
    :param with_returns: give the batches ``returns_to_go``, discounted by the model's ``gamma``
    :raises ValueError: if the demonstrations do not fit the environment
    """

    def __init__(
        self,
        model: BaseAlgorithm,
        demonstrations: Demonstrations,
        batch_size: int,
        seed: int | None = None,
        sequence_length: int = 32,
        with_returns: bool = False,
    ) -> None:
        env = model.get_env()
        if env is not None:
            demonstrations.check_compatible(env)
        policy = unwrap(model.policy)
        self._vec_normalize = model.get_vec_normalize_env()
        self.training_set = TrainingSet(policy, self._vec_normalize)
        gamma = float(model.gamma) if with_returns else None  # type: ignore[attr-defined]
        self.training_set.extend(labels_of(demonstrations, gamma))
        self._normalised_at = model.num_timesteps
        everything = th.arange(len(self.training_set), device=policy.device)
        windows = sequence_length if is_recurrent(policy) else None
        self.minibatches = Minibatches(self.training_set, everything, batch_size, generator_for(model, seed), windows)

    def draw(self) -> ImitationBatch:
        """Return the next minibatch."""
        return self.minibatches.draw()

    def follow_statistics(self, num_timesteps: int) -> None:
        """Normalise anew, if ``VecNormalize`` has gone on for a while.

        :param num_timesteps: of the model
        """
        moving = self._vec_normalize is not None and self._vec_normalize.training
        if moving and num_timesteps - self._normalised_at >= STEPS_BETWEEN_NORMALISATIONS:
            self.training_set.normalise()
            self._normalised_at = num_timesteps


def generator_for(model: BaseAlgorithm, seed: int | None) -> th.Generator:
    """Return a random stream of a callback's own.

    :param model: whose seed it takes, if it has one
    :param seed: instead of the model's, or None
    """
    generator = th.Generator()
    chosen = model.seed if seed is None else seed
    if chosen is None:
        generator.seed()
    else:
        generator.manual_seed(chosen)
    return generator
