"""Registration of the ``ilrl/`` environments; imports nothing but Gymnasium."""

from typing import Any

from gymnasium.envs.registration import register, registry

from gym_ilrl.envs.compat import NATIVE_VECTOR_ENVS

# id -> (module, class prefix, max_episode_steps): the single environment is <prefix>Env, its vectorised twin
# <prefix>VectorEnv; None where the rules end every episode themselves
_ENVIRONMENTS: dict[str, tuple[str, str, int | None]] = {
    "ilrl/LaneKeeping-v0": ("gym_ilrl.envs.lane_keeping", "LaneKeeping", 600),
    "ilrl/Tightrope-v0": ("gym_ilrl.envs.tightrope", "Tightrope", None),
    "ilrl/GridMaze-v0": ("gym_ilrl.envs.grid_maze", "GridMaze", 200),
    "ilrl/SparsePointMaze-v0": ("gym_ilrl.envs.sparse_point_maze", "SparsePointMaze", 250),
    "ilrl/RoadNetwork-v0": ("gym_ilrl.envs.road_network", "RoadNetwork", 200),
    "ilrl/ObjectWorld-v0": ("gym_ilrl.envs.object_world", "ObjectWorld", 50),
    "ilrl/BinaryWorld-v0": ("gym_ilrl.envs.binary_world", "BinaryWorld", 50),
    "ilrl/RiskyPath-v0": ("gym_ilrl.envs.risky_path", "RiskyPath", 2),
}


def register_envs() -> None:
    """Register every ``ilrl/`` environment once; calling it again changes nothing."""
    for env_id, (module, prefix, max_episode_steps) in _ENVIRONMENTS.items():
        if env_id in registry:
            continue
        kwargs: dict[str, Any] = {"entry_point": f"{module}:{prefix}Env", "max_episode_steps": max_episode_steps}
        if NATIVE_VECTOR_ENVS:
            kwargs["vector_entry_point"] = f"{module}:{prefix}VectorEnv"
        register(id=env_id, **kwargs)
