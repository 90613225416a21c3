"""The states that a round of DAgger visits, and the expert's answers in them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gym_ilrl.algorithms.label_journal import LabelJournal
from gym_ilrl.algorithms.labeller import Labeller
from gym_ilrl.data.episode import map_arrays
from gym_ilrl.supervised.training_set import Labels


class RoundLabels:
    """Collects labels step by step, or asks for a whole round's at its end where the expert can answer that late.

    :param labeller: the expert
    :param journal: where the labels are written as they are given, or None
    :param ask_at_once: whether the answers are needed in every step, because the expert may act
    """

    def __init__(self, labeller: Labeller, journal: LabelJournal | None, ask_at_once: bool) -> None:
        self._labeller, self._journal = labeller, journal
        self._at_once = ask_at_once or not labeller.can_label_later
        self._steps: list[Labels] = []

    def visit(
        self, observations: Any, episode_starts: NDArray[np.bool_], masks: NDArray[np.bool_] | None
    ) -> NDArray[Any] | None:
        """Note one state of each sub-environment; return the expert's actions in them if it was asked.

        :param observations: raw, one row a sub-environment
        """
        actions = self._labeller.label(observations, episode_starts, masks) if self._at_once else None
        starts = episode_starts.copy() if self._steps else np.ones_like(episode_starts)
        step = Labels(observations, np.empty(0) if actions is None else actions, starts, masks)
        self._steps.append(step)
        if actions is not None:
            self._write(step, n_steps=1)
        return actions

    def close(self) -> Labels | None:
        """Return all labels of the round, those of each sub-environment one after the other; None if there are none."""
        steps, n_steps = self._steps, len(self._steps)
        if n_steps == 0:
            return None
        by_time = Labels(
            _joined([step.observations for step in steps]),
            np.concatenate([step.actions for step in steps]),
            np.concatenate([step.episode_starts for step in steps]),
            None if steps[0].action_masks is None else np.concatenate([step.action_masks for step in steps]),
        )
        if not self._at_once:
            answers = self._labeller.label(by_time.observations, by_time.episode_starts, by_time.action_masks)
            by_time = by_time._replace(actions=answers)
            self._write(by_time, n_steps)
        order = np.arange(len(by_time.actions)).reshape(n_steps, -1).T.ravel()
        masks = by_time.action_masks
        return Labels(
            map_arrays(lambda array: array[order], by_time.observations),
            by_time.actions[order],
            by_time.episode_starts[order],
            None if masks is None else masks[order],
        )

    def _write(self, labels: Labels, n_steps: int) -> None:
        if self._journal is not None:
            n_envs = len(labels.actions) // n_steps
            self._journal.append(labels, np.tile(np.arange(n_envs), n_steps))


def _joined(batches: list[Any]) -> Any:
    if isinstance(batches[0], dict):
        return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    return np.concatenate(batches)
