"""A Markov decision process as an environment that samples it."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from gym_ilrl.envs.random_numbers import uniform
from gym_ilrl.envs.row_sampler import RowSampler
from gym_ilrl.envs.tabular import TabularDynamics, TabularEnv
from gym_ilrl.envs.toy_text import ToyTextModel, toy_text_model

if TYPE_CHECKING:
    from gym_ilrl.planning.tabular_mdp import TabularMDP


def environment_of(mdp: "TabularMDP", render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Return an environment that samples a process, see :meth:`TabularMDP.to_env`."""
    env: gym.Env[Any, Any]
    start_and_end = {"initial_distribution": mdp.initial, "terminal": mdp.terminal}
    if mdp.final_transitions is None:
        dynamics = TabularDynamics(1, mdp.transitions, mdp.rewards, **start_and_end, ending=mdp.ending)
        env = TabularEnv(dynamics, render_mode)
    else:
        terminal, others = (
            sparse.csr_matrix(mdp.final_transitions @ sparse.diags(into.astype(np.float64)))
            for into in (mdp.terminal, ~mdp.terminal)
        )
        others.eliminate_zeros()
        matrix = mdp.transitions + terminal
        if others.nnz:
            final = FinalTransitionsDynamics(1, matrix, mdp.rewards, **start_and_end, final_transitions=others)
            env = FinalTransitionsEnv(final, render_mode)
        else:
            env = TabularEnv(TabularDynamics(1, matrix, mdp.rewards, **start_and_end), render_mode)
    return env if mdp.horizon is None else TimeLimit(env, mdp.horizon)


class FinalTransitionsDynamics(TabularDynamics):
    """The rules of a process whose episodes may end by arriving in a state that is not terminal.

    :param num_envs: as in :class:`~gym_ilrl.envs.tabular.TabularDynamics`
    :param transition_matrix: likewise
    :param reward: likewise
    :param initial_distribution: likewise
    :param terminal: likewise
    :param final_transitions: probability that the episode ends by arriving in each state that is not terminal, sparse,
        in the shape of ``transition_matrix``, whose rows it completes to 1
    """

    def __init__(
        self,
        num_envs: int,
        transition_matrix: Any,
        reward: ArrayLike,
        initial_distribution: ArrayLike | None = None,
        terminal: ArrayLike | None = None,
        *,
        final_transitions: Any,
    ) -> None:
        ending = np.asarray(final_transitions.sum(axis=1)).reshape(np.shape(reward))
        super().__init__(num_envs, transition_matrix, reward, initial_distribution, terminal, ending)
        self.final_transitions = final_transitions

    @cached_property
    def _finals(self) -> RowSampler:
        return RowSampler(self.final_transitions)

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Act in every row whose episode goes on; where it ends, arrive in a final state."""
        before = self._state
        rewards, over = super().step(actions)
        row = actions.astype(np.int64) * self.n_states + before["state"]
        ending = self.ending.ravel()[row]  # type: ignore[union-attr]
        u = uniform(before["key"], before["clock"]) - (1.0 - ending)  # at least 0 where the episode has ended by it
        ended = ~before["over"] & (u >= 0.0) & (ending > 0.0)
        self._state["state"][ended] = self._finals.draw(row[ended], u[ended] / ending[ended])
        return rewards, over

    @cached_property
    def toy_text_model(self) -> ToyTextModel:
        """The model in Gymnasium's toy-text form; final outcomes terminate wherever they lead."""
        going_on, final = (self._outcomes(part) for part in (self.transition_matrix, self.final_transitions))
        for state in np.flatnonzero(~self.terminal).tolist():
            for action in range(self.n_actions):
                ends = [(probability, arrived, paid, True) for probability, arrived, paid, _ in final[state][action]]
                going_on[state][action] += ends
        return going_on

    def _outcomes(self, matrix: Any) -> ToyTextModel:
        return toy_text_model(matrix, np.repeat(self.reward.ravel(), np.diff(matrix.indptr)), self.terminal)


class FinalTransitionsEnv(TabularEnv):
    """An environment whose episodes may end by arriving in a state that is not terminal.

    :param dynamics: the rules
    :param render_mode: ``None`` or ``"ansi"``
    :param row: as in :class:`~gym_ilrl.envs.tabular.TabularEnv`
    """

    dynamics_class = FinalTransitionsDynamics
    dynamics: FinalTransitionsDynamics

    @property
    def final_transitions(self) -> Any:
        """Probability that the episode ends by arriving in each state that is not terminal, sparse.

        Of the shape of ``transition_matrix``, whose rows it completes to 1.
        """
        return self.dynamics.final_transitions
