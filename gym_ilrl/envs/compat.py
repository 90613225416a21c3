"""What differs between the supported versions of Gymnasium, in one place."""

from enum import Enum
from typing import TYPE_CHECKING, Any

import gymnasium.vector

NATIVE_VECTOR_ENVS = hasattr(gymnasium.vector, "AutoresetMode")
"""Whether ``gymnasium.make_vec`` can use a native vector environment (Gymnasium 1.1 and later)."""

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode as AutoresetMode

    VectorEnv = gymnasium.vector.VectorEnv[Any, Any, Any]
else:
    VectorEnv = gymnasium.vector.VectorEnv  # not generic before Gymnasium 1.0
    if NATIVE_VECTOR_ENVS:
        AutoresetMode = gymnasium.vector.AutoresetMode
    else:

        class AutoresetMode(Enum):
            """Gymnasium's enumeration, so that the modules of the environments can be imported."""

            NEXT_STEP = "NextStep"
            SAME_STEP = "SameStep"
            DISABLED = "Disabled"
