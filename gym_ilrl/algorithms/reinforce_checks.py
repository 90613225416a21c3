"""What REINFORCE refuses."""

from typing import TYPE_CHECKING

from gym_ilrl.algorithms.weighted_demonstrations import PROPOSALS
from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.data.demonstrations import Demonstrations

if TYPE_CHECKING:
    from gym_ilrl.algorithms.reinforce import REINFORCE

BASELINES = ("none", "mean", "value", "optimal")


def check_reinforce(model: "REINFORCE") -> None:
    """Refuse options outside their range.

    :raises ValueError: naming the option, what was given and what was expected
    """
    for name in ("n_steps", "proposal_epochs"):
        require_positive_int(name, getattr(model, name))
    if model.demo_episodes is not None:
        require_positive_int("demo_episodes", model.demo_episodes)
    gamma, clip = model.gamma, model.clip
    require(is_number(gamma) and 0 <= gamma <= 1, "gamma", gamma, "a number from 0 to 1")
    for name in ("ent_coef", "vf_coef", "demo_coef"):
        value = getattr(model, name)
        require(is_number(value) and value >= 0, name, value, "a number of at least 0")
    require(model.baseline in BASELINES, "baseline", model.baseline, f"one of {', '.join(BASELINES)}")
    require(model.proposal in PROPOSALS, "proposal", model.proposal, f"one of {', '.join(PROPOSALS)}")
    require(clip is None or (is_number(clip) and clip > 0), "clip", clip, "a positive number, or None")
    if model.proposal == "empirical" and not model.self_normalize:
        raise ValueError(
            "proposal='empirical' needs self_normalize=True: the likelihood of demonstrations that merely occurred is "
            "known up to a factor only; proposal='cloned' has one"
        )


def check_demonstrations(model: "REINFORCE", demonstrations: Demonstrations) -> None:
    """Refuse demonstrations that the estimator cannot weigh.

    :raises ValueError: saying what is missing
    """
    if model.env is not None:
        demonstrations.check_compatible(model.env)
    if demonstrations.rewards is None:
        raise ValueError(
            "the demonstrations have no rewards, and REINFORCE weighs actions by what they earned; record them with "
            "rewards, or use callbacks.HybridObjective or BC, which need none"
        )
    if not model.causal:
        raise ValueError(
            "demonstrations need causal=True: a product of ratios up to an action says nothing of the rewards before it"
        )
