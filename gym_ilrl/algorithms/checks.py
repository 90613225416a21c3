"""What the constructors of the algorithms refuse."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gymnasium import spaces

from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.losses.imitation import loss_options, require_loss_options
from gym_ilrl.losses.kinds import has_free_deviation, is_recurrent

if TYPE_CHECKING:
    from gym_ilrl.algorithms.bc import BC

_LOG_STD_MODES = ("fit", "clamp", "residual")


def check_options(model: "BC") -> None:
    """Refuse options outside their range.

    :raises ValueError: naming the option, what was given and what was expected
    """
    require_positive_int("batch_size", model.batch_size)
    require_positive_int("sequence_length", model.sequence_length)
    if model.patience is not None:
        require_positive_int("patience", model.patience)
    rate = model.learning_rate
    is_rate = callable(rate) or (isinstance(rate, int | float) and is_number(rate) and rate >= 0)
    require(is_rate, "learning_rate", rate, "a number of at least 0, or a function of the progress remaining")
    for name in ("ent_coef", "l2_coef"):
        value = getattr(model, name)
        require(is_number(value) and value >= 0, name, value, "a number of at least 0")
    norm, fraction, bounds = model.max_grad_norm, model.validation_fraction, model.log_std_bounds
    require(norm is None or (is_number(norm) and norm > 0), "max_grad_norm", norm, "a positive number, or None")
    is_share = is_number(fraction) and 0 <= fraction < 1
    require(is_share, "validation_fraction", fraction, "a number of at least 0 and below 1")
    require(model.log_std in _LOG_STD_MODES, "log_std", model.log_std, f"one of {', '.join(_LOG_STD_MODES)}")
    is_pair = isinstance(bounds, Sequence) and len(bounds) == 2 and all(map(is_number, bounds))
    require(is_pair and bounds[0] <= bounds[1], "log_std_bounds", bounds, "two numbers, (least, greatest)")
    require(model.class_weight in (None, "balanced"), "class_weight", model.class_weight, "'balanced' or None")


def check_policy_options(model: "BC") -> None:
    """Refuse options that the policy or its action space has no use for.

    :raises ValueError: naming the option and the policy
    """
    policy = model.policy
    if model.ent_coef != 0 and "ent_coef" not in loss_options(policy):
        raise ValueError(f"ent_coef={model.ent_coef} needs a policy with a distribution, not {type(policy).__name__}")
    require_loss_options(policy, model.loss_kwargs)
    if model.class_weight is not None and not isinstance(model.action_space, spaces.Discrete):
        raise ValueError(f"class_weight='balanced' needs a Discrete action space, not {model.action_space}")
    if model.log_std == "residual" and (not has_free_deviation(policy) or is_recurrent(policy)):
        raise ValueError(
            "log_std='residual' needs a policy with a Gaussian of free deviation and no memory (PPO's and its kin, in "
            f"a Box, use_sde=False), not {type(policy).__name__} in {model.action_space}; use log_std='fit'"
        )
