"""The state of a simulator as one flat array of numbers, read and written."""

from abc import ABC, abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs import classic_control, toy_text
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from numpy.typing import NDArray

from gym_ilrl.envs.episodes import info_of_row
from gym_ilrl.envs.single import SingleEnv

_CLASSIC_CONTROL = (
    classic_control.AcrobotEnv,
    classic_control.CartPoleEnv,
    classic_control.Continuous_MountainCarEnv,
    classic_control.MountainCarEnv,
    classic_control.PendulumEnv,
)
_TOY_TEXT = (toy_text.CliffWalkingEnv, toy_text.FrozenLakeEnv, toy_text.TaxiEnv)


class Simulator(ABC):
    """Reads and writes the state of an environment, without its wrappers.

    :param env: unwrapped, of a kind that the class knows
    """

    def __init__(self, env: Any) -> None:
        self.env = env

    @abstractmethod
    def get_state(self) -> NDArray[Any]:
        """Return a copy of the state, of shape ``(k,)``: float64, or uint8 where it holds more than numbers."""

    @abstractmethod
    def set_state(self, state: NDArray[Any]) -> None:
        """Continue from a state; the environment must have been reset before.

        :raises ValueError: if it is no state of this environment
        """

    @abstractmethod
    def observe(self) -> Any:
        """Return the observation of the present state."""

    def info(self) -> dict[str, Any]:
        """Return those entries of the info that belong to the present state."""
        return {}

    def _fitting(self, state: NDArray[Any]) -> NDArray[Any]:
        given, present = np.asarray(state), self.get_state()
        bytes_are_mixed_up = (given.dtype == np.uint8) != (present.dtype == np.uint8)
        if given.shape != present.shape or given.dtype.kind not in "fiu" or bytes_are_mixed_up:
            raise ValueError(
                f"expected a state of {type(self.env).__name__}, {present.dtype} of shape {present.shape}, and was "
                f"given {given.dtype} of shape {given.shape}; record states with RecordState in the same environment"
            )
        return given.astype(present.dtype)


class _OwnMethods(Simulator):
    """Environments with ``get_state``, ``set_state`` and ``observe``, as all of ``ilrl/`` have.

    A record whose fields are of one float type becomes numbers, another one its bytes. The key of the random
    numbers is no part of where an episode starts: with it, every episode from a state would meet the same chance.
    """

    def get_state(self) -> NDArray[Any]:
        record = np.array(self.env.get_state())
        if record.dtype.names is None:
            return record.reshape(-1)
        if _is_of_floats(record.dtype):
            return structured_to_unstructured(record, dtype=np.float64).reshape(-1)
        return np.frombuffer(record.tobytes(), dtype=np.uint8)

    def set_state(self, state: NDArray[Any]) -> None:
        flat, present = self._fitting(state), np.array(self.env.get_state())
        if present.dtype.names is None:
            self.env.set_state(flat.reshape(present.shape))
            return
        if _is_of_floats(present.dtype):
            record = np.asarray(unstructured_to_structured(flat, dtype=present.dtype))
        else:
            record = np.frombuffer(flat.tobytes(), dtype=present.dtype).reshape(present.shape).copy()
        if "key" in present.dtype.names:
            record["key"] = present["key"]
        self.env.set_state(record)

    def observe(self) -> Any:
        return self.env.observe()

    def info(self) -> dict[str, Any]:
        if isinstance(self.env, SingleEnv):
            return info_of_row(self.env.dynamics.info(), self.env.row)
        return {}


class _MuJoCo(Simulator):
    """Positions and velocities of Gymnasium's MuJoCo environments."""

    def get_state(self) -> NDArray[Any]:
        return np.concatenate([self.env.data.qpos.flat, self.env.data.qvel.flat]).astype(np.float64)

    def set_state(self, state: NDArray[Any]) -> None:
        qpos, qvel = np.split(self._fitting(state), [self.env.model.nq])
        self.env.set_state(qpos, qvel)

    def observe(self) -> Any:
        return self.env._get_obs()


class _ClassicControl(Simulator):
    """The ``state`` of Gymnasium's classic control environments."""

    def get_state(self) -> NDArray[Any]:
        return np.array(self.env.state, dtype=np.float64)

    def set_state(self, state: NDArray[Any]) -> None:
        self.env.state = self._fitting(state)

    def observe(self) -> Any:
        for name in ("_get_obs", "_get_ob"):  # of Pendulum and Acrobot
            if hasattr(self.env, name):
                return getattr(self.env, name)()
        return np.array(self.env.state, dtype=self.env.observation_space.dtype)


class _ToyText(Simulator):
    """The number of the state in Gymnasium's toy text environments, Blackjack excepted."""

    def get_state(self) -> NDArray[Any]:
        return np.array([self.env.s], dtype=np.float64)

    def set_state(self, state: NDArray[Any]) -> None:
        self.env.s = int(self._fitting(state)[0])

    def observe(self) -> Any:
        return int(self.env.s)

    def info(self) -> dict[str, Any]:
        if hasattr(self.env, "action_mask"):  # Taxi
            return {"action_mask": self.env.action_mask(self.env.s)}
        return {}


def simulator(env: gym.Env[Any, Any]) -> Simulator:
    """Return what reads and writes the state of ``env``, whatever it is wrapped in.

    :raises ValueError: if its state cannot be set
    """
    inner: Any = env.unwrapped
    if all(hasattr(inner, name) for name in ("get_state", "set_state", "observe")):
        return _OwnMethods(inner)
    if all(hasattr(inner, name) for name in ("data", "model", "set_state", "_get_obs")):
        return _MuJoCo(inner)
    if isinstance(inner, _CLASSIC_CONTROL):
        return _ClassicControl(inner)
    if isinstance(inner, _TOY_TEXT):
        return _ToyText(inner)
    raise ValueError(
        f"the state of {type(inner).__name__} cannot be set; this needs an ilrl/, MuJoCo, classic control or tabular "
        "toy text environment, or one of your own with get_state(), set_state(state) and observe()"
    )


def through_wrappers(env: gym.Env[Any, Any], observation: Any) -> Any:
    """Return an observation of ``env.unwrapped`` as the wrappers around it pass it on at a reset."""
    if not isinstance(env, gym.Wrapper):
        return observation
    observation = through_wrappers(env.env, observation)
    return env.observation(observation) if isinstance(env, gym.ObservationWrapper) else observation


def _is_of_floats(dtype: np.dtype[Any]) -> bool:
    """Tell whether all fields of a record are of one float type, which float64 holds exactly."""
    bases = {dtype[name].base for name in dtype.names or ()}
    return len(bases) == 1 and bases.pop().kind == "f"
