"""What the tabular algorithms refuse."""

from typing import TYPE_CHECKING, Any

from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer

from gym_ilrl.arguments import is_number, is_whole, require, require_positive_int

if TYPE_CHECKING:
    from gym_ilrl.algorithms.tabular_q_learning_base import TabularTemporalDifference


def check_options(model: "TabularTemporalDifference") -> None:
    """Refuse options outside their range.

    :raises ValueError: naming the option, what was given and what was expected
    """
    rate, gamma, exponent = model.learning_rate, model.gamma, model.step_size_exponent
    is_rate = callable(rate) or (is_number(rate) and 0 <= rate <= 1)
    require(is_rate, "learning_rate", rate, "a number from 0 to 1, or a function of the progress remaining")
    require(is_number(gamma) and 0 <= gamma <= 1, "gamma", gamma, "a number from 0 to 1")
    require(is_number(exponent) and 0 <= exponent <= 1, "step_size_exponent", exponent, "a number from 0 to 1")
    require_positive_int("buffer_size", model.buffer_size)
    starts = model.learning_starts
    require(is_whole(starts, 0), "learning_starts", starts, "a whole number of at least 0")
    if model.batch_size is None:
        _check_online(model)
    else:
        require_positive_int("batch_size", model.batch_size)


def check_spaces(model: "TabularTemporalDifference") -> None:
    """Refuse what a table has no rows for: no environment, or observations that are no single number.

    :raises ValueError: naming the space
    """
    if model.env is None and not hasattr(model, "observation_space"):
        raise ValueError(f"{type(model).__name__} learns from what happens in an environment: give env=")
    expected = "Discrete, for a table has a row for each observation; a wrapper may number them"
    is_discrete = isinstance(model.observation_space, spaces.Discrete)
    require(is_discrete, "observation_space", model.observation_space, expected)


def check_buffer(buffer: ReplayBuffer | None) -> None:
    """Refuse a buffer that sums the rewards of several steps.

    :raises ValueError: naming the buffer
    """
    n_steps = getattr(buffer, "n_steps", 1)
    if n_steps != 1:
        raise ValueError(
            f"the tabular update is one of single steps, and {type(buffer).__name__} samples returns of {n_steps} "
            "steps, which belong to the policy that took them; use a buffer with n_steps=1"
        )


def check_policy_kwargs(policy_kwargs: dict[str, Any] | None, set_by_the_algorithm: dict[str, Any]) -> None:
    """Refuse arguments of the policy that the algorithm sets.

    :raises ValueError: naming the argument
    """
    for name in set_by_the_algorithm:
        if name in (policy_kwargs or {}):
            raise ValueError(f"{name} of the policy is set by an argument of the algorithm, not in policy_kwargs")


def check_device(device: Any) -> str:
    """Return the CPU, or refuse.

    :raises ValueError: for another device
    """
    expected = "'cpu', or 'auto', which is the CPU: looking up a row of a table takes less time than sending it away"
    require(str(device) in ("auto", "cpu"), "device", device, expected)
    return "cpu"


def check_exploration(fraction: float, initial: float, final: float) -> None:
    """Refuse a schedule of exploration outside its range.

    :raises ValueError: naming the argument
    """
    is_fraction = is_number(fraction) and 0 < fraction <= 1
    require(is_fraction, "exploration_fraction", fraction, "a number above 0 and up to 1")
    for name, epsilon in (("exploration_initial_eps", initial), ("exploration_final_eps", final)):
        require(is_number(epsilon) and 0 <= epsilon <= 1, name, epsilon, "a probability, from 0 to 1")


def _check_online(model: "TabularTemporalDifference") -> None:
    if model.gradient_steps != 1:
        raise ValueError(
            f"gradient_steps={model.gradient_steps} needs replay: give a batch_size; without one every transition is "
            "learnt from once, when it is new"
        )
    if model.replay_buffer_class not in (None, ReplayBuffer):
        raise ValueError(
            f"replay_buffer_class={model.replay_buffer_class.__name__} needs replay: give a batch_size; without one "
            "the buffer is never sampled"
        )
