"""The extensions as callbacks for unmodified SB3 and sb3-contrib algorithms, one idea a file."""

from gym_ilrl.callbacks.critic_warmup import CriticWarmup
from gym_ilrl.callbacks.gradient import GradientCallback
from gym_ilrl.callbacks.hybrid_objective import HybridObjective
from gym_ilrl.callbacks.jump_start import JumpStart
from gym_ilrl.callbacks.kl_anchor import KLAnchor
from gym_ilrl.callbacks.pretrain import Pretrain

__all__ = ["CriticWarmup", "GradientCallback", "HybridObjective", "JumpStart", "KLAnchor", "Pretrain"]
