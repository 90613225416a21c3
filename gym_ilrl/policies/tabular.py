"""A policy that is a table: one row of probabilities for each state."""

from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

from gym_ilrl.arguments import is_whole, require

SelfTabularPolicy = TypeVar("SelfTabularPolicy", bound="TabularPolicy")

_SUM = 1e-6  # by which probabilities may miss 1: single precision is welcome


class TabularPolicy(BasePolicy):
    """A policy that is a table of log probabilities, for Discrete observations and actions.

    The table is a parameter, so that it is in ``state_dict()``, is saved and moves between devices; no gradient flows
    into it. With a horizon there is one table for each time, and the policy is recurrent: its memory is the number of
    steps since the episode began.

    :param observation_space: Discrete, possibly with another start than 0
    :param action_space: Discrete, possibly with another start than 0
    :param lr_schedule: unused, as nothing here is trained by gradients; SB3 gives it to every policy
    :param horizon: number of times that have probabilities of their own, at least 1; None: they do not depend on time
    :param kwargs: arguments of SB3's ``BasePolicy``
    :raises ValueError: for other spaces, and for a horizon that is no positive whole number
    """

    observation_space: spaces.Discrete
    action_space: spaces.Discrete

    log_probabilities: nn.Parameter
    """Of shape ``(n_states, n_actions)`` or ``(horizon, n_states, n_actions)``, float64; uniform to begin with."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule | None = None,
        horizon: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name, space in (("observation_space", observation_space), ("action_space", action_space)):
            require(isinstance(space, spaces.Discrete), name, space, "Discrete, for a policy that is a table")
        require(horizon is None or is_whole(horizon, 1), "horizon", horizon, "a whole number of at least 1, or None")
        super().__init__(observation_space, action_space, **kwargs)
        self.horizon = None if horizon is None else int(horizon)
        self._n_states, self._first_state = int(self.observation_space.n), int(self.observation_space.start)
        self._n_actions, self._first_action = int(self.action_space.n), int(self.action_space.start)
        times = () if self.horizon is None else (self.horizon,)
        uniform = th.full((*times, self._n_states, self._n_actions), -np.log(self._n_actions), dtype=th.float64)
        self.log_probabilities = nn.Parameter(uniform, requires_grad=False)

    def set_log_probabilities(self, log_policy: ArrayLike, time: int | None = None) -> None:
        """Replace the table.

        :param log_policy: action-major, as :attr:`gym_ilrl.planning.Solution.log_policy`: of shape ``(n_actions,
            n_states)``, or, with a horizon, ``(horizon, n_actions, n_states)``; the former is then repeated
        :param time: with a horizon: replace the probabilities of this time only
        :raises ValueError: if the shape is another, or probabilities do not sum to 1
        """
        given = np.asarray(log_policy, dtype=np.float64)
        single = (self._n_actions, self._n_states)
        allowed: list[tuple[int, ...]] = [single]
        if self.horizon is not None and time is None:
            allowed.append((self.horizon, *single))
        require(given.shape in allowed, "the shape of log_policy", given.shape, " or ".join(map(str, allowed)))
        is_time = time is None or (self.horizon is not None and is_whole(time, 0) and time < self.horizon)
        require(is_time, "time", time, f"one of the {self.horizon or 'no'} times of the policy")
        sums = np.exp(given).sum(axis=-2)
        wrong = np.argwhere(~(np.abs(sums - 1.0) <= _SUM))  # NaN is no probability either
        if len(wrong):
            raise ValueError(
                f"the probabilities of a state must sum to 1, and those of state {wrong[0][-1]} sum to "
                f"{sums[tuple(wrong[0])]:.6g}"
            )
        target = self.log_probabilities.data if time is None else self.log_probabilities.data[time]
        target.copy_(th.from_numpy(np.array(given.swapaxes(-1, -2), order="C")))

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
        :param state: with a horizon: ``(time,)``, the steps since the episodes began, of shape ``(n,)``; None: they
            begin now. Without a horizon it is given back as it is
        :param episode_start: with a horizon: which episodes begin now, of shape ``(n,)``
        :param deterministic: take the most probable action, the lowest one of several, instead of drawing one
        :raises ValueError: for observations outside their space, and for a state of another number of episodes
        :return: one action or a batch of shape ``(n,)``, and the next state; after the horizon the last times'
            probabilities stay
        """
        given = np.asarray(observation)
        states = self._indices(given)
        if self.horizon is None:
            rows = self._rows(states)
        else:
            times = _times(state, episode_start, len(states))
            rows = self._rows((np.minimum(times, self.horizon - 1), states))
            state = (times + 1,)
        actions = (rows.argmax(axis=1) if deterministic else _draw(rows)) + self._first_action
        return (actions if given.ndim else actions[0]), state

    @classmethod
    def load(cls: type[SelfTabularPolicy], path: str, device: th.device | str = "auto") -> SelfTabularPolicy:
        """Load a policy that :meth:`save` wrote.

        :param path: of the file, which must come from someone you trust: it may hold code, as all that SB3 saves
        :param device: where the table shall be; "auto" is the CPU, which looks up a row faster than it is sent away
        """
        # SB3 before 2.6 asks torch to refuse the spaces in its own files
        saved = th.load(path, map_location="cpu", weights_only=False)
        policy = cls(**saved["data"])
        policy.load_state_dict(saved["state_dict"])
        return policy.to("cpu" if device == "auto" else device)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        """Return actions for a tensor of observations; with a horizon, those of the first time."""
        assert isinstance(observation, th.Tensor)
        actions, _ = self.predict(observation.cpu().numpy(), deterministic=deterministic)
        return th.as_tensor(actions, device=self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "horizon": self.horizon}

    def _indices(self, given: NDArray[Any]) -> NDArray[np.int64]:
        """Return the rows of the table, of shape ``(n,)``."""
        if given.dtype.kind in "iu" and (given.ndim <= 1 or (given.ndim == 2 and given.shape[1] == 1)):
            states: NDArray[np.int64] = given.reshape(-1).astype(np.int64) - self._first_state
            if not ((states < 0) | (states >= self._n_states)).any():
                return states
        raise ValueError(
            f"expected an observation of {self.observation_space}, or a batch of them of shape (n,), and was given "
            f"{given.dtype} of shape {given.shape}: {given.tolist()}"
        )

    def _rows(self, index: Any) -> NDArray[np.float64]:
        table = self.log_probabilities
        rows: NDArray[np.float64] = table.numpy()[index] if table.is_cpu else table[index].cpu().numpy()
        return rows


def _times(
    state: tuple[NDArray[Any], ...] | None, episode_start: NDArray[np.bool_] | None, n: int
) -> NDArray[np.int64]:
    """Return the steps since each of ``n`` episodes began."""
    if state is None:
        return np.zeros(n, dtype=np.int64)
    times = np.asarray(state[0], dtype=np.int64)
    require(times.shape == (n,), "the shape of the time in state", times.shape, f"{(n,)}, as that of the observations")
    if episode_start is None:
        return times
    begun: NDArray[np.int64] = np.where(episode_start, 0, times)
    return begun


def _draw(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw an action from each row of log probabilities, by the inverse of its distribution function."""
    cumulative = np.exp(rows).cumsum(axis=1)
    uniform = th.rand(len(rows), 1, dtype=th.float64).numpy()  # below 1: an action of probability 0 is never drawn
    drawn: NDArray[np.int64] = (cumulative <= uniform * cumulative[:, -1:]).sum(axis=1)
    return drawn
