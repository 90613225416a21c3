"""Prioritised replay with demonstrations, by priorities that are computed when a batch is sampled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.buffers.demo_replay import DemoReplay
from gym_ilrl.buffers.relabelling import rows_of
from gym_ilrl.buffers.samples import select

TemporalDifference = Callable[[Any], th.Tensor | NDArray[Any]]
"""From the samples of a batch to their temporal-difference errors, of shape ``(n,)``."""


class PrioritizedDemoReplay(DemoReplay):
    r"""Mixin for DQfD's replay (Hester et al. 2018, section 4): transitions with large errors come more often.

    SB3's ``train()`` tells a buffer neither which rows it used nor their errors, so nothing is stored: of
    ``pool_factor * batch_size`` candidates the errors :math:`\delta_i` are computed, fresh, and ``batch_size`` rows are
    drawn from them without replacement by :math:`p_i \propto (|\delta_i| + \epsilon)^\alpha`, where demonstrations have
    a greater :math:`\epsilon`. ``demo_fraction`` is the share of demonstrations among the *candidates*: uniformly over
    all data, a few demonstrations beside a million transitions would hardly ever be among a few hundred candidates;
    the priorities then decide which share of the batch they get. There are no importance weights, for SB3's losses
    take none.

    The algorithm sets ``td_error``; until then every row has the same priority. It is not pickled.

    :param args: of :class:`DemoReplay`
    :param pool_factor: candidates for each row of a batch, at least 1
    :param alpha: how much priorities count, at least 0 (uniform)
    :param eps_demo: added to the errors of demonstrations, positive
    :param eps_online: added to those of online data, positive
    :param kwargs: of :class:`DemoReplay`
    :raises ValueError: on a value outside its range
    """

    td_error: TemporalDifference | None = None

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        pool_factor: int = 4,
        alpha: float = 0.4,
        eps_demo: float = 1.0,
        eps_online: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        require_positive_int("pool_factor", pool_factor)
        require(is_number(alpha) and alpha >= 0, "alpha", alpha, "a number of at least 0")
        for name, value in (("eps_demo", eps_demo), ("eps_online", eps_online)):
            require(is_number(value) and value > 0, name, value, "a positive number")
        super().__init__(buffer_size, observation_space, action_space, **kwargs)
        self.pool_factor, self.alpha = pool_factor, alpha
        self.eps_demo, self.eps_online = eps_demo, eps_online

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments that make a buffer like this one, but for its size and its demonstrations."""
        names = ("pool_factor", "alpha", "eps_demo", "eps_online")
        return {**super().arguments(), **{name: getattr(self, name) for name in names}}

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Sample exactly ``batch_size`` rows, in random order, by priority.

        :param batch_size: of online data and demonstrations together
        :param env: normalises observations and rewards, if given
        :return: what ``plain_class()`` returns
        :raises ValueError: if ``td_error`` does not return one finite number a row
        """
        if self.td_error is None:
            return super().sample(batch_size, env)
        candidates, n_demo = self.sample_parts(self.pool_factor * batch_size, env)
        n_rows = len(candidates.rewards)
        with th.no_grad():
            errors = np.abs(rows_of(self.td_error(candidates), n_rows, "td_error"))
        bonus = np.where(np.arange(n_rows) < n_rows - n_demo, self.eps_online, self.eps_demo)
        priorities = (errors + bonus) ** self.alpha
        shares = priorities / priorities.sum()
        chosen = np.random.choice(n_rows, size=batch_size, replace=False, p=shares)  # noqa: NPY002  # SB3's stream
        return select(candidates, th.as_tensor(chosen, device=candidates.rewards.device))

    def __getstate__(self) -> dict[str, Any]:
        inherited = getattr(super(), "__getstate__", None)  # of HerReplayBuffer; object's only since Python 3.11
        state = dict(self.__dict__ if inherited is None else inherited())
        state.pop("td_error", None)
        return state


class PrioritizedDemoReplayBuffer(PrioritizedDemoReplay, ReplayBuffer):
    """:class:`PrioritizedDemoReplay` over ``ReplayBuffer``."""
