"""Find the expert of an environment, and make experts known."""

import difflib
import importlib
from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, find_highest_version, get_env_id, parse_env_id

from gym_ilrl.experts.base import Expert, PolicyPredictor, PrivilegedExpert
from gym_ilrl.experts.standard import check_unchanged, no_spec, single_environment

ExpertFactory = Callable[[gym.Env[Any, Any]], PolicyPredictor]

# Environment id, or its name without the version for all versions -> factory, or "module:attribute" of one. The MuJoCo
# ids carry their version: observations changed from v4 to v5.
_FACTORIES: dict[str, ExpertFactory | str] = {
    "CartPole": "gym_ilrl.experts.cart_pole:CartPoleExpert",
    "Acrobot": "gym_ilrl.experts.acrobot:AcrobotExpert",
    "Pendulum": "gym_ilrl.experts.pendulum:PendulumExpert",
    "MountainCar": "gym_ilrl.experts.mountain_car:MountainCarExpert",
    "MountainCarContinuous": "gym_ilrl.experts.mountain_car:MountainCarContinuousExpert",
    "LunarLander": "gym_ilrl.experts.lunar_lander:LunarLanderExpert",
    "LunarLanderContinuous": "gym_ilrl.experts.lunar_lander:LunarLanderExpert",
    "FrozenLake": "gym_ilrl.experts.toy_text:PlannedExpert",
    "FrozenLake8x8": "gym_ilrl.experts.toy_text:PlannedExpert",
    "Taxi": "gym_ilrl.experts.toy_text:PlannedExpert",
    "CliffWalking": "gym_ilrl.experts.toy_text:PlannedExpert",
    "CliffWalkingSlippery": "gym_ilrl.experts.toy_text:PlannedExpert",
    "Blackjack": "gym_ilrl.experts.blackjack:BlackjackExpert",
    "InvertedPendulum-v4": "gym_ilrl.experts.inverted_pendulum:BalancingExpert",
    "InvertedPendulum-v5": "gym_ilrl.experts.inverted_pendulum:BalancingExpert",
    "InvertedDoublePendulum-v4": "gym_ilrl.experts.inverted_pendulum:BalancingExpert",
    "InvertedDoublePendulum-v5": "gym_ilrl.experts.inverted_pendulum:BalancingExpert",
    "Reacher-v4": "gym_ilrl.experts.reacher:ReacherExpert",
    "Reacher-v5": "gym_ilrl.experts.reacher:ReacherExpert",
    "ilrl/LaneKeeping": "gym_ilrl.experts.lane_keeping:LaneKeepingExpert",
    "ilrl/Tightrope": "gym_ilrl.experts.tightrope:TightropeExpert",
    "ilrl/GridMaze": "gym_ilrl.experts.grid_maze:GridMazeExpert",
    "ilrl/SparsePointMaze": "gym_ilrl.experts.sparse_point_maze:SparsePointMazeExpert",
    "ilrl/RoadNetwork": "gym_ilrl.experts.road_network:RoadNetworkExpert",
    "ilrl/ObjectWorld": "gym_ilrl.experts.tabular:TabularExpert",
    "ilrl/BinaryWorld": "gym_ilrl.experts.tabular:TabularExpert",
    "ilrl/RiskyPath": "gym_ilrl.experts.tabular:TabularExpert",
}


def expert(env: str | gym.Env[Any, Any] | Any, **env_kwargs: Any) -> PolicyPredictor:
    """Return the expert of an environment: an object with SB3's ``predict``.

    An expert that needs the true state of its environment is bound to the environment given here; from an id it comes
    unbound, and :func:`gym_ilrl.collect` and :class:`gym_ilrl.DAgger` bind it to theirs. Experts read raw observations:
    under SB3's ``VecNormalize``, give them ``get_original_obs()``.

    :param env: an id (``"Taxi"`` means the newest registered version), a ``gym.Env``, or an SB3 ``VecEnv``
    :param env_kwargs: for ``gym.make``, with an id
    :raises LookupError: if no expert is known for this environment
    :raises TypeError: if ``env`` is none of the three, or ``env_kwargs`` come with an environment
    :raises ValueError: if a wrapper changes observations or actions that the expert reads or gives
    :return: the expert
    """
    if isinstance(env, str):
        return _expert_of_id(env, env_kwargs)
    if env_kwargs:
        raise TypeError(
            f"keyword arguments ({', '.join(env_kwargs)}) make an environment from an id, and expert() was given an "
            "environment; leave them out"
        )
    if isinstance(env, gym.Env) and not isinstance(env, gym.vector.VectorEnv):
        return _bound(_made(find_factory(_spec_id(env.spec, env)), env), env)
    if hasattr(env, "env_is_wrapped"):
        return _expert_of_vec_env(env)
    raise TypeError(
        f"expert() takes an environment id, a gymnasium.Env or a Stable-Baselines3 VecEnv, and was given "
        f"{type(env).__name__}"
    )


def register_expert(name: str, factory: ExpertFactory | str) -> None:
    """Make an expert known to :func:`expert`; a later one for the same name replaces it.

    :param name: of the environment, with its version (``"Hopper-v5"``) or without, for all versions (``"Hopper"``)
    :param factory: called with the environment, returns the expert (anything with SB3's ``predict``); or
        ``"module:attribute"`` of such a callable, imported when it is first asked for
    :raises TypeError: if the factory is neither callable nor such a string
    """
    if not (callable(factory) or (isinstance(factory, str) and factory.count(":") == 1)):
        raise TypeError(f"the factory must be a callable or 'module:attribute', not {factory!r}")
    _FACTORIES[name.rpartition(":")[2]] = factory


def registered_experts() -> tuple[str, ...]:
    """Return the names of all environments that have an expert, with or without version as they were registered."""
    return tuple(_FACTORIES)


def find_factory(env_id: str) -> ExpertFactory:
    """Return the factory for an environment id: the one of this version, or else the one of all versions.

    :raises LookupError: if there is none
    """
    namespace, name, _ = parse_env_id(env_id)
    factory = _FACTORIES.get(env_id) or _FACTORIES.get(get_env_id(namespace, name, None))
    if factory is None:
        near = ", ".join(difflib.get_close_matches(env_id, _FACTORIES, n=3))
        meant = next((known for known in gym.registry if known.lower() == env_id.lower() and known != env_id), None)
        raise LookupError(
            f"no expert is known for {env_id!r}{f' (did you mean {meant!r}?)' if meant else ''}"
            f"{f' (but for {near})' if near and not meant else ''}: bring any object with "
            "Stable-Baselines3's predict(), such as a trained model, or make yours known with "
            f"gym_ilrl.register_expert({get_env_id(namespace, name, None)!r}, factory)"
        )
    if isinstance(factory, str):
        module, _, attribute = factory.partition(":")
        loaded: ExpertFactory = getattr(importlib.import_module(module), attribute)
        return loaded
    return factory


def newest_version(name: str) -> str:
    """Return the id of the newest registered version of an unversioned name, and an id as it is."""
    namespace, bare_name, version = parse_env_id(name)
    return get_env_id(namespace, bare_name, find_highest_version(namespace, bare_name) if version is None else version)


def _expert_of_id(env_id: str, env_kwargs: dict[str, Any]) -> PolicyPredictor:
    module, _, plain_id = env_id.rpartition(":")
    if module:  # "module:id" registers its environments on import
        importlib.import_module(module)
    env_id = newest_version(plain_id)
    factory = find_factory(env_id)
    return _closing(gym.make(env_id, **env_kwargs), factory)


def _expert_of_vec_env(venv: Any) -> PolicyPredictor:
    with single_environment(venv) as env:
        found = _made(find_factory(_spec_id(env.spec, env)), env)
    if isinstance(found, Expert) and not isinstance(found, PrivilegedExpert):
        check_unchanged(found, venv)
    return _bound(found, venv)


def _closing(env: gym.Env[Any, Any], factory: ExpertFactory) -> PolicyPredictor:
    try:
        return _made(factory, env)
    finally:
        env.close()


def _made(factory: ExpertFactory, env: gym.Env[Any, Any]) -> PolicyPredictor:
    try:
        found: Any = factory(env)
    except TypeError as error:
        raise TypeError(
            f"{error}; an expert's factory is called with the environment and must return something with predict()"
        ) from error
    if not hasattr(found, "predict"):
        raise TypeError(
            f"an expert's factory is called with the environment and must return something with predict(), and this "
            f"one returned {type(found).__name__}; to register a policy, register a function that returns it"
        )
    return cast(PolicyPredictor, found)


def _bound(found: PolicyPredictor, env: Any) -> PolicyPredictor:
    return found.bind(env) if isinstance(found, PrivilegedExpert) else found


def _spec_id(spec: EnvSpec | None, env: Any) -> str:
    if spec is None:
        raise LookupError(no_spec(env))
    return spec.id
