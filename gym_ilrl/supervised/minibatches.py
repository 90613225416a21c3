"""Minibatches without end: random permutations of the training set, cut into pieces of equal size."""

from collections.abc import Iterator

import torch as th

from gym_ilrl.losses.batch import ImitationBatch
from gym_ilrl.supervised.training_set import TrainingSet


class Minibatches:
    """Draws minibatches from a part of a training set.

    One permutation follows the other in one stream, which is cut every ``batch_size``: all batches have the same size
    and no label is left out. The stream has its own generator, so it never moves the global one.

    :param training_set: where the labels are
    :param part: indices of the labels to draw from, of shape ``(n,)``
    :param batch_size: labels in a minibatch; more than there are means all of them
    :param generator: decides the permutations
    :param sequence_length: for recurrent policies: draw windows of so many consecutive labels instead of single ones
    """

    def __init__(
        self,
        training_set: TrainingSet,
        part: th.Tensor,
        batch_size: int,
        generator: th.Generator,
        sequence_length: int | None = None,
    ) -> None:
        self._set, self._generator = training_set, generator
        self._windows = None if sequence_length is None else cut_windows(training_set, part, sequence_length)
        # labels or windows, by index
        self._items = part if self._windows is None else th.arange(len(self._windows[0]), device=part.device)
        self._n_items = len(self._items)
        per_item = 1 if sequence_length is None else sequence_length
        self._items_per_batch = min(max(1, batch_size // per_item), self._n_items)
        self._stream = self._items[:0]
        self._position = 0

    @property
    def per_epoch(self) -> int:
        """Number of minibatches that see every label about once."""
        return max(1, round(self._n_items / self._items_per_batch))

    def draw(self) -> ImitationBatch:
        """Return the next minibatch."""
        end = self._position + self._items_per_batch
        if end > len(self._stream):
            rest = self._stream[self._position :]
            permutation = th.randperm(self._n_items, generator=self._generator).to(self._set.device)
            self._stream = th.cat((rest, self._items[permutation]))
            self._position, end = 0, self._items_per_batch
        items = self._stream[self._position : end]
        self._position = end
        return self._take(items)

    def in_order(self) -> Iterator[tuple[ImitationBatch, int]]:
        """Yield every label once, in order: minibatches and their sizes."""
        for items in th.split(self._items, self._items_per_batch):
            yield self._take(items), len(items)

    def _take(self, items: th.Tensor) -> ImitationBatch:
        if self._windows is not None:
            starts, lengths = self._windows
            return self._set.sequences(starts[items], lengths[items])
        return self._set.batch(items)


def cut_windows(training_set: TrainingSet, part: th.Tensor, length: int) -> tuple[th.Tensor, th.Tensor]:
    """Cut the episodes of ``part`` into windows of ``length`` labels; an episode's last window may be shorter.

    Every window starts from an empty memory: all but an episode's first have forgotten what came before.

    :return: index of the first label, and number of labels, of each window
    """
    start_flags = training_set.episode_starts[part].clone()
    start_flags[0] = True
    start_flags[1:] |= part[1:] != part[:-1] + 1
    bounds = th.cat((th.nonzero(start_flags).flatten(), th.tensor([len(part)], device=part.device)))
    windows = [
        (position, min(position + length, end))
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        for position in range(begin, end, length)
    ]
    first, last = th.tensor(windows, device=part.device).unbind(1)
    return part[first], last - first
