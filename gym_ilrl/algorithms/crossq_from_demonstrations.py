"""CrossQ from demonstrations: in a module of its own, because sb3-contrib has CrossQ only since 2.4."""

from typing import Any, ClassVar

try:
    from sb3_contrib import CrossQ
except ImportError as error:
    raise ImportError("CrossQfD needs sb3-contrib >= 2.4, which has CrossQ: pip install -U sb3-contrib") from error

from gym_ilrl.algorithms.from_demonstrations import FromDemonstrations
from gym_ilrl.algorithms.off_policy_from_demonstrations import SMALL_ENTROPY


class CrossQfD(FromDemonstrations, CrossQ):
    """CrossQ from demonstrations; see :class:`~gym_ilrl.algorithms.from_demonstrations.FromDemonstrations`.

    The entropy coefficient begins at 0.01, as in :class:`~gym_ilrl.SACfD`.
    """

    host_defaults: ClassVar[dict[str, Any]] = SMALL_ENTROPY
