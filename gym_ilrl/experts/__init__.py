"""Experts: scripted and planned policies with Stable-Baselines3's ``predict``."""

from gym_ilrl.experts.base import Expert, PolicyPredictor, PrivilegedExpert
from gym_ilrl.experts.registry import expert, register_expert, registered_experts

__all__ = ["Expert", "PolicyPredictor", "PrivilegedExpert", "expert", "register_expert", "registered_experts"]
