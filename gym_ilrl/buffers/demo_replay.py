"""The mixin that puts demonstrations beside the online data of a replay buffer."""

from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.buffers.filling import filled_buffer
from gym_ilrl.buffers.relabelling import Relabelling, RewardFunction
from gym_ilrl.buffers.samples import concatenate
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import demonstrations_of


class DemoReplay(ReplayBuffer):
    """Mixin over SB3's replay buffers and your own: ``class MyDemoBuffer(DemoReplay, MyBuffer)``.

    Every batch has a share of demonstrations (symmetric sampling: Ball et al. 2023, RLPD, section 4.1), which lie in a
    buffer of the same class of their own: the online buffer, its size and its positions are what they are without
    demonstrations, and so are its random draws. While there is nothing online to sample (``learning_starts=0``, HER
    before its first episode ended), all rows are demonstrations.

    With ``demo_reward=1.0, online_reward=0.0`` this is SQIL (Reddy et al. 2020). A function as reward is called once a
    batch when it is sampled, so it may be a model that learns; :class:`~gym_ilrl.buffers.relabelling.Relabelling` says
    what it gets. An environment's rewards are normalised by ``VecNormalize`` as always, those given here are not.

    :param buffer_size: for the online data only
    :param observation_space: the algorithm's
    :param action_space: the algorithm's
    :param demonstrations: :class:`gym_ilrl.Demonstrations` or the path of saved ones. SB3 saves what is in
        ``replay_buffer_kwargs`` with the model: a path keeps the zip small, :meth:`set_demonstrations` keeps it out
    :param demo_fraction: share of a batch, in [0, 1]; a batch that it does not divide gets one row more at random
    :param final_demo_fraction: share at the end of annealing, in [0, 1]; ``None`` for no annealing
    :param anneal_timesteps: online transitions until then, from the first one that this buffer was given
    :param demo_reward: in place of the demonstrated rewards: a number or a function; needed if there are none
    :param online_reward: in place of the environment's rewards: a number or a function
    :param device: of the tensors sampled
    :param n_envs: number of parallel environments
    :param optimize_memory_usage: for the online data only
    :param kwargs: further arguments of the buffer, for both parts
    :raises ValueError: on a value outside its range, demonstrations that do not fit, or a class that does not fit the
        observation space
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        demonstrations: Demonstrations | str | Path | None = None,
        demo_fraction: float = 0.5,
        final_demo_fraction: float | None = None,
        anneal_timesteps: int | None = None,
        demo_reward: float | RewardFunction | None = None,
        online_reward: float | RewardFunction | None = None,
        device: th.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        **kwargs: Any,
    ) -> None:
        self._check_observation_space(observation_space)
        _check_fraction("demo_fraction", demo_fraction)
        if (final_demo_fraction is None) != (anneal_timesteps is None):
            raise ValueError(
                "annealing needs both final_demo_fraction and anneal_timesteps, and was given "
                f"final_demo_fraction={final_demo_fraction}, anneal_timesteps={anneal_timesteps}"
            )
        if final_demo_fraction is not None:
            _check_fraction("final_demo_fraction", final_demo_fraction)
            require_positive_int("anneal_timesteps", anneal_timesteps)
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device=device,
            n_envs=n_envs,
            optimize_memory_usage=optimize_memory_usage,
            **kwargs,
        )
        self.initial_demo_fraction, self.final_demo_fraction = demo_fraction, final_demo_fraction
        self.anneal_timesteps = anneal_timesteps
        self.n_online_transitions = 0
        self.demo_relabelling = Relabelling("demo_reward", demo_reward, self)
        self.online_relabelling = Relabelling("online_reward", online_reward, self)
        self._kwargs_of_both = {key: value for key, value in kwargs.items() if key != "env"}
        self._demonstrations_buffer: ReplayBuffer | None = None
        self.set_demonstrations(demonstrations)

    @classmethod
    def plain_class(cls) -> type[ReplayBuffer]:
        """Return the buffer class that the mixin extends."""
        return next(base for base in cls.__mro__ if issubclass(base, ReplayBuffer) and not issubclass(base, DemoReplay))

    @property
    def demonstrations_buffer(self) -> ReplayBuffer | None:
        """The demonstrations, in a buffer of :meth:`plain_class`; ``None`` without any."""
        if self._demonstrations_buffer is not None:
            # SB3 sets a loaded buffer's device, and set_env() a loaded HER buffer's environment
            self._demonstrations_buffer.device = self.device
            if isinstance(self._demonstrations_buffer, HerReplayBuffer):
                self._demonstrations_buffer.env = self.env  # type: ignore[attr-defined]
        return self._demonstrations_buffer

    @property
    def demo_fraction(self) -> float:
        """The share of demonstrations at present."""
        if self.final_demo_fraction is None or self.anneal_timesteps is None:
            return self.initial_demo_fraction
        progress = min(self.n_online_transitions / self.anneal_timesteps, 1.0)
        return (1 - progress) * self.initial_demo_fraction + progress * self.final_demo_fraction

    def set_demonstrations(self, demonstrations: Demonstrations | str | Path | None) -> None:
        """Take these demonstrations in place of those until now; ``None`` takes them away.

        :param demonstrations: :class:`gym_ilrl.Demonstrations`, or the path of saved ones
        :raises ValueError: if their spaces are not the buffer's, or they have no rewards and ``demo_reward`` is not set
        """
        given = demonstrations_of(demonstrations)
        if given is None:
            self._demonstrations_buffer = None
            return
        if given.rewards is None and self.demo_relabelling.reward is None:
            raise ValueError(
                "the demonstrations have no rewards; give demo_reward, a number or a function of observations, "
                "actions and next observations (in replay_buffer_kwargs, or in demo_replay_kwargs of a class such as "
                "SACfD), or demonstrations that were recorded with rewards"
            )
        kwargs = dict(self._kwargs_of_both)
        if isinstance(self, HerReplayBuffer):
            kwargs["env"] = self.env
        self._demonstrations_buffer = filled_buffer(
            self.plain_class(), given, self.observation_space, self.action_space, self.device, **kwargs
        )

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments that make a buffer like this one, but for its size and its demonstrations."""
        return {
            **self._kwargs_of_both,
            "demo_fraction": self.initial_demo_fraction,
            "final_demo_fraction": self.final_demo_fraction,
            "anneal_timesteps": self.anneal_timesteps,
            "demo_reward": self.demo_relabelling.reward,
            "online_reward": self.online_relabelling.reward,
        }

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Store one online transition of each environment."""
        super().add(*args, **kwargs)
        self.n_online_transitions += self.n_envs

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> Any:
        """Sample exactly ``batch_size`` rows, the demonstrations' last.

        :param batch_size: of both parts together
        :param env: normalises observations and rewards, if given
        :return: what :meth:`plain_class` returns
        """
        return self.sample_parts(batch_size, env)[0]

    def sample_parts(self, batch_size: int, env: VecNormalize | None = None) -> tuple[Any, int]:
        """Sample, and tell how many rows, the last ones, are demonstrations."""
        demos = self.demonstrations_buffer
        n_demo = 0 if demos is None else self._n_demo(batch_size)
        if demos is None or n_demo == 0:
            return self.online_relabelling(super().sample(batch_size, env=env)), 0
        demonstrated = self.demo_relabelling(demos.sample(n_demo, env=env))
        if n_demo == batch_size:
            return demonstrated, n_demo
        online = self.online_relabelling(super().sample(batch_size - n_demo, env=env))
        return concatenate(online, demonstrated), n_demo

    def _n_demo(self, batch_size: int) -> int:
        if not self._has_online():
            return batch_size
        rows = round(self.demo_fraction * batch_size, 9)  # 0.07 * 100 is 7.000000000000001
        whole = int(rows)
        if rows == whole:
            return whole
        # right on average, for 0.001 of 256, too; from SB3's own random stream
        return whole + int(np.random.random() < rows - whole)  # noqa: NPY002

    def _has_online(self) -> bool:
        if isinstance(self, HerReplayBuffer):
            return bool((self.ep_length > 0).any())  # it samples finished episodes only
        return self.size() > 0

    @classmethod
    def _check_observation_space(cls, space: spaces.Space[Any]) -> None:
        is_dict, takes_dict = isinstance(space, spaces.Dict), issubclass(cls.plain_class(), DictReplayBuffer)
        if is_dict != takes_dict:
            fitting = "DemoDictReplayBuffer (or DemoHerReplayBuffer)" if is_dict else "DemoReplayBuffer"
            raise ValueError(f"{cls.__name__} does not hold observations of {space}; use {fitting}")


def _check_fraction(name: str, value: object) -> None:
    require(is_number(value) and 0 <= value <= 1, name, value, "a number in [0, 1]")  # type: ignore[operator]
