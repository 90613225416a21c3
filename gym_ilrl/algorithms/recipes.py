"""What the "from demonstrations" classes do unless they are told otherwise."""

from dataclasses import dataclass, field
from typing import Any, Literal

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import Schedule

from gym_ilrl.arguments import is_number, is_whole, require, require_options
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
    imitation_kwargs: dict[str, Any] = field(default_factory=dict)


# Measured on LunarLander (benchmarks/results/first_bad_batch.md): no evaluation far below the cloned return
ON_POLICY = Recipe(pretrain_epochs=20, imitation_coef=0.1, anchor_coef=0.2, critic_warmup=10_000, demo_fraction=0.0)
# An off-policy critic learns from the demonstrations in the replay buffer, so the actor need not wait for it. The
# weight of the demonstrations follows the scale of the values and is not annealed: in the S maze, actors that were left
# alone with their critic lost the goal within hundreds of steps.
OFF_POLICY = Recipe(
    pretrain_epochs=20,
    imitation_coef="td3bc",
    anchor_coef=0.0,
    critic_warmup=0,
    demo_fraction=0.5,
    imitation_kwargs={"anneal": "constant", "td3bc_alpha": 0.4},
)
# the action values are the actor: nothing to hold still; any number of epochs switches the pretraining phase on
Q_VALUES = Recipe(
    pretrain_epochs=20,
    imitation_coef=1.0,
    anchor_coef=0.0,
    critic_warmup=0,
    demo_fraction=0.5,
    imitation_kwargs={"anneal": "constant"},
)


LEAST_UPDATES = 1000


def enough_epochs(n_epochs: int, n_transitions: int, batch_size: int) -> int:
    """Return how many passes the cloning takes: ``n_epochs``, or more of them for few demonstrations.

    Twenty passes over three short episodes are two hundred minibatches, and a clone that knows half of the way.

    :param n_epochs: of the recipe
    :param n_transitions: demonstrated
    :param batch_size: of the pretraining
    """
    return max(n_epochs, -(-LEAST_UPDATES // max(1, n_transitions // batch_size)))


def default_warmup(recipe: Recipe, total_timesteps: int) -> int:
    """Return how many steps the actor waits: the recipe's, and in a short training a tenth of it.

    :param recipe: of the algorithm's family
    :param total_timesteps: of the training
    """
    return min(recipe.critic_warmup, total_timesteps // 10)


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


_OWN_ARGUMENTS = {
    "pretrain_kwargs": ("n_epochs", "pretrain_epochs"),
    "imitation_kwargs": ("coef", "imitation_coef"),
    "anchor_kwargs": ("coef", "anchor_coef"),
    "critic_warmup_kwargs": ("n_timesteps", "critic_warmup"),
}


def options_of(name: str, given: Any) -> dict[str, Any]:
    """Return a copy of the further arguments of an extension.

    :param name: of the argument that they were given as
    :param given: a dictionary or None
    :raises ValueError: if it is neither, or holds what has an argument of its own
    """
    require_options(name, given)
    options = dict(given or {})
    if name in _OWN_ARGUMENTS:
        inner, outer = _OWN_ARGUMENTS[name]
        require(inner not in options, name, options, f"without {inner!r}, which is the argument {outer}")
    return options


def recipe_of(model: BaseAlgorithm) -> Recipe:
    """Return the recipe of the family that ``model`` belongs to."""
    if not isinstance(model, OffPolicyAlgorithm):
        return ON_POLICY
    return OFF_POLICY if has_action_values(model.policy) else Q_VALUES
