"""The drop-in algorithms."""

from gym_ilrl.algorithms.bc import BC
from gym_ilrl.algorithms.beta_schedules import ExponentialBetaSchedule, IndicatorBetaSchedule, LinearBetaSchedule
from gym_ilrl.algorithms.dagger import DAgger

__all__ = ["BC", "DAgger", "ExponentialBetaSchedule", "IndicatorBetaSchedule", "LinearBetaSchedule"]
