"""What the constructors of the algorithms refuse."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING

from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import BasePolicy

from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.losses.imitation import loss_options

if TYPE_CHECKING:
    from gym_ilrl.algorithms.bc import BC

_LOG_STD_MODES = ("fit", "clamp", "residual")


def demonstrations_of(given: Demonstrations | str | Path | None) -> Demonstrations | None:
    """Return the demonstrations that were given, read from their file if a path was.

    :raises TypeError: if something else was given
    """
    if given is None or isinstance(given, Demonstrations):
        return given
    if isinstance(given, str | Path):
        return Demonstrations.load(given)
    raise TypeError(
        f"demonstrations must be gym_ilrl.Demonstrations or the path of a saved one, not {type(given).__name__}; "
        "Demonstrations.from_episodes and Demonstrations.from_arrays make them from your own data"
    )


def check_options(model: "BC") -> None:
    """Refuse options outside their range.

    :raises ValueError: naming the option, what was given and what was expected
    """
    require_positive_int("batch_size", model.batch_size)
    require_positive_int("sequence_length", model.sequence_length)
    if model.patience is not None:
        require_positive_int("patience", model.patience)
    rate = model.learning_rate
    is_rate = callable(rate) or (isinstance(rate, int | float) and _is_number(rate) and rate >= 0)
    _require(is_rate, "learning_rate", rate, "a number of at least 0, or a function of the progress remaining")
    for name in ("ent_coef", "l2_coef"):
        value = getattr(model, name)
        _require(_is_number(value) and value >= 0, name, value, "a number of at least 0")
    norm, fraction, bounds = model.max_grad_norm, model.validation_fraction, model.log_std_bounds
    _require(norm is None or (_is_number(norm) and norm > 0), "max_grad_norm", norm, "a positive number, or None")
    is_share = _is_number(fraction) and 0 <= fraction < 1
    _require(is_share, "validation_fraction", fraction, "a number of at least 0 and below 1")
    _require(model.log_std in _LOG_STD_MODES, "log_std", model.log_std, f"one of {', '.join(_LOG_STD_MODES)}")
    is_pair = isinstance(bounds, Sequence) and len(bounds) == 2 and all(map(_is_number, bounds))
    _require(is_pair and bounds[0] <= bounds[1], "log_std_bounds", bounds, "two numbers, (least, greatest)")
    _require(model.class_weight in (None, "balanced"), "class_weight", model.class_weight, "'balanced' or None")


def check_policy_options(model: "BC") -> None:
    """Refuse options that the policy or its action space has no use for.

    :raises ValueError: naming the option and the policy
    """
    policy = model.policy
    known = loss_options(policy)
    if model.ent_coef != 0 and "ent_coef" not in known:
        raise ValueError(f"ent_coef={model.ent_coef} needs a policy with a distribution, not {type(policy).__name__}")
    for name in model.loss_kwargs:
        expected = f"among the options of the loss of {type(policy).__name__}: {', '.join(sorted(known)) or 'none'}"
        _require(name in known, "loss_kwargs", name, expected)
    if model.class_weight is not None and not isinstance(model.action_space, spaces.Discrete):
        raise ValueError(f"class_weight='balanced' needs a Discrete action space, not {model.action_space}")
    if model.log_std == "residual" and (not has_free_deviation(policy) or is_recurrent(policy)):
        raise ValueError(
            "log_std='residual' needs a policy with a Gaussian of free deviation and no memory (PPO's and its kin, in "
            f"a Box, use_sde=False), not {type(policy).__name__} in {model.action_space}; use log_std='fit'"
        )


def has_free_deviation(policy: BasePolicy) -> bool:
    """Tell whether the policy is a Gaussian whose deviation is a parameter of its own, as PPO's is in a Box."""
    return isinstance(getattr(policy, "action_dist", None), DiagGaussianDistribution)


def is_recurrent(policy: BasePolicy) -> bool:
    """Tell whether the policy has a memory, so that it has to be trained on sequences."""
    return isinstance(policy, RecurrentActorCriticPolicy)


def require_positive_int(name: str, value: int) -> None:
    """Refuse anything but a whole number of at least 1."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    _require(is_whole and value >= 1, name, value, "a whole number of at least 1")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _require(condition: bool, name: str, value: object, expected: str) -> None:
    if not condition:
        raise ValueError(f"{name} must be {expected}, not {value!r}")
