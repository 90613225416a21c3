"""What MaxEntIRL refuses, and what it takes where the choice is left to it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th
from torch import nn

from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.irl.expert_visits import ExpertVisits
from gym_ilrl.irl.features import REWARD_ON, Features
from gym_ilrl.irl.indifference import indifferent_rewards
from gym_ilrl.irl.penalty import Penalty
from gym_ilrl.planning.solve import SOLVERS

if TYPE_CHECKING:
    from gym_ilrl.algorithms.reward_learner import RewardLearner

_REWARDS = ("auto", "tabular", "linear", "network")
_OBJECTIVES = ("auto", "likelihood", "dual")
_DEVIATION_OF_WEIGHTS = 30.0  # of the default prior, in temperatures over the largest value of a feature


def check_options(model: "RewardLearner") -> None:
    """Refuse options outside their range.

    :raises ValueError: naming the option, what was given and what was expected
    """
    positive = (("temperature", model.temperature), ("tolerance", model.tolerance))
    for name, value in positive:
        require(is_number(value) and value > 0.0, name, value, "a positive number")
    require(is_number(model.l1_coef) and model.l1_coef >= 0.0, "l1_coef", model.l1_coef, "a number of at least 0")
    l2 = model.l2_coef
    require(l2 is None or (is_number(l2) and l2 >= 0.0), "l2_coef", l2, "a number of at least 0, or None")
    require(model.objective in _OBJECTIVES, "objective", model.objective, f"one of {', '.join(_OBJECTIVES)}")
    require(model.solver in SOLVERS, "solver", model.solver, f"one of {', '.join(SOLVERS)}")
    on = model.reward_on
    require(on is None or on in REWARD_ON, "reward_on", on, f"one of {', '.join(REWARD_ON)}, or None")
    kind = model.kind_of_reward
    fits = isinstance(kind, nn.Module) or kind in _REWARDS
    require(fits, "reward", kind, f"one of {', '.join(_REWARDS)}, or a torch.nn.Module")
    neural = isinstance(kind, nn.Module) or kind == "network"
    if neural and on == "transitions":
        raise ValueError(
            "a network of transitions is not averaged over the next state; give reward_on='states' or 'actions', or "
            "features of transitions with reward='linear'"
        )
    named = model.optimizer in ("auto", "lbfgs")
    is_class = isinstance(model.optimizer, type) and issubclass(model.optimizer, th.optim.Optimizer)
    require(named or is_class, "optimizer", model.optimizer, "auto, lbfgs, or a class of torch.optim")
    require(not (neural and model.optimizer == "lbfgs"), "optimizer", "lbfgs", "a class of torch.optim for a network")
    needs_closure = is_class and issubclass(model.optimizer, th.optim.LBFGS)  # type: ignore[arg-type]
    expected = "'lbfgs' for tables and linear rewards, torch.optim.Adam or the like for networks"
    require(not needs_closure, "optimizer", "torch.optim.LBFGS", expected)
    for width in model.net_arch:
        require_positive_int("net_arch", width)
    if not model.causal:
        require(model.objective != "dual", "objective", model.objective, "auto or likelihood with causal=False")
        require(not model.state_only, "state_only", model.state_only, "False with causal=False")


def chosen_objective(model: "RewardLearner", expert: ExpertVisits) -> str:
    """Return ``"trajectory"``, ``"dual"`` or ``"likelihood"``.

    :param expert: what the demonstrations say
    """
    if not model.causal:
        return "trajectory"
    if model.objective != "auto":
        return model.objective
    finite = model.mdp.horizon is not None
    return "dual" if finite and expert.is_complete and expert.has_actions else "likelihood"


def chosen_features(model: "RewardLearner", published: Any) -> tuple[Any, str]:
    """Return the features of the reward, None for a table, and what they are of.

    :param published: the features that the environment has, or None
    :raises ValueError: if there are none where they are needed, or some where there is no use for them
    """
    given = model.features
    if model.kind_of_reward == "tabular":
        require(given is None, "features", type(given).__name__, "None for reward='tabular', or another reward")
        return None, model.reward_on or "states"
    if given is not None:
        return given, model.reward_on or "states"
    if model.kind_of_reward == "linear" and published is None:
        raise ValueError("reward='linear' needs features: this environment publishes none; give features=")
    on = "actions" if np.ndim(published) == 3 else "states"
    if published is None or model.reward_on not in (None, on):
        linear = model.kind_of_reward == "linear"
        require(not linear, "reward_on", model.reward_on, f"{on!r}, of which the environment publishes features")
        return None, model.reward_on or "states"
    return published, on


def chosen_penalty(model: "RewardLearner", kind: str, features: Features, expert: ExpertVisits) -> Penalty:
    """Return what keeps the weights small: as it was asked for, or the default prior.

    The likelihood is a mean over steps, in nats; the other objectives are means over episodes, in units of reward.

    :param kind: of objective
    :param features: of the reward
    :param expert: what the demonstrations say
    """
    if model.l2_coef is not None:
        return Penalty(model.l1_coef, model.l2_coef)
    if model.is_neural or expert.n_steps == 0:
        return Penalty(model.l1_coef)
    unit = 1.0 / expert.n_steps if kind == "likelihood" else model.temperature / expert.n_episodes
    if features.matrix is None:
        centre = indifferent_rewards(model.mdp, model.temperature, features.earned.on_states).ravel()
        return Penalty(model.l1_coef, unit / model.temperature**2, centre)
    deviation = _DEVIATION_OF_WEIGHTS * model.temperature
    return Penalty(model.l1_coef, unit * (features.largest / deviation) ** 2)
