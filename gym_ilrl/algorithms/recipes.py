"""What the "from demonstrations" classes do unless they are told otherwise."""

from dataclasses import dataclass
from typing import Any, Literal

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import Schedule

from gym_ilrl.arguments import is_number, is_whole, require
from gym_ilrl.losses.values import has_action_values

ImitationCoef = float | Schedule | Literal["td3bc"]


@dataclass(frozen=True)
class Recipe:
    """Which extensions of an algorithm are in use, and how much; :class:`FromDemonstrations` documents each field."""

    pretrain_epochs: int
    imitation_coef: ImitationCoef
    anchor_coef: float | Schedule
    critic_warmup: int
    demo_fraction: float


ON_POLICY = Recipe(pretrain_epochs=20, imitation_coef=0.1, anchor_coef=0.2, critic_warmup=10_000, demo_fraction=0.0)
# an off-policy critic learns from the demonstrations in the replay buffer, so the actor need not wait for it
OFF_POLICY = Recipe(pretrain_epochs=20, imitation_coef="td3bc", anchor_coef=0.0, critic_warmup=0, demo_fraction=0.5)
# the action values are the actor: nothing to hold still, and the margin stays as long as it is violated
Q_VALUES = Recipe(pretrain_epochs=0, imitation_coef=1.0, anchor_coef=0.0, critic_warmup=0, demo_fraction=0.5)


def check_amounts(
    pretrain_epochs: Any, imitation_coef: Any, anchor_coef: Any, critic_warmup: Any, demo_fraction: Any
) -> None:
    """Refuse what no recipe can hold; None stands for the recipe's own value.

    :raises ValueError: naming the argument, what was given and what was expected
    """
    for name, value in (("pretrain_epochs", pretrain_epochs), ("critic_warmup", critic_warmup)):
        require(value is None or is_whole(value, 0), name, value, "a whole number of at least 0")
    for name, value in (("imitation_coef", imitation_coef), ("anchor_coef", anchor_coef)):
        is_scale = name == "imitation_coef" and isinstance(value, str) and value == "td3bc"
        is_weight = value is None or callable(value) or is_scale or (is_number(value) and value >= 0)
        named = ", 'td3bc'" if name == "imitation_coef" else ""
        require(is_weight, name, value, f"a number of at least 0{named} or a function of the progress remaining")
    is_share = demo_fraction is None or (is_number(demo_fraction) and 0 <= demo_fraction <= 1)
    require(is_share, "demo_fraction", demo_fraction, "a number in [0, 1]")


def recipe_of(model: BaseAlgorithm) -> Recipe:
    """Return the recipe of the family that ``model`` belongs to."""
    if not isinstance(model, OffPolicyAlgorithm):
        return ON_POLICY
    return OFF_POLICY if has_action_values(model.policy) else Q_VALUES
