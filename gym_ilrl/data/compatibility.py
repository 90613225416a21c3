"""Whether demonstrations and an environment speak of the same observations and actions."""

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from gym_ilrl.data.checks import in_words

if TYPE_CHECKING:
    from gym_ilrl.data.demonstrations import Demonstrations

_BEYOND_IS_INFINITE = 1e38  # CartPole's velocity bounds are +-3.4e38 in Gymnasium 0.29 and infinite since 1.0


def describe(env: Any) -> dict[str, Any]:
    """Return the observation space, action space and spec of ``env`` by those names.

    :param env: an id, a ``gym.Env``, an SB3 ``VecEnv`` (below ``VecNormalize`` and ``VecTransposeImage``), or the pair
        ``(observation_space, action_space)``
    """
    if isinstance(env, str):
        made = gym.make(env)
        try:
            return describe(made)
        finally:
            made.close()
    if is_vec_env(env):
        from gym_ilrl.data.raw_env import raw_vec_env  # a VecEnv: SB3 is loaded already

        env = raw_vec_env(env)[0]
        return {"observation_space": env.observation_space, "action_space": env.action_space, "spec": vec_env_spec(env)}
    if isinstance(env, gym.Env):
        return {
            "observation_space": env.observation_space,
            "action_space": env.action_space,
            "spec": rebuildable(env.spec),
        }
    if isinstance(env, tuple) and len(env) == 2 and all(isinstance(part, spaces.Space) for part in env):
        return {"observation_space": env[0], "action_space": env[1], "spec": None}
    raise ValueError(
        f"expected an environment id, a gym.Env, an SB3 VecEnv or (observation_space, action_space), not {env!r}"
    )


def is_vec_env(env: Any) -> bool:
    """Tell whether ``env`` is an SB3 ``VecEnv``, without importing SB3."""
    return not isinstance(env, gym.Env) and hasattr(env, "env_method") and hasattr(env, "num_envs")


def vec_env_spec(venv: Any) -> EnvSpec | None:
    """Return the spec of the first sub-environment, or ``None``."""
    try:
        return rebuildable(venv.get_attr("spec", indices=0)[0])
    except AttributeError:  # made by hand, never registered
        return None


def rebuildable(spec: EnvSpec | None) -> EnvSpec | None:
    """Return ``spec`` as ``gymnasium.make`` can rebuild it elsewhere, or ``None`` if JSON cannot hold it.

    SB3's ``Monitor`` does not record its arguments, and whether something is drawn is no property of the data.
    """
    if spec is None:
        return None
    try:
        kept = EnvSpec.from_json(spec.to_json())
    except (TypeError, ValueError):
        return None
    kept.additional_wrappers = tuple(
        wrapper for wrapper in kept.additional_wrappers if not wrapper.entry_point.startswith("stable_baselines3.")
    )
    kept.kwargs.pop("render_mode", None)
    return kept


def check_compatible(demos: "Demonstrations", env: Any) -> None:
    """Raise ``ValueError`` if the spaces of ``env`` are not those of ``demos``."""
    described = describe(env)
    for kind in ("observation", "action"):
        given, wanted = getattr(demos, f"{kind}_space"), described[f"{kind}_space"]
        reason = difference(given, wanted)
        if reason is not None:
            recorded_in = f"; they were recorded in {demos.spec.id}" if demos.spec else ""
            raise ValueError(
                f"the demonstrations do not fit the environment: their {kind} space is {in_words(given)}, the "
                f"environment's is {in_words(wanted)} ({reason}){recorded_in}; use the environment, with the same "
                "wrappers, that they come from"
            )


def check_same_spaces(first: "Demonstrations", second: "Demonstrations") -> None:
    """Raise ``ValueError`` if the two sets cannot be joined."""
    for kind in ("observation", "action"):
        ours, theirs = getattr(first, f"{kind}_space"), getattr(second, f"{kind}_space")
        reason = difference(ours, theirs, transposed=False)
        if reason is not None:
            raise ValueError(
                f"cannot join demonstrations with {kind} spaces {in_words(ours)} and {in_words(theirs)}: {reason}"
            )


def difference(ours: spaces.Space[Any], theirs: spaces.Space[Any], transposed: bool = True) -> str | None:
    """Return what differs between two spaces, or ``None``.

    :param transposed: accept the same image with channels first on one side and last on the other
    """
    if isinstance(ours, spaces.Dict) and isinstance(theirs, spaces.Dict):
        if ours.spaces.keys() != theirs.spaces.keys():
            return f"keys {sorted(ours.spaces)} against {sorted(theirs.spaces)}"
        reasons = {key: difference(part, theirs.spaces[key], transposed) for key, part in ours.spaces.items()}
        return next((f"at {key!r}: {reason}" for key, reason in reasons.items() if reason), None)
    if isinstance(ours, spaces.Box) and isinstance(theirs, spaces.Box):
        return _box_difference(ours, theirs, transposed)
    return None if ours == theirs else f"{type(ours).__name__} against {type(theirs).__name__}, or other sizes"


def _box_difference(ours: spaces.Box, theirs: spaces.Box, transposed: bool) -> str | None:
    low, high = _bounds(theirs)
    image = transposed and ours.dtype == np.uint8 and len(ours.shape) == len(theirs.shape) == 3
    if image and ours.shape != theirs.shape:
        axes = (1, 2, 0) if theirs.shape[0] == ours.shape[-1] else (2, 0, 1)
        low, high = low.transpose(axes), high.transpose(axes)
    if ours.shape != low.shape:
        return f"shape {ours.shape} against {theirs.shape}"
    if np.dtype(ours.dtype).kind != np.dtype(theirs.dtype).kind:
        return f"dtype {ours.dtype} against {theirs.dtype}"
    our_low, our_high = _bounds(ours)
    if not (np.allclose(our_low, low, rtol=1e-5) and np.allclose(our_high, high, rtol=1e-5)):
        return "other bounds"
    return None


def _bounds(space: spaces.Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds, those that nothing finite reaches as infinite."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    return np.where(low < -_BEYOND_IS_INFINITE, -np.inf, low), np.where(high > _BEYOND_IS_INFINITE, np.inf, high)
