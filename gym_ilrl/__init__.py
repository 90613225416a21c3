"""Imitation learning and reward learning as extensions of Stable-Baselines3 and Gymnasium.

Importing the package registers the ``ilrl/`` environments and imports no torch: the public names are loaded when they
are first used (PEP 562).
"""

import importlib
from typing import TYPE_CHECKING, Any

from gym_ilrl.registration import register_envs

if TYPE_CHECKING:
    from gym_ilrl.algorithms.bc import BC as BC
    from gym_ilrl.algorithms.crossq_from_demonstrations import CrossQfD as CrossQfD
    from gym_ilrl.algorithms.dagger import DAgger as DAgger
    from gym_ilrl.algorithms.feature_matching_irl import FeatureMatchingIRL as FeatureMatchingIRL
    from gym_ilrl.algorithms.from_demonstrations import FromDemonstrations as FromDemonstrations
    from gym_ilrl.algorithms.max_ent_irl import MaxEntIRL as MaxEntIRL
    from gym_ilrl.algorithms.off_policy_from_demonstrations import DDPGfD as DDPGfD
    from gym_ilrl.algorithms.off_policy_from_demonstrations import SACfD as SACfD
    from gym_ilrl.algorithms.off_policy_from_demonstrations import TD3fD as TD3fD
    from gym_ilrl.algorithms.off_policy_from_demonstrations import TQCfD as TQCfD
    from gym_ilrl.algorithms.on_policy_from_demonstrations import A2CfD as A2CfD
    from gym_ilrl.algorithms.on_policy_from_demonstrations import MaskablePPOfD as MaskablePPOfD
    from gym_ilrl.algorithms.on_policy_from_demonstrations import PPOfD as PPOfD
    from gym_ilrl.algorithms.on_policy_from_demonstrations import RecurrentPPOfD as RecurrentPPOfD
    from gym_ilrl.algorithms.on_policy_from_demonstrations import TRPOfD as TRPOfD
    from gym_ilrl.algorithms.q_learning_from_demonstrations import DQfD as DQfD
    from gym_ilrl.algorithms.q_learning_from_demonstrations import QRDQNfD as QRDQNfD
    from gym_ilrl.algorithms.reinforce import REINFORCE as REINFORCE
    from gym_ilrl.algorithms.tabular_q_learning import QLearning as QLearning
    from gym_ilrl.algorithms.tabular_q_learning_soft import SoftQLearning as SoftQLearning
    from gym_ilrl.algorithms.value_iteration import SoftValueIteration as SoftValueIteration
    from gym_ilrl.algorithms.value_iteration import ValueIteration as ValueIteration
    from gym_ilrl.data.collect import collect as collect
    from gym_ilrl.data.demonstrations import Demonstrations as Demonstrations
    from gym_ilrl.data.episode import Episode as Episode
    from gym_ilrl.experts.registry import expert as expert
    from gym_ilrl.experts.registry import register_expert as register_expert
    from gym_ilrl.losses.imitation import imitation_loss as imitation_loss
    from gym_ilrl.planning.tabular_mdp import TabularMDP as TabularMDP
    from gym_ilrl.vec_env import make_vec_env as make_vec_env

__version__ = "0.1.0"

_MODULE_OF = {
    "BC": "gym_ilrl.algorithms.bc",
    "DAgger": "gym_ilrl.algorithms.dagger",
    "PPOfD": "gym_ilrl.algorithms.on_policy_from_demonstrations",
    "A2CfD": "gym_ilrl.algorithms.on_policy_from_demonstrations",
    "TRPOfD": "gym_ilrl.algorithms.on_policy_from_demonstrations",
    "RecurrentPPOfD": "gym_ilrl.algorithms.on_policy_from_demonstrations",
    "MaskablePPOfD": "gym_ilrl.algorithms.on_policy_from_demonstrations",
    "SACfD": "gym_ilrl.algorithms.off_policy_from_demonstrations",
    "TD3fD": "gym_ilrl.algorithms.off_policy_from_demonstrations",
    "DDPGfD": "gym_ilrl.algorithms.off_policy_from_demonstrations",
    "TQCfD": "gym_ilrl.algorithms.off_policy_from_demonstrations",
    "CrossQfD": "gym_ilrl.algorithms.crossq_from_demonstrations",
    "DQfD": "gym_ilrl.algorithms.q_learning_from_demonstrations",
    "QRDQNfD": "gym_ilrl.algorithms.q_learning_from_demonstrations",
    "FromDemonstrations": "gym_ilrl.algorithms.from_demonstrations",
    "Demonstrations": "gym_ilrl.data.demonstrations",
    "Episode": "gym_ilrl.data.episode",
    "REINFORCE": "gym_ilrl.algorithms.reinforce",
    "MaxEntIRL": "gym_ilrl.algorithms.max_ent_irl",
    "FeatureMatchingIRL": "gym_ilrl.algorithms.feature_matching_irl",
    "ValueIteration": "gym_ilrl.algorithms.value_iteration",
    "SoftValueIteration": "gym_ilrl.algorithms.value_iteration",
    "QLearning": "gym_ilrl.algorithms.tabular_q_learning",
    "SoftQLearning": "gym_ilrl.algorithms.tabular_q_learning_soft",
    "TabularMDP": "gym_ilrl.planning.tabular_mdp",
    "collect": "gym_ilrl.data.collect",
    "expert": "gym_ilrl.experts.registry",
    "imitation_loss": "gym_ilrl.losses.imitation",
    "make_vec_env": "gym_ilrl.vec_env",
    "register_expert": "gym_ilrl.experts.registry",
}

# a star import takes what every supported sb3-contrib has
__all__ = ["__version__", *(name for name in _MODULE_OF if name != "CrossQfD")]


_PACKAGES = (
    "algorithms",
    "buffers",
    "callbacks",
    "data",
    "envs",
    "experts",
    "interop",
    "irl",
    "losses",
    "planning",
    "plots",
    "policies",
    "rewards",
    "supervised",
    "wrappers",
)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"gym_ilrl.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'gym_ilrl' has no attribute {name!r}; it has {', '.join(sorted(_MODULE_OF))}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF, *_PACKAGES})


register_envs()
