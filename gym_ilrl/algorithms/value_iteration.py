"""Planners as SB3 algorithms."""

from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv

from gym_ilrl.algorithms.known_model import KnownModel
from gym_ilrl.algorithms.newton_steps import NewtonSteps, SweepsThenNewton, surely_ending
from gym_ilrl.algorithms.planning_steps import BackwardInduction, DiscountedSweeps, Steps, UndiscountedSweeps
from gym_ilrl.arguments import is_number, require
from gym_ilrl.planning.bellman import Bellman, DivergenceError
from gym_ilrl.planning.occupancy import occupancy
from gym_ilrl.planning.solution import Solution
from gym_ilrl.planning.solve import SOLVERS
from gym_ilrl.planning.tabular_mdp import TabularMDP


class ValueIteration(KnownModel):
    """Value iteration: the policy of the largest return, computed from the model of the environment (Bellman 1957).

    One "timestep" is one sweep over all states, or one Newton step: nothing is executed in the environment.
    :meth:`learn` stops when the values have converged; ``converged`` tells whether they have.

    :param policy: ``"TabularPolicy"``, or a subclass of it
    :param env: an environment that publishes its model (see :meth:`gym_ilrl.TabularMDP.from_env`), its id, a
        ``VecEnv`` of such environments, or a :class:`~gym_ilrl.TabularMDP`
    :param gamma: discount factor, in [0, 1]; None: that of a given ``TabularMDP``, else 0.99. 1 without a horizon is
        for problems with a goal
    :param horizon: number of steps after which an episode is over. A sweep is then one time of backward induction, from
        the last to the first, and the policy depends on time. None: that of a given ``TabularMDP``, else unlimited
    :param solver: ``"value_iteration"``: sweeps; ``"newton"``: policy iteration with sparse linear equations, a handful
        of expensive steps; ``"finite_horizon"``: backward induction; ``"auto"``: the last with a horizon. With a
        discount, sweeps, and Newton steps as soon as the error shrinks too slowly to be below the tolerance within the
        timesteps that are left, or within 400: where ``gamma`` is close to 1 and states mix slowly. Without, Newton
        steps
    :param tolerance: of the values, relative to the largest one (or to 1)
    :param stats_window_size: as in SB3
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: of the policy's draws
    :param device: where the policy's table is; "auto" is the CPU
    :param _init_setup_model: whether to build the policy at construction
    :raises ValueError: for an environment without a model, and for arguments outside their range
    """

    temperature = 0.0

    def __init__(
        self,
        policy: str | type[BasePolicy] = "TabularPolicy",
        env: GymEnv | str | TabularMDP | None = None,
        gamma: float | None = None,
        horizon: int | None = None,
        solver: str = "auto",
        tolerance: float = 1e-10,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            gamma=gamma,
            horizon=horizon,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )
        self.solver, self.tolerance = solver, tolerance
        self.residual, self._value_of_start = np.inf, np.nan
        self._values: NDArray[np.float64] | None = None
        self._planned: TabularMDP | None = None
        self._steps: Steps | None = None
        self._last_solver = ""
        self._check_options()

    @property
    def values(self) -> NDArray[np.float64]:
        """The value of every state, of shape ``(n_states,)``; with a horizon ``(horizon + 1, n_states)``.

        Soft values contain the temperature times the entropy. Times that no sweep has reached yet are NaN.

        :raises ValueError: before :meth:`learn`
        """
        values = self._values if self._steps is None else self._steps.values * self._steps.bellman.unit
        if values is None:
            raise ValueError(f"this {type(self).__name__} has not planned yet; call learn(100)")
        return values

    @property
    def q_values(self) -> NDArray[np.float64]:
        """The value of every action, of shape ``(n_states, n_actions)``; with a horizon, time in front.

        Computed from :attr:`values`, and not stored.

        :raises ValueError: before :meth:`learn`, and without an environment
        """
        state_major: NDArray[np.float64] = self.solution.q_values.swapaxes(-1, -2)
        return state_major

    @property
    def solution(self) -> Solution:
        """Values and policy as :func:`gym_ilrl.planning.solve` returns them, action-major.

        Computed from :attr:`values`, and not stored; ``iterations`` are the sweeps and Newton steps of all calls of
        :meth:`learn`.

        :raises ValueError: before :meth:`learn`, and without an environment
        """
        values, bellman = self.values, Bellman.of(self.mdp, self.temperature)
        if self.horizon is None:
            q = bellman.q_values(values / bellman.unit)
            residual = float(np.abs(bellman.values(q) * bellman.unit - values).max())
        else:
            q = np.stack([bellman.q_values(later) for later in values[1:] / bellman.unit])
            residual = 0.0
        solver = self._last_solver
        return Solution(
            values.copy(), q * bellman.unit, self._log_policy(), self.temperature, solver, self._n_updates, residual
        )

    @property
    def occupancy(self) -> NDArray[np.float64]:
        """How often the policy takes each action in each state, discounted, in an episode.

        ``d(s, a) = sum_t gamma^t P(s_t = s, a_t = a)``, of shape ``(n_states, n_actions)``; its sum with the expected
        rewards is the expected return.

        :raises ValueError: without an environment; and if the policy never ends, without discount and horizon
        """
        visits: NDArray[np.float64] = occupancy(self.mdp, np.exp(self._log_policy())).T
        return visits

    def save(
        self,
        path: str | Path | BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Save values and policy, also in the middle of :meth:`learn`; see SB3.

        :param path: of the file
        :param exclude: see SB3
        :param include: see SB3
        """
        self._keep()
        super().save(path, exclude, include)

    def set_env(self, env: GymEnv | TabularMDP, force_reset: bool = True) -> None:
        """Replace the environment, and with it the model; the values are kept where planning can begin with them."""
        super().set_env(env, force_reset)
        self.converged = False

    def _begin(self) -> None:
        self._check_options()
        mdp, bellman = self.mdp, Bellman.of(self.mdp, self.temperature)
        self._steps = self._steps_from(mdp, bellman, None if self._values is None else self._values / bellman.unit)
        self._planned = mdp
        self.converged = self._steps.converged

    def _update(self) -> None:
        assert self._steps is not None  # for the type checker: since _begin
        try:
            self._steps.step()
        except DivergenceError:
            self._steps = None  # what it has so far is of no use
            raise
        unit, self.converged = self._steps.bellman.unit, self._steps.converged
        self.residual, self._value_of_start = self._steps.residual * unit, self._steps.value_of_start * unit
        if self._is_watched or self.horizon is not None:  # a row costs little now; later it is computed once more
            self._steps.write(self.policy)

    def _end(self) -> None:
        if self._steps is not None:
            if not self._is_watched and self.horizon is None:
                self._steps.write(self.policy)
            self._keep()
            self._steps = None

    def _keep(self) -> None:
        """Take over what the steps have come to so far."""
        if self._steps is not None:
            self._values, self._last_solver = self.values, self._steps.solver

    def _record(self) -> None:
        self.logger.record("planning/residual", self.residual)
        self.logger.record("planning/value_of_start", self._value_of_start)
        self.logger.record("planning/converged", float(self.converged))

    def _steps_from(self, mdp: TabularMDP, bellman: Bellman, values: NDArray[np.float64] | None) -> Steps:
        if mdp.horizon is not None:
            return BackwardInduction(mdp, bellman, values if self._planned is mdp else None)
        start = np.zeros(mdp.n_states) if values is None else values
        if self.solver == "value_iteration":
            sweeps = UndiscountedSweeps if mdp.is_goal_directed else DiscountedSweeps
            return sweeps(mdp, bellman, start, self.tolerance)
        if mdp.is_goal_directed:
            first = surely_ending(mdp, np.exp(self._log_policy()) if values is not None else None)
            return NewtonSteps(mdp, bellman, start, self.tolerance, first)
        if self.solver == "newton":
            return NewtonSteps(mdp, bellman, start, self.tolerance)
        n_steps = self._total_timesteps - self.num_timesteps
        return SweepsThenNewton(mdp, bellman, start, self.tolerance, n_steps)

    def _log_policy(self) -> NDArray[np.float64]:
        state_major = self.policy.log_probabilities.cpu().numpy()
        return np.array(state_major.swapaxes(-1, -2), dtype=np.float64)

    def _check_options(self) -> None:
        require(self.solver in SOLVERS, "solver", self.solver, f"one of {', '.join(SOLVERS)}")
        is_positive = is_number(self.tolerance) and self.tolerance > 0.0
        require(is_positive, "tolerance", self.tolerance, "a positive number")
        if self.horizon is None:
            fits, reason = self.solver != "finite_horizon", "another one, for the problem has no horizon"
        else:
            fits = self.solver in ("auto", "finite_horizon")
            reason = "'auto' or 'finite_horizon', for the problem has a horizon"
        require(fits, "solver", self.solver, reason)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_planned", "_steps"]


class SoftValueIteration(ValueIteration):
    """Soft value iteration: the policy of the largest return plus ``temperature`` times the entropy of every action.

    ``V(s) = tau log sum_a exp(Q(s, a) / tau)`` and ``pi(a | s) = exp((Q(s, a) - V(s)) / tau)``, exactly (Ziebart,
    Bagnell & Dey, "Modeling Interaction via the Principle of Maximum Causal Entropy", 2010; Haarnoja et al.,
    "Reinforcement Learning with Deep Energy-Based Policies", 2017). It is the demonstrator that maximum entropy inverse
    reinforcement learning assumes.

    :param policy: ``"TabularPolicy"``, or a subclass of it
    :param env: as for :class:`ValueIteration`
    :param temperature: positive; in the unit of the rewards. Towards 0 the policy becomes the best one; towards
        infinity the rewards cease to matter, and the policy keeps the most ways open: uniform where no episode ends,
        and away from the end, a goal as well as a hole, where one does
    :param gamma: as for :class:`ValueIteration`. With 1 and no horizon, the values are infinite if wandering about
        earns more by its entropy than it costs: that is refused
    :param horizon: as for :class:`ValueIteration`
    :param solver: as for :class:`ValueIteration`
    :param tolerance: as for :class:`ValueIteration`
    :param stats_window_size: as in SB3
    :param tensorboard_log: the log location for TensorBoard, or None
    :param policy_kwargs: passed to the policy
    :param verbose: 0 no output, 1 info, 2 debug
    :param seed: of the policy's draws
    :param device: where the policy's table is; "auto" is the CPU
    :param _init_setup_model: whether to build the policy at construction
    :raises ValueError: for an environment without a model, and for arguments outside their range
    """

    def __init__(
        self,
        policy: str | type[BasePolicy] = "TabularPolicy",
        env: GymEnv | str | TabularMDP | None = None,
        temperature: float = 1.0,
        gamma: float | None = None,
        horizon: int | None = None,
        solver: str = "auto",
        tolerance: float = 1e-10,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: th.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        self.temperature = temperature
        super().__init__(
            policy,
            env,
            gamma=gamma,
            horizon=horizon,
            solver=solver,
            tolerance=tolerance,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _check_options(self) -> None:
        expected = "a positive number; with temperature 0 it is ValueIteration"
        require(is_number(self.temperature) and self.temperature > 0.0, "temperature", self.temperature, expected)
        super()._check_options()
