"""The face of :class:`~gym_ilrl.envs.dynamics.Dynamics` as a ``gymnasium.vector.VectorEnv``."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gym_ilrl.envs.compat import NATIVE_VECTOR_ENVS, AutoresetMode, VectorEnv
from gym_ilrl.envs.episodes import Episodes, observation_of_row
from gym_ilrl.envs.single import SingleEnv, check_render_mode

BoolArray = NDArray[np.bool_]
StepReturn = tuple[Any, NDArray[np.float64], BoolArray, BoolArray, dict[str, Any]]


class DynamicsVectorEnv(VectorEnv):
    """Any number of copies of an environment, advanced together by numpy (Gymnasium 1.1 and later).

    Gives exactly what ``gymnasium.vector.SyncVectorEnv`` of the single environments gives: the same numbers for the
    same seeds and actions, the same infos, the same autoreset modes. A subclass names the single environment.

    :param num_envs: number of copies, at least 1
    :param max_episode_steps: episodes are truncated after this many steps; ``None`` or -1: never
    :param autoreset_mode: what happens to a finished episode, see ``gymnasium.vector.AutoresetMode``
    :param render_mode: ``None`` or one of the single environment's ``metadata["render_modes"]``
    :param kwargs: the arguments of the single environment
    :raises ValueError: if ``render_mode`` is another
    :raises RuntimeError: on Gymnasium before 1.1
    """

    env_class: ClassVar[type[SingleEnv]]

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not NATIVE_VECTOR_ENVS:
            raise RuntimeError(
                f"{type(self).__name__} needs Gymnasium 1.1 or later; gym_ilrl.make_vec_env gives the same vectorised "
                "environment to Stable-Baselines3 on every supported version"
            )
        check_render_mode(render_mode, self.env_class.metadata["render_modes"])
        self.dynamics = self.env_class.dynamics_class(num_envs, **kwargs)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.env_class.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.dynamics.observation_space
        self.single_action_space = self.dynamics.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._episodes = Episodes(self.dynamics, max_episode_steps)
        self._finished = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a new episode in every environment, or in those of ``options["reset_mask"]``.

        :param seed: environment ``i`` gets ``seed + i``, or ``seed[i]``
        :param options: handed to the rules, but for ``"reset_mask"``, bool of shape ``(num_envs,)``
        """
        seeds = _seed_list(seed, self.num_envs)
        options = dict(options or {})
        mask = _checked_mask(options.pop("reset_mask", np.ones(self.num_envs, dtype=np.bool_)), self.num_envs)
        rows = np.flatnonzero(mask).tolist()
        self._episodes.reset(rows, [seeds[row] for row in rows], options or None)
        self._finished[mask] = False
        return self.dynamics.observe(), _masked_infos(self.dynamics.info(), mask)

    def step(self, actions: Any) -> StepReturn:
        """Advance every environment by one step; see ``gymnasium.vector.VectorEnv.step``."""
        if self.autoreset_mode == AutoresetMode.DISABLED and self._finished.any():
            raise ValueError(
                f"environments {np.flatnonzero(self._finished).tolist()} have finished; with autoreset_mode 'Disabled' "
                "reset them first: reset(options={'reset_mask': finished})"
            )
        rewards, terminations, truncations = self._episodes.step(actions)
        infos: dict[str, Any] = {}
        if self.autoreset_mode == AutoresetMode.NEXT_STEP:
            started = self._finished  # these start a new episode instead of taking a step
            self._episodes.reset(np.flatnonzero(started).tolist())
            rewards[started], terminations[started], truncations[started] = 0.0, False, False
        self._finished = terminations | truncations
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._finished.any():
            infos = self._final_infos(self._finished)
            self._episodes.reset(np.flatnonzero(self._finished).tolist())
        infos.update(_masked_infos(self.dynamics.info(), np.ones(self.num_envs, dtype=np.bool_)))
        return self.dynamics.observe(), rewards, terminations, truncations, infos

    def render(self) -> tuple[Any, ...] | None:
        """Draw every environment in the ``render_mode`` given at construction."""
        if self.render_mode is None:
            return None
        return tuple(self.dynamics.render(row, self.render_mode) for row in range(self.num_envs))

    def _final_infos(self, finished: BoolArray) -> dict[str, Any]:
        observations = self.dynamics.observe()
        final = np.full(self.num_envs, fill_value=None, dtype=object)
        for row in np.flatnonzero(finished).tolist():
            final[row] = observation_of_row(observations, row)
        infos: dict[str, Any] = {"final_obs": final, "_final_obs": finished.copy()}
        infos["final_info"] = _masked_infos(self.dynamics.info(), finished)
        infos["_final_info"] = finished.copy()
        return infos


def _seed_list(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, int | np.integer):
        return [int(seed) + i for i in range(num_envs)]
    if not isinstance(seed, Sequence | np.ndarray) or len(seed) != num_envs:
        raise ValueError(f"expected one seed, or a list of {num_envs} of them, and was given {seed!r}")
    return [int(one) if isinstance(one, np.integer) else one for one in seed]


def _checked_mask(mask: Any, num_envs: int) -> BoolArray:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"options['reset_mask'] must be a bool array of shape ({num_envs},) with at least one True, "
            f"and was {mask!r}"
        )
    return mask


def _masked_infos(infos: dict[str, NDArray[Any]], mask: BoolArray) -> dict[str, Any]:
    """Pair every array with the mask of the environments it speaks about, as ``VectorEnv._add_info`` does."""
    masked: dict[str, Any] = {}
    for key, value in infos.items():
        value[~mask] = 0
        masked[key], masked[f"_{key}"] = value, mask.copy()
    return masked
