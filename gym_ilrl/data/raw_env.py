"""What an SB3 ``VecEnv`` gives below the wrappers by which SB3 prepares observations for a policy."""

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

_PREPARES = (VecNormalize, VecTransposeImage)
_CHANGES_NOTHING = (VecMonitor, VecCheckNan)


def raw_vec_env(venv: VecEnv) -> tuple[VecEnv, Callable[[Any], Any]]:
    """Return the ``VecEnv`` below ``VecNormalize`` and ``VecTransposeImage``, and what they do to observations.

    Stepping the inner one gives the environment's own observations and rewards, final observations included, exactly,
    and leaves the running statistics of ``VecNormalize`` as they are.

    :param venv: any SB3 ``VecEnv``
    :return: the inner ``VecEnv``, and a function from its observations to those of ``venv``
    :raises ValueError: if another wrapper that changes observations lies above a ``VecNormalize``
    """
    above: list[VecEnvWrapper] = []
    stripped: list[VecEnvWrapper] = []
    inner = venv
    while isinstance(inner, VecEnvWrapper):
        above.append(inner)
        if isinstance(inner, _PREPARES):
            stripped = list(above)
        inner = inner.venv
    for wrapper in stripped:
        if not isinstance(wrapper, _PREPARES + _CHANGES_NOTHING):
            raise ValueError(
                f"{type(wrapper).__name__} lies above VecNormalize or VecTransposeImage, so the environment's own "
                "observations cannot be told; put VecNormalize and VecTransposeImage outermost"
            )
    prepare = [_prepared(wrapper) for wrapper in reversed(stripped) if isinstance(wrapper, _PREPARES)]

    def to_policy(observations: Any) -> Any:
        for function in prepare:
            observations = function(observations)
        return observations

    return (stripped[-1].venv if stripped else venv), to_policy


def _prepared(wrapper: VecEnvWrapper) -> Callable[[Any], Any]:
    if isinstance(wrapper, VecNormalize):
        return wrapper.normalize_obs
    assert isinstance(wrapper, VecTransposeImage)  # for the type checker: one of _PREPARES
    return wrapper.transpose_observations
