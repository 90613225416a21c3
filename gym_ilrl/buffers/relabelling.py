"""Rewards that replace those of a batch when it is sampled: constants (SQIL) and learned ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env.base_vec_env import CloudpickleWrapper

from gym_ilrl.arguments import is_number, require

RewardFunction = Callable[[Any, th.Tensor, Any], th.Tensor | NDArray[Any]]
"""From ``(observations, actions, next_observations)`` of a batch to its rewards, of shape ``(n,)``."""


class Relabelling:
    """Replaces the rewards of sampled batches; without a reward, leaves them.

    A function is called once a batch, without gradients, with the tensors that the algorithm's update gets: on its
    device, observations normalised if the environment has ``VecNormalize``, images channels first, Box actions in
    ``[-1, 1]``, discrete ones as ``(n, 1)`` integers. What it returns is used as it is: ``VecNormalize`` does not scale
    it. It is pickled with the buffer (by cloudpickle, so that lambdas are, too).

    :param name: of the argument, for messages
    :param reward: what every transition gets, or a :data:`RewardFunction`, or ``None``
    :param buffer: whose batches these are; n-step returns of a constant are computed, of a function they cannot be
    :raises ValueError: if ``reward`` is something else, or needs single steps and ``buffer`` sums several
    """

    def __init__(self, name: str, reward: float | RewardFunction | None, buffer: ReplayBuffer) -> None:
        is_reward = reward is None or is_number(reward) or callable(reward)
        require(is_reward, name, reward, "a number, a function of (observations, actions, next_observations), or None")
        self.name, self.reward = name, reward
        self.gamma: float | None = getattr(buffer, "gamma", None) if getattr(buffer, "n_steps", 1) > 1 else None
        if callable(reward) and self.gamma is not None:
            raise ValueError(
                f"{name} is a function of one step, and {type(buffer).__name__} samples returns of several steps; "
                "use n_steps=1, or DemoReplayBuffer"
            )
        if reward is not None and self.gamma == 1:
            raise ValueError(f"{name} with n-step returns needs a discount gamma below 1, not {self.gamma}")

    def __call__(self, samples: Any) -> Any:
        """Return ``samples`` with the rewards replaced.

        :raises ValueError: if the function returns anything but one reward a row
        """
        if self.reward is None:
            return samples
        if not callable(self.reward):
            return samples._replace(rewards=self._constant(samples))
        with th.no_grad():
            given = self.reward(samples.observations, samples.actions, samples.next_observations)
        rewards = th.as_tensor(given, dtype=samples.rewards.dtype, device=samples.rewards.device)
        n_rows = len(samples.rewards)
        if tuple(rewards.shape) not in ((n_rows,), (n_rows, 1)):
            raise ValueError(f"{self.name} must return rewards of shape ({n_rows},), not {tuple(rewards.shape)}")
        return samples._replace(rewards=rewards.reshape(n_rows, 1))

    def _constant(self, samples: Any) -> th.Tensor:
        if self.gamma is None:
            return th.full_like(samples.rewards, float(self.reward))  # type: ignore[arg-type]  # a number
        # m steps, 1 <= m <= n, were summed: r (1 + gamma + ... + gamma^(m-1)), and the sample's discount is gamma^m
        return self.reward * (1 - samples.discounts) / (1 - self.gamma)  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "reward": CloudpickleWrapper(self.reward)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "reward": state["reward"].var})


def rows_of(values: Any, n_rows: int, name: str) -> NDArray[np.float64]:
    """Return one finite number a row, of shape ``(n_rows,)``, from a tensor or an array.

    :raises ValueError: on another shape, or on NaN or infinite values
    """
    array = values.detach().cpu().numpy() if isinstance(values, th.Tensor) else np.asarray(values)
    if array.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(f"{name} must return one number a row, of shape ({n_rows},), not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} returned NaN or infinite values; look for a critic that diverged")
    return array.reshape(n_rows).astype(np.float64)
