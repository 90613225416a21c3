"""A sparse model in the form of Gymnasium's toy-text environments."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ToyTextModel = dict[int, dict[int, list[tuple[float, int, float, bool]]]]


def toy_text_model(matrix: Any, rewards: NDArray[np.float64], terminal: NDArray[np.bool_]) -> ToyTextModel:
    """Return the model as a dictionary.

    :param matrix: probabilities of the next states, in CSR form of shape ``(n_actions * n_states, n_states)``, row
        ``action * n_states + state``
    :param rewards: of each transition, one for each entry of the matrix and in the same order
    :param terminal: whether arriving in a state ends the episode, of shape ``(n_states,)``. Such a state leads to
        itself, whatever the matrix says, and pays no more
    :return: ``{state: {action: [(probability, next_state, reward, terminated), ...]}}``
    """
    n_states = matrix.shape[1]
    starts, arrivals, probabilities = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data.tolist()
    ends, paid = terminal[matrix.indices].tolist(), rewards.tolist()
    over = terminal.tolist()

    def outcomes(state: int, action: int) -> list[tuple[float, int, float, bool]]:
        if over[state]:
            return [(1.0, state, 0.0, True)]
        row = action * n_states + state
        return [(probabilities[i], arrivals[i], paid[i], ends[i]) for i in range(starts[row], starts[row + 1])]

    actions = range(matrix.shape[0] // n_states)
    return {state: {action: outcomes(state, action) for action in actions} for state in range(n_states)}
