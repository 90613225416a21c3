"""The steps that callbacks see of an algorithm that executes nothing in the environment."""

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback


class Ticks:
    """Counts updates, and shows them to callbacks in ticks of ``n_envs``, as if each were a step of the environment.

    Progress bars, ``eval_freq`` and ``save_freq`` keep their meaning.

    :param model: the algorithm; has ``dump_logs()`` and ``converged``
    :param callback: of its ``learn()``
    :param total_timesteps: number of updates at most, those before this ``learn()`` included
    :param log_interval: ticks between two log entries, or None: no log
    """

    def __init__(
        self, model: BaseAlgorithm, callback: BaseCallback, total_timesteps: int, log_interval: int | None
    ) -> None:
        self._model, self._callback = model, callback
        self._total, self._log_interval = total_timesteps, log_interval
        self._n_ticks, self._n_in_tick = 0, 0
        self._stopped, self._is_logged = False, True
        # what callbacks look for in locals(), although no environment moves
        n = model.n_envs
        self._locals: dict[str, Any] = {
            "self": model,
            "callback": callback,
            "total_timesteps": total_timesteps,
            "new_obs": model._last_obs,
            "infos": [{} for _ in range(n)],
            "rewards": np.zeros(n),
            "dones": np.zeros(n, dtype=bool),
        }
        self._begin()

    @property
    def go_on(self) -> bool:
        """Whether another update is wanted."""
        left = self._total - self._model.num_timesteps - self._n_in_tick
        return not self._stopped and not self._model.converged and left > 0  # type: ignore[attr-defined]

    def update(self) -> bool:
        """Count an update that was made, and tell whether another one is wanted."""
        self._model._n_updates += 1
        self._n_in_tick += 1
        if self._n_in_tick < self._model.n_envs and self.go_on:
            return True
        self._model.num_timesteps += self._model.n_envs
        self._n_in_tick = 0
        self._n_ticks += 1
        self._is_logged = self._log_interval is None
        self._callback.update_locals(self._locals)
        if not self._callback.on_step():
            self._stopped = True
            return False
        self._callback.on_rollout_end()
        if self._log_interval is not None and self._n_ticks % self._log_interval == 0:
            self._model.dump_logs()
            self._is_logged = True
        if self.go_on:
            self._begin()
        return self.go_on

    def finish(self) -> None:
        """Log what has not been logged."""
        if not self._is_logged:
            self._model.dump_logs()

    def _begin(self) -> None:
        if self._total > self._model.num_timesteps:
            self._callback.on_rollout_start()
            self._model._update_current_progress_remaining(self._model.num_timesteps, self._total)
