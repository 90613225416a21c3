"""A policy that follows from a table of Q-values."""

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from gym_ilrl.arguments import is_number, is_whole, require
from gym_ilrl.policies.tabular import TabularPolicy


class TabularQPolicy(TabularPolicy):
    r"""A policy that follows from a table of Q-values, for Discrete observations and actions.

    It draws an action at random with the probability ``epsilon``, and otherwise the greedy one, any of several alike
    (temperature 0), or one with the probability :math:`\propto \exp(Q / \mathrm{temperature})` (Boltzmann).
    ``deterministic=True`` takes the greedy action, the lowest of several.

    With two tables, as double Q-learning has (van Hasselt 2010), the Q-values are their mean.

    :param observation_space: Discrete, possibly with another start than 0
    :param action_space: Discrete, possibly with another start than 0
    :param lr_schedule: unused, as nothing here is trained by gradients; SB3 gives it to every policy
    :param n_tables: 1 or 2
    :param initial_q_value: what all Q-values are to begin with; one that is too high explores by optimism (Sutton and
        Barto 2018, section 2.6)
    :param temperature: at least 0, in units of the reward
    :param kwargs: arguments of SB3's ``BasePolicy``
    :raises ValueError: for other spaces, and for arguments outside their range
    """

    q_tables: nn.Parameter
    """Of shape ``(n_tables, n_states, n_actions)``, float64."""
    visits: th.Tensor
    """How often each entry of ``q_tables`` was updated, int64."""
    epsilon: th.Tensor
    """Probability of a random action, a float64 scalar; 0 to begin with."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule | None = None,
        n_tables: int = 1,
        initial_q_value: float = 0.0,
        temperature: float = 0.0,
        **kwargs: Any,
    ) -> None:
        require(is_whole(n_tables, 1) and n_tables <= 2, "n_tables", n_tables, "1 or 2")
        require(is_number(initial_q_value), "initial_q_value", initial_q_value, "a finite number")
        require(is_number(temperature) and temperature >= 0, "temperature", temperature, "a number of at least 0")
        super().__init__(observation_space, action_space, lr_schedule, horizon=None, **kwargs)
        del self.log_probabilities  # the base class's parameter: here they follow from the Q-values
        shape = (int(n_tables), self._n_states, self._n_actions)
        q_tables = th.full(shape, float(initial_q_value), dtype=th.float64)
        self.q_tables = nn.Parameter(q_tables, requires_grad=False)
        self.register_buffer("visits", th.zeros(shape, dtype=th.int64))
        self.register_buffer("epsilon", th.zeros((), dtype=th.float64))
        self.temperature = float(temperature)

    @property
    def q_values(self) -> th.Tensor:
        """Q-values of shape ``(n_states, n_actions)``: the mean of the tables."""
        return self.q_tables.mean(dim=0)

    def set_q_values(self, q_values: ArrayLike) -> None:
        """Replace the Q-values, in every table.

        :param q_values: of shape ``(n_states, n_actions)``
        :raises ValueError: if the shape is another, or there are NaN or infinite values
        """
        given, shape = np.asarray(q_values, dtype=np.float64), (self._n_states, self._n_actions)
        require(given.shape == shape, "the shape of q_values", given.shape, f"{shape}")
        if not np.isfinite(given).all():
            raise ValueError("q_values contain NaN or infinite values")
        self.q_tables.data.copy_(th.from_numpy(given.copy()))

    @property
    def log_probabilities(self) -> th.Tensor:  # type: ignore[override]  # a parameter of the base class
        """Log probabilities of the actions drawn, of shape ``(n_states, n_actions)``; -inf: never."""
        with np.errstate(divide="ignore"):
            logarithms = np.log(self._probabilities(self._q_rows(slice(None))))
        return th.from_numpy(logarithms).to(self.q_tables.device)

    def set_log_probabilities(self, log_policy: ArrayLike, time: int | None = None) -> None:
        """Refuse.

        :param log_policy: a table of log probabilities
        :param time: of a policy with a horizon
        :raises ValueError: always
        """
        raise ValueError("these probabilities follow from the Q-values: use set_q_values, or a TabularPolicy")

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]] | int,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return actions, numbered as in the action space.

        Draws come from torch's generator, which SB3's ``seed`` seeds.

        :param observation: one observation, or a batch of shape ``(n,)`` or ``(n, 1)``
        :param state: given back as it is
        :param episode_start: unused
        :param deterministic: take the greedy action, the lowest one of several, instead of drawing one
        :raises ValueError: for observations outside their space
        :return: one action or a batch of shape ``(n,)``, and ``state``
        """
        given = np.asarray(observation)
        q_values = self._q_rows(self._indices(given))
        if deterministic:
            chosen = q_values.argmax(axis=1)
        else:  # by the inverse of the distribution function; draws are below 1, so that what is impossible stays so
            cumulative = self._probabilities(q_values).cumsum(axis=1)
            drawn = th.rand(len(q_values), 1, dtype=th.float64).numpy()
            chosen = (cumulative <= drawn * cumulative[:, -1:]).sum(axis=1)
        actions = chosen + self._first_action
        return (actions if given.ndim else actions[0]), state

    def _get_constructor_parameters(self) -> dict[str, Any]:
        parameters = super()._get_constructor_parameters()
        del parameters["horizon"]
        return {**parameters, "n_tables": len(self.q_tables), "temperature": self.temperature}

    def _q_rows(self, index: Any) -> NDArray[np.float64]:
        tables = self.q_tables.numpy() if self.q_tables.is_cpu else self.q_tables.cpu().numpy()
        rows: NDArray[np.float64] = tables[0][index]
        return rows if len(tables) == 1 else 0.5 * (rows + tables[1][index])

    def _probabilities(self, q_values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of the actions for rows of Q-values, of the same shape ``(n, n_actions)``."""
        best = q_values.max(axis=1, keepdims=True)
        weights = np.exp((q_values - best) / self.temperature) if self.temperature > 0 else q_values == best
        epsilon = float(self.epsilon)
        probabilities: NDArray[np.float64] = (1.0 - epsilon) * weights / weights.sum(axis=1, keepdims=True)
        return probabilities + epsilon / self._n_actions
