"""Imitation learning and reward learning as extensions of Stable-Baselines3 and Gymnasium.

Importing the package registers the ``ilrl/`` environments and imports no torch: the public names are loaded when they
are first used (PEP 562).
"""

import importlib
from typing import TYPE_CHECKING, Any

from gym_ilrl.registration import register_envs

if TYPE_CHECKING:
    from gym_ilrl.algorithms.bc import BC as BC
    from gym_ilrl.algorithms.dagger import DAgger as DAgger
    from gym_ilrl.data.collect import collect as collect
    from gym_ilrl.data.demonstrations import Demonstrations as Demonstrations
    from gym_ilrl.data.episode import Episode as Episode
    from gym_ilrl.experts.registry import expert as expert
    from gym_ilrl.experts.registry import register_expert as register_expert
    from gym_ilrl.losses.imitation import imitation_loss as imitation_loss
    from gym_ilrl.vec_env import make_vec_env as make_vec_env

__version__ = "0.1.0"

_MODULE_OF = {
    "BC": "gym_ilrl.algorithms.bc",
    "DAgger": "gym_ilrl.algorithms.dagger",
    "Demonstrations": "gym_ilrl.data.demonstrations",
    "Episode": "gym_ilrl.data.episode",
    "collect": "gym_ilrl.data.collect",
    "expert": "gym_ilrl.experts.registry",
    "imitation_loss": "gym_ilrl.losses.imitation",
    "make_vec_env": "gym_ilrl.vec_env",
    "register_expert": "gym_ilrl.experts.registry",
}

__all__ = ["__version__", *_MODULE_OF]


_PACKAGES = (
    "algorithms",
    "buffers",
    "callbacks",
    "data",
    "envs",
    "experts",
    "interop",
    "losses",
    "policies",
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
