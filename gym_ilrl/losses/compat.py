"""Differences between the supported versions of sb3-contrib."""

from typing import Any

try:
    from sb3_contrib.crossq.policies import CrossQPolicy
except ImportError:  # before sb3-contrib 2.4
    CROSSQ_POLICIES: tuple[type[Any], ...] = ()
else:
    CROSSQ_POLICIES = (CrossQPolicy,)
