"""Registration of the ``ilrl/`` environments; imports nothing but Gymnasium."""

from typing import Any

from gymnasium.envs.registration import register, registry

# id -> (module, class prefix, max_episode_steps); the single environment is <prefix>Env, its vectorised twin <prefix>VectorEnv
_ENVIRONMENTS: dict[str, tuple[str, str, int]] = {
    "ilrl/LaneKeeping-v0": ("gym_ilrl.envs.lane_keeping", "LaneKeeping", 600),
}


def register_envs() -> None:
    """Register every ``ilrl/`` environment once; calling it again changes nothing."""
    for env_id, (module, prefix, max_episode_steps) in _ENVIRONMENTS.items():
        if env_id in registry:
            continue
        kwargs: dict[str, Any] = {"entry_point": f"{module}:{prefix}Env", "max_episode_steps": max_episode_steps}
        register(id=env_id, **kwargs)
