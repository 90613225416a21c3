"""What FeatureMatchingIRL refuses."""

from typing import TYPE_CHECKING

from gym_ilrl.arguments import is_number, require
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import REWARD_ON

if TYPE_CHECKING:
    from gym_ilrl.algorithms.feature_matching_irl import FeatureMatchingIRL

METHODS = ("max_margin", "projection", "structured_max_margin")


def check_reward_on(reward_on: str | None) -> None:
    """Refuse anything but what can have features.

    :raises ValueError: naming what was given and what was expected
    """
    known = reward_on is None or reward_on in REWARD_ON
    require(known, "reward_on", reward_on, f"one of {', '.join(REWARD_ON)}, or None")


def check_options(model: "FeatureMatchingIRL") -> None:
    """Refuse options outside their range.

    :raises ValueError: naming the option, what was given and what was expected
    """
    require(model.method in METHODS, "method", model.method, f"one of {', '.join(METHODS)}")
    for name in ("tolerance", "l2_coef"):
        value = getattr(model, name)
        require(is_number(value) and value > 0.0, name, value, "a positive number")
    is_choice = isinstance(model.features_are_costs, bool)
    require(is_choice, "features_are_costs", model.features_are_costs, "True or False")
    if model.method == "structured_max_margin" and model.gamma == 1.0 and model.horizon is None:
        raise ValueError(
            "structured_max_margin pays a policy for every step on which it disagrees with the expert, and without "
            "discount and horizon it would never end: give gamma < 1 or a horizon"
        )


def check_expert(model: "FeatureMatchingIRL", expert: ExpertVisits) -> None:
    """Refuse demonstrations that do not say what the method needs to know.

    :raises ValueError: if actions are missing
    """
    if model.method == "structured_max_margin" and not expert.has_actions:
        raise ValueError(
            "structured_max_margin compares actions, and the demonstrations are of states only; method='max_margin' "
            "matches features of states"
        )
