"""Gymnasium wrappers around demonstrations and experts.

This folder *is* the package ``gym_ilrl.wrappers``.
"""

if __name__ != "gym_ilrl.wrappers":  # the same folder under two names would be two packages with two class identities
    raise ImportError("import gym_ilrl.wrappers, not wrappers")

from gym_ilrl.wrappers.demo_reset import DemoReset
from gym_ilrl.wrappers.learned_reward import LearnedReward
from gym_ilrl.wrappers.record_demonstrations import RecordDemonstrations
from gym_ilrl.wrappers.record_state import RecordState
from gym_ilrl.wrappers.tuple_to_multi_discrete import TupleToMultiDiscrete

__all__ = ["DemoReset", "LearnedReward", "RecordDemonstrations", "RecordState", "TupleToMultiDiscrete"]
