"""The face of :class:`~gym_ilrl.envs.dynamics.Dynamics` as a Stable-Baselines3 ``VecEnv``, and ``make_vec_env``."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator, registry
from numpy.typing import NDArray
from stable_baselines3.common import env_util
from stable_baselines3.common.vec_env import VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from gym_ilrl.envs.episodes import Episodes, info_of_row, observation_of_row
from gym_ilrl.envs.single import SingleEnv


class DynamicsVecEnv(VecEnv):
    """Any number of copies of an ``ilrl/`` environment as SB3's ``VecEnv``, advanced together by numpy.

    Gives exactly what ``DummyVecEnv`` of the single environments gives, without their Python loop. The rules of the
    copies are shared: :meth:`env_method` and :meth:`get_attr` answer for each of them, stepping or resetting one alone
    and changing its rules by :meth:`set_attr` are refused.

    :param env_id: a registered id or an ``EnvSpec`` of an environment that is a
        :class:`~gym_ilrl.envs.single.SingleEnv`
    :param n_envs: number of copies, at least 1
    :param render_mode: ``None`` or one of the environment's ``metadata["render_modes"]``
    :param max_episode_steps: episodes are truncated after this many steps; ``None``: as registered; -1: never
    :param env_kwargs: the arguments of the environment
    :raises ValueError: if the environment has no vectorised form
    """

    def __init__(
        self,
        env_id: str | EnvSpec,
        n_envs: int = 1,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **env_kwargs: Any,
    ) -> None:
        spec = _find_spec(env_id)
        env_class = None if spec is None else _single_env_class(spec)
        if spec is None or env_class is None:
            raise ValueError(
                f"{env_id!r} has no vectorised form; gym_ilrl.make_vec_env makes it with SB3's DummyVecEnv"
            )
        self.spec = deepcopy(spec)
        self.spec.kwargs = {**self.spec.kwargs, **env_kwargs}
        self.dynamics = env_class.dynamics_class(n_envs, **_without_render_mode(self.spec.kwargs))
        if max_episode_steps is not None:
            self.spec.max_episode_steps = None if max_episode_steps == -1 else max_episode_steps
        if render_mode is not None:
            self.spec.kwargs["render_mode"] = render_mode
        self._episodes = Episodes(self.dynamics, self.spec.max_episode_steps)
        self.envs = [env_class.view(self.dynamics, row, self.spec.kwargs.get("render_mode")) for row in range(n_envs)]
        for env in self.envs:
            env.spec = self.spec
        self._shared_names = {*dir(self.envs[0]), *dir(self.dynamics)}
        self._actions: NDArray[Any] | None = None
        super().__init__(n_envs, self.dynamics.observation_space, self.dynamics.action_space)
        self.metadata = env_class.metadata

    def reset(self) -> VecEnvObs:
        """Start a new episode in every environment, with the seeds and options set for it."""
        rows = range(self.num_envs)
        if any(self._options):
            for row in rows:
                self._episodes.reset([row], [self._seeds[row]], self._options[row] or None)
        else:
            self._episodes.reset(rows, self._seeds)
        self.reset_infos = _info_dicts(self.dynamics.info(), self.num_envs)
        self._reset_seeds()
        self._reset_options()
        observations: VecEnvObs = self.dynamics.observe()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Advance every environment by one step; finished ones start a new episode at once."""
        rewards, terminations, truncations = self._episodes.step(self._actions)
        dones = terminations | truncations
        infos = _info_dicts({**self.dynamics.info(), "TimeLimit.truncated": truncations & ~terminations}, self.num_envs)
        observations = self.dynamics.observe()
        if dones.any():
            rows = np.flatnonzero(dones).tolist()
            for row in rows:
                infos[row]["terminal_observation"] = observation_of_row(observations, row)
            self._episodes.reset(rows)
            reset_infos, observations = self.dynamics.info(), self.dynamics.observe()
            for row in rows:
                self.reset_infos[row] = info_of_row(reset_infos, row)
        return observations, rewards.astype(np.float32), dones, infos

    def privileged_states(self) -> NDArray[np.float64]:
        """Return what the learner does not observe but the expert may, of shape ``(num_envs, k)``.

        :raises AttributeError: if the expert of this environment needs the observation only
        """
        return self.dynamics.privileged_state()

    def close(self) -> None:
        """Nothing is held open."""

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Draw every environment."""
        return [env.render() for env in self.envs]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment (see base class)."""
        return [getattr(env, attr_name) for env in self._targets(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set a new attribute on each environment (see base class).

        :raises ValueError: if the attribute belongs to the rules, which all environments share
        """
        if attr_name in self._shared_names:
            raise ValueError(
                f"{attr_name!r} cannot be set for single environments, whose rules are shared; give it to "
                "make_vec_env as env_kwargs, or ask for vec_env_cls=DummyVecEnv"
            )
        for env in self._targets(indices):
            setattr(env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of each environment (see base class)."""
        return [getattr(env, method_name)(*method_args, **method_kwargs) for env in self._targets(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Tell that no environment is wrapped."""
        return [False for _ in self._targets(indices)]

    def _targets(self, indices: VecEnvIndices) -> list[SingleEnv]:
        rows: Iterable[int] = self._get_indices(indices)
        return [self.envs[row] for row in rows]


def make_vec_env(
    env_id: str | EnvSpec | Callable[..., gym.Env[Any, Any]],
    n_envs: int = 1,
    seed: int | None = None,
    start_index: int = 0,
    monitor_dir: str | None = None,
    wrapper_class: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]] | None = None,
    env_kwargs: dict[str, Any] | None = None,
    vec_env_cls: type[Any] | None = None,
    vec_env_kwargs: dict[str, Any] | None = None,
    monitor_kwargs: dict[str, Any] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> VecEnv:
    """Make a monitored ``VecEnv``, as SB3's ``make_vec_env`` does, natively vectorised where there is such a form.

    An ``ilrl/`` environment becomes a :class:`DynamicsVecEnv` in a ``VecMonitor``, unless wrappers, another ``VecEnv``
    class or monitor files are asked for. Everything else is made by SB3.

    :param env_id: as for SB3 (an id, with ``"gym_ilrl:"`` before it or not, or a callable), or an ``EnvSpec``
    :param n_envs: number of environments
    :param seed: environment ``i`` is seeded with ``seed + i`` at its first reset
    :param start_index: see SB3
    :param monitor_dir: see SB3; asks for SB3's own
    :param wrapper_class: see SB3; asks for SB3's own
    :param env_kwargs: arguments of the environment
    :param vec_env_cls: see SB3; asks for SB3's own
    :param vec_env_kwargs: see SB3; asks for SB3's own
    :param monitor_kwargs: see SB3; asks for SB3's own
    :param wrapper_kwargs: see SB3
    :return: the environments
    """
    kwargs = {"render_mode": "rgb_array", **(env_kwargs or {})}
    plain = not (monitor_dir or wrapper_class or vec_env_cls or vec_env_kwargs or monitor_kwargs)
    if plain and _has_native_form(env_id, kwargs):
        venv = DynamicsVecEnv(env_id, n_envs, **kwargs)  # type: ignore[arg-type]  # a spec or an id: it has a form
        if seed is not None:
            venv.action_space.seed(seed + start_index)
        venv.seed(seed)
        return VecMonitor(venv)
    return env_util.make_vec_env(
        partial(gym.make, env_id) if isinstance(env_id, EnvSpec) else env_id,
        n_envs=n_envs,
        seed=seed,
        start_index=start_index,
        monitor_dir=monitor_dir,
        wrapper_class=wrapper_class,
        env_kwargs=env_kwargs,
        vec_env_cls=vec_env_cls,
        vec_env_kwargs=vec_env_kwargs,
        monitor_kwargs=monitor_kwargs,
        wrapper_kwargs=wrapper_kwargs,
    )


def _find_spec(env_id: Any) -> EnvSpec | None:
    if isinstance(env_id, EnvSpec):
        return env_id
    return registry.get(env_id.removeprefix("gym_ilrl:")) if isinstance(env_id, str) else None


def _single_env_class(spec: EnvSpec) -> type[SingleEnv] | None:
    if spec.entry_point is None or spec.additional_wrappers:
        return None
    creator: Any = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    return creator if isinstance(creator, type) and issubclass(creator, SingleEnv) else None


def _has_native_form(env_id: Any, kwargs: dict[str, Any]) -> bool:
    spec = _find_spec(env_id)
    env_class = None if spec is None else _single_env_class(spec)
    # gym.make adds a window around environments that cannot open one; it also takes arguments of its own
    asks_gym_make = {"disable_env_checker", "autoreset", "apply_api_compatibility"} & kwargs.keys()
    return (
        env_class is not None
        and kwargs["render_mode"] in (None, *env_class.metadata["render_modes"])
        and not asks_gym_make
    )


def _without_render_mode(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key != "render_mode"}


def _info_dicts(infos: dict[str, NDArray[Any]], num_envs: int) -> list[dict[str, Any]]:
    """Turn columns into one dict a row: Python numbers for scalars, arrays for the rest."""
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, column in infos.items():  # key by key: several times faster than row by row
        for row, value in zip(rows, column.tolist() if column.ndim == 1 else column, strict=True):
            row[key] = value
    return rows
