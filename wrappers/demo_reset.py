"""Episodes that start where a demonstration has been."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from gym_ilrl.arguments import is_number, require, require_positive_int
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import demonstrations_of
from gym_ilrl.wrappers.simulator_state import simulator, through_wrappers


class DemoReset(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    r"""Starts episodes in states that the demonstrator visited.

    ``"backward"``: first near the end of a demonstration, where little is left to do, then further and further back as
    success comes, until episodes start where the demonstrations do. A reward that random exploration meets after
    exponentially many episodes is met after linearly many (Salimans and Chen, "Learning Montezuma's Revenge from a
    Single Demonstration", 2018; Resnick et al., "Backplay", 2018). Of a random demonstration, the start is the state
    :math:`k` steps before its end, :math:`k` uniform in ``{distance - step_back + 1, ..., distance}``; ``distance``
    begins at ``step_back`` and grows by it when enough of the last ``window`` demonstrated starts succeeded.
    ``"uniform"``: any state of the demonstrations, a transition's each as likely as another's.

    An episode that ends with ``info["is_success"]`` is what that says. Any other succeeds if its return is at least
    what the demonstration earned from the same state on, less ``return_tolerance`` of its magnitude.

    Goes inside or outside of ``TimeLimit``, which counts every episode's steps from its own start. Wrappers that add
    to observations what the simulator's state does not say (stacked frames, the time) go outside of this one. In a
    ``VecEnv`` each sub-environment has its own curriculum.

    The info of ``reset`` has ``"demo_reset/steps_left"``: how many steps the demonstration took from there to its end,
    -1 where the episode starts as usual.

    :param env: whose state can be set, see :class:`~gym_ilrl.wrappers.RecordState`
    :param demonstrations: with states in ``infos["state"]`` (recorded through ``RecordState``), or the path of a file
    :param curriculum: ``"backward"`` or ``"uniform"``
    :param demo_probability: share of the episodes that start in a demonstrated state, in [0, 1]
    :param step_back: steps by which the start moves back, and width of the window of starts
    :param success_threshold: share of successes that moves the start back, in [0, 1]
    :param window: so many episodes from demonstrated states are counted before a decision
    :param return_tolerance: see above, at least 0
    :param state_of: returns the simulator's state for one observation; for demonstrations without states in an
        environment whose observation tells its state, e.g. ``np.array`` where it is the state
    :raises ValueError: if the environment's state cannot be set, the demonstrations hold no states, or an argument is
        outside its range
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        demonstrations: Demonstrations | str | Path,
        curriculum: Literal["backward", "uniform"] = "backward",
        demo_probability: float = 0.9,
        step_back: int = 5,
        success_threshold: float = 0.2,
        window: int = 20,
        return_tolerance: float = 0.1,
        state_of: Callable[[Any], Any] | None = None,
    ) -> None:
        RecordConstructorArgs.__init__(
            self,
            demonstrations=demonstrations,
            curriculum=curriculum,
            demo_probability=demo_probability,
            step_back=step_back,
            success_threshold=success_threshold,
            window=window,
            return_tolerance=return_tolerance,
            state_of=state_of,
        )
        gym.Wrapper.__init__(self, env)
        require(curriculum in ("backward", "uniform"), "curriculum", curriculum, "'backward' or 'uniform'")
        for name, share in (("demo_probability", demo_probability), ("success_threshold", success_threshold)):
            require(is_number(share) and 0 <= share <= 1, name, share, "a number between 0 and 1")
        for name, count in (("step_back", step_back), ("window", window)):
            require_positive_int(name, count)
        is_tolerance = is_number(return_tolerance) and return_tolerance >= 0
        require(is_tolerance, "return_tolerance", return_tolerance, "a number of at least 0")
        given = demonstrations_of(demonstrations)
        if given is None:
            raise ValueError("DemoReset needs demonstrations: give gym_ilrl.Demonstrations, or the path of a file")
        self._simulator = simulator(env)
        self._offsets, self._states = given.offsets, _states(given, state_of)
        self._returns_to_go = None if given.rewards is None else given.discounted_returns_to_go(1.0)
        self.curriculum, self.demo_probability, self.step_back = curriculum, demo_probability, step_back
        self.success_threshold, self.window, self.return_tolerance = success_threshold, window, return_tolerance
        self.distance = min(step_back, self._longest)
        self._successes: deque[bool] = deque(maxlen=window)
        self._generator = np.random.default_rng()
        self._start: int | None = None  # transition of the demonstrations that the running episode started at
        self._return = 0.0
        self._last_info: dict[str, Any] | None = None  # of the running episode, once it has been stepped
        self._is_checked = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Start an episode, as usual or in a demonstrated state."""
        self._judge_episode()
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        observation, info = self.env.reset(seed=seed, options=options)
        self._check_wrappers(observation)
        if self._generator.random() >= self.demo_probability:
            return observation, {**info, "demo_reset/steps_left": -1}
        episode, self._start = self._draw_start()
        self._simulator.set_state(self._states[self._start + episode])  # states have one row an episode more
        steps_left = int(self._offsets[episode + 1]) - self._start
        return self._observe(), {**info, **self._simulator.info(), "demo_reset/steps_left": steps_left}

    def step(self, action: ActType) -> tuple[ObsType, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._return += float(reward)
        self._last_info = info
        return observation, reward, terminated, truncated, info

    @property
    def _longest(self) -> int:
        return int(np.diff(self._offsets).max())

    def _draw_start(self) -> tuple[int, int]:
        """Return an episode of the demonstrations and one of their transitions in it."""
        if self.curriculum == "uniform":
            start = int(self._generator.integers(self._offsets[-1]))
            return int(np.searchsorted(self._offsets, start, side="right")) - 1, start
        episode = int(self._generator.integers(len(self._offsets) - 1))
        steps_left = self.distance - int(self._generator.integers(min(self.step_back, self.distance)))
        return episode, max(int(self._offsets[episode + 1]) - steps_left, int(self._offsets[episode]))

    def _judge_episode(self) -> None:
        """Count the episode that has run, whoever ended it: a ``TimeLimit`` outside is not seen from here."""
        start, info, earned = self._start, self._last_info, self._return
        self._start, self._last_info, self._return = None, None, 0.0
        if start is None or info is None or self.curriculum == "uniform":
            return
        self._successes.append(self._succeeded(start, info, earned))
        if len(self._successes) == self.window and np.mean(self._successes) >= self.success_threshold:
            self.distance = min(self.distance + self.step_back, self._longest)
            self._successes.clear()

    def _succeeded(self, start: int, info: dict[str, Any], earned: float) -> bool:
        if "is_success" in info:
            return bool(info["is_success"])
        if self._returns_to_go is None:
            raise ValueError(
                "what a success is cannot be told: the demonstrations have no rewards and the environment gives no "
                "info['is_success']; give demonstrations with rewards, or use curriculum='uniform'"
            )
        demonstrated = float(self._returns_to_go[start])
        return earned >= demonstrated - self.return_tolerance * abs(demonstrated) - 1e-6

    def _observe(self) -> Any:
        """Return the observation of the simulator's state, as ``env`` gives it."""
        return through_wrappers(self.env, self._simulator.observe())

    def _check_wrappers(self, observation: Any) -> None:
        """Refuse wrappers inside, from whose observation the simulator's is not found by the rule above."""
        if self._is_checked:
            return
        if not _equal(self._observe(), observation):
            raise ValueError(
                f"the observations of {self.env} do not follow from the simulator's state alone; put DemoReset inside "
                "of the wrappers that stack, count or normalise, right around the environment"
            )
        self._is_checked = True


def _states(demonstrations: Demonstrations, state_of: Callable[[Any], Any] | None) -> NDArray[Any]:
    """Return one state for each observation."""
    if state_of is None:
        if "state" not in (demonstrations.infos or {}):
            raise ValueError(
                "the demonstrations have no infos['state'] to start at; record them by collect(policy, "
                "RecordState(env), infos=['state'], ...), or give state_of, a function from an observation to the state"
            )
        return demonstrations.infos["state"]  # type: ignore[index]  # not None: it has a key
    observations = demonstrations.observations
    if isinstance(observations, dict):
        rows = [dict(zip(observations, row, strict=True)) for row in zip(*observations.values(), strict=True)]
        return np.stack([np.asarray(state_of(row)) for row in rows])
    return np.stack([np.asarray(state_of(row)) for row in observations])


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return np.array_equal(one, other)
