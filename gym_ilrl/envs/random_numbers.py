"""Counter-based random numbers: a pure function of a key and a clock, for all rows at once.

SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 4) read as a
function of its counter, as in Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)


def draw_key(generator: np.random.Generator) -> np.uint64:
    """Draw the key of one episode."""
    key: np.uint64 = generator.integers(0, 2**64, dtype=np.uint64)
    return key


def uniform(keys: NDArray[np.uint64], clock: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return one number in ``[0, 1)`` for every (key, clock) pair.

    :param keys: of shape ``(n,)``, one for each row
    :param clock: broadcastable against ``keys``, e.g. ``(n,)``; which number of the row's sequence
    :return: of the broadcast shape, float64
    """
    z = keys + (clock.astype(np.uint64) + np.uint64(1)) * _GOLDEN
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    z ^= z >> _S31
    return np.asarray((z >> _S11) * 2.0**-53)
