"""A mixture of tabular policies: one of them is drawn at the start of each episode."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.type_aliases import Schedule

from gym_ilrl.arguments import require
from gym_ilrl.policies.tabular import TabularPolicy

_UNDRAWN = -1  # in place of the component of an episode that has none yet
_SUM = 1e-6  # by which weights may miss 1


class TabularMixturePolicy(TabularPolicy):
    """A mixture of deterministic policies that are tables: an episode follows one of them from its start to its end.

    What a mixture meets in an episode is on average the weighted mean of what its components meet, which is why
    apprenticeship learning gives one (Abbeel & Ng, "Apprenticeship learning via inverse reinforcement learning", 2004,
    section 3). The policy is recurrent: its memory is the component, and the number of steps since the episode began.

    One of the components is also there alone, in the table of :class:`TabularPolicy`; it is what
    ``predict(deterministic=True)`` follows. Before :meth:`set_mixture` that table, uniform, is all there is.

    :param observation_space: Discrete, possibly with another start than 0
    :param action_space: Discrete, possibly with another start than 0
    :param lr_schedule: unused, SB3 gives it to every policy
    :param horizon: number of times that have actions of their own, at least 1; None: they do not depend on time
    :param kwargs: arguments of SB3's ``BasePolicy``
    :raises ValueError: for other spaces, and for a horizon that is no positive whole number
    """

    component_actions: th.Tensor
    """Actions of the components, counted from 0, of shape ``(n_components, horizon or 1, n_states)``."""
    component_weights: th.Tensor
    """Probability of each component, of shape ``(n_components,)``."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule | None = None,
        horizon: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(observation_space, action_space, lr_schedule, horizon, **kwargs)
        self.register_buffer("component_actions", th.zeros((0, self.horizon or 1, self._n_states), dtype=th.int64))
        self.register_buffer("component_weights", th.zeros(0, dtype=th.float64))

    def set_mixture(self, policies: Sequence[ArrayLike], weights: ArrayLike, alone: int | None = None) -> None:
        """Replace the mixture.

        :param policies: the actions of each component, whole numbers from 0, of shape ``(n_states,)`` or, with a
            horizon, ``(horizon, n_states)``
        :param weights: the probability of each component, of shape ``(n_components,)``
        :param alone: index of the component that ``predict(deterministic=True)`` follows; None: the most probable one
        :raises ValueError: if these are no policies, or the weights do not sum to 1
        """
        given = np.asarray(weights, dtype=np.float64)
        fits = given.shape == (len(policies),) and bool((given >= 0.0).all()) and abs(given.sum() - 1.0) <= _SUM
        require(fits, "weights", weights, f"{len(policies)} numbers of at least 0 that sum to 1")
        tables = np.stack([self._table(actions, i) for i, actions in enumerate(policies)])
        alone = int(given.argmax()) if alone is None else alone
        require(0 <= alone < len(policies), "alone", alone, f"the index of one of {len(policies)} components")
        chosen = tables[alone, :, None, :] == np.arange(self._n_actions)[:, None]
        with np.errstate(divide="ignore"):
            self.set_log_probabilities(np.log(chosen if self.horizon is not None else chosen[0]))
        self.component_actions = th.as_tensor(tables, device=self.device)
        self.component_weights = th.as_tensor(given / given.sum(), device=self.device)

    @property
    def n_components(self) -> int:
        """Number of policies that are mixed; 0 before :meth:`set_mixture`."""
        return len(self.component_weights)

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]] | int,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], tuple[NDArray[Any], ...] | None]:
        """Return actions, numbered as in the action space.

        :param observation: one observation, or a batch of shape ``(n,)`` or ``(n, 1)``
        :param state: ``(component, time)`` of the episodes, each of shape ``(n,)``; the component is -1 where none was
            drawn yet. None: the episodes begin now
        :param episode_start: which episodes begin now, of shape ``(n,)``
        :param deterministic: follow the component that stands alone, instead of drawing one for each episode
        :raises ValueError: for observations outside their space, and for a state of another number of episodes
        :return: one action or a batch of shape ``(n,)``, and the next state; after the horizon the last times' actions
            stay
        """
        given = np.asarray(observation)
        states = self._indices(given)
        component, time = _memory(state, episode_start, len(states))
        if deterministic or self.n_components == 0:
            memory = None if self.horizon is None else (time,)
            actions, _ = super().predict(states + self._first_state, memory, None, deterministic)
        else:
            undrawn = np.flatnonzero(component == _UNDRAWN)
            if len(undrawn):
                component[undrawn] = th.multinomial(self.component_weights.cpu(), len(undrawn), True).numpy()
            row = np.minimum(time, self.component_actions.shape[1] - 1)
            index = [th.as_tensor(each, device=self.device) for each in (component, row, states)]
            actions = self.component_actions[index[0], index[1], index[2]].cpu().numpy() + self._first_action
        return (actions if given.ndim else actions[0]), (component, time + 1)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take the parameters of another mixture, also one of another number of components (see torch).

        :param state_dict: of the other one
        :param args: for torch
        :param kwargs: for torch
        """
        for name in ("component_actions", "component_weights"):
            if name in state_dict:
                setattr(self, name, th.empty_like(state_dict[name], device=self.device))
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _table(self, policy: ArrayLike, i: int) -> NDArray[np.int64]:
        """Return the actions of a policy, of shape ``(horizon or 1, n_states)``."""
        actions = np.asarray(policy)
        shape = (self._n_states,) if self.horizon is None else (self.horizon, self._n_states)
        name = f"the shape of policies[{i}]"
        require(actions.shape in {shape, shape[-1:]}, name, actions.shape, f"{shape}, the action of each state")
        is_action = np.issubdtype(actions.dtype, np.integer) and bool(
            ((actions >= 0) & (actions < self._n_actions)).all()
        )
        require(is_action, f"policies[{i}]", policy, f"actions, whole numbers in 0 ... {self._n_actions - 1}")
        return np.broadcast_to(actions, (self.horizon or 1, self._n_states)).astype(np.int64)


def _memory(
    state: tuple[NDArray[Any], ...] | None, episode_start: NDArray[np.bool_] | None, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the component of each of ``n`` episodes, and the steps since they began."""
    if state is None:
        return np.full(n, _UNDRAWN), np.zeros(n, dtype=np.int64)
    fits = len(state) == 2 and all(np.shape(each) == (n,) for each in state)
    require(fits, "the shapes in state", [np.shape(each) for each in state], f"({(n,)}, {(n,)}): component and time")
    component, time = (np.array(each, dtype=np.int64) for each in state)
    if episode_start is not None:
        begun = np.asarray(episode_start, dtype=np.bool_)
        component[begun], time[begun] = _UNDRAWN, 0
    return component, time
