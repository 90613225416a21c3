"""What is refused as the model of a tabular environment, naming the state and the action."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOLERANCE = 1e-6  # of a sum of probabilities: single precision is welcome


def shaped(array: Any, name: str, shape: tuple[int, ...]) -> Any:
    """Return ``array``, having refused another shape.

    :raises ValueError: naming the array
    """
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, and was given {array.shape}")
    return array


def check_rows(
    matrix: Any, reward: NDArray[np.float64], terminal: NDArray[np.bool_], ending: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """Return which actions exist in each state: in a terminal state all, elsewhere those that lead somewhere.

    :param matrix: in CSR form, row ``action * n_states + state``
    :param reward: of shape ``(n_actions, n_states)``
    :param terminal: of shape ``(n_states,)``
    :param ending: of the shape of ``reward``, or None
    :raises ValueError: if a probability is negative, those of an action do not sum to 1, the reward of one is not
        finite, or a state that is not terminal has no action
    """
    if not (matrix.data >= 0.0).all() or not (ending is None or (ending >= 0.0).all()):
        raise ValueError("the probabilities in transition_matrix and ending must be at least 0")
    totals = np.asarray(matrix.sum(axis=1)).reshape(reward.shape) + (0.0 if ending is None else ending)
    exists: NDArray[np.bool_] = (totals > 0.0) | terminal
    wrong = np.argwhere(exists & ~terminal & ~((np.abs(totals - 1.0) <= _TOLERANCE) & np.isfinite(reward)))
    if len(wrong):
        action, state = wrong[0]
        raise ValueError(
            f"the probabilities of action {action} in state {state} must sum to 1 and its reward be finite, and they "
            f"are {totals[action, state]:.6g} and {reward[action, state]:g}"
        )
    stuck = np.flatnonzero(~exists.any(axis=0))
    if len(stuck):
        raise ValueError(f"state {stuck[0]} has no action: give it a next state, or make it terminal")
    return exists


def check_initial(given: ArrayLike | None, terminal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distribution of the first state, read-only.

    :param given: of shape ``(n_states,)``; None: the same for all that are not terminal
    :param terminal: of shape ``(n_states,)``
    :raises ValueError: if it is no distribution, or an episode would start in a terminal state
    """
    initial: NDArray[np.float64]
    if given is None:
        if terminal.all():
            raise ValueError("every state is terminal: an episode needs a state to start in")
        initial = ~terminal / np.count_nonzero(~terminal)
    else:
        initial = shaped(np.array(given, dtype=np.float64), "initial_distribution", terminal.shape)
        if not (initial >= 0.0).all() or not abs(initial.sum() - 1.0) <= _TOLERANCE:
            raise ValueError(f"initial_distribution must be probabilities that sum to 1, and sums to {initial.sum():g}")
        wrong = np.flatnonzero(terminal & (initial > 0.0))
        if len(wrong):
            raise ValueError(f"state {wrong[0]} is terminal, and an episode cannot start there")
    initial.setflags(write=False)
    return initial
