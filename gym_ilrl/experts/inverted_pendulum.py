"""InvertedPendulum and InvertedDoublePendulum: linear-quadratic regulators of the linearised MuJoCo model."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_are

from gym_ilrl.experts.standard import StandardExpert

Array = NDArray[np.float64]
_STEP = 1e-6  # of the finite differences


class BalancingExpert(StandardExpert):
    """Balances by ``u = -K x``, with ``K`` from the algebraic Riccati equation with identity weights.

    The linear model is that of one environment step, by central differences at the upright rest; the environment
    itself is not stepped (B. D. O. Anderson and J. B. Moore, "Optimal Control: Linear Quadratic Methods", 1990).

    :param env: ``InvertedPendulum-v4`` or ``-v5``, or ``InvertedDoublePendulum-v4`` or ``-v5``
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        simulation: Any = env.unwrapped
        self.gains = regulator_gains(*linearised(simulation.model, simulation.frame_skip))
        self._states = _CONFIGURATION[simulation.model.nv]

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return forces of shape ``(n, 1)``."""
        return self.bounded(-self._states(observations) @ self.gains.T)


def _of_one_link(observations: NDArray[Any]) -> Array:
    return observations  # cart position, angle, and their velocities


def _of_two_links(observations: NDArray[Any]) -> Array:
    # cart position, two sines, two cosines, three velocities; v4 has three constraint forces behind them and v5 one
    angles = np.arctan2(observations[:, 1:3], observations[:, 3:5])
    return np.concatenate([observations[:, :1], angles, observations[:, 5:8]], axis=1)


_CONFIGURATION: dict[int, Callable[[NDArray[Any]], Array]] = {2: _of_one_link, 3: _of_two_links}


def linearised(model: Any, n_substeps: int) -> tuple[Array, Array]:
    """Return ``A, B`` of ``x' = A x + B u + c`` for one environment step around the state and control zero.

    The drift ``c`` is small (the pole of InvertedPendulum leans by 1/600) and left out.

    :param model: a ``mujoco.MjModel``; only read
    :param n_substeps: MuJoCo steps in one environment step
    :return: of shapes ``(2 nv, 2 nv)`` and ``(2 nv, nu)``
    """
    import mujoco

    data = mujoco.MjData(model)
    n_states = model.nq + model.nv

    def step(point: Array) -> Array:
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:], data.ctrl[:] = np.split(point, [model.nq, n_states])
        for _ in range(n_substeps):
            mujoco.mj_step(model, data)
        return np.concatenate([data.qpos, data.qvel])

    directions = _STEP * np.eye(n_states + model.nu)
    jacobian = np.stack([(step(d) - step(-d)) / (2 * _STEP) for d in directions], axis=1)
    return jacobian[:, :n_states], jacobian[:, n_states:]


def regulator_gains(a: Array, b: Array) -> Array:
    """Return the ``K`` that minimises ``sum x'x + u'u`` under ``x' = a x + b u`` and ``u = -K x``."""
    cost = solve_discrete_are(a, b, np.eye(a.shape[1]), np.eye(b.shape[1]))
    return np.linalg.solve(np.eye(b.shape[1]) + b.T @ cost @ b, b.T @ cost @ a)
