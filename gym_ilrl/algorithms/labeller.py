"""The expert as DAgger asks it: bound to the environment, given raw observations, its answers checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import VecEnv

from gym_ilrl.algorithms.checks import is_recurrent
from gym_ilrl.experts.base import Expert, PrivilegedExpert
from gym_ilrl.experts.registry import expert as find_expert


class Labeller:
    """Asks an expert for its actions.

    :param expert: an SB3 model or policy, the path of a saved one, anything with SB3's ``predict``, a callable from a
        batch of observations to a batch of actions, or None for the environment's own expert
    :param env: the environment whose states are labelled
    :raises TypeError: if ``expert`` is none of these
    :raises ValueError: if there is no file at the path, or the environment has no expert of its own
    """

    def __init__(self, expert: Any, env: VecEnv) -> None:
        self._action_space = env.action_space
        resolved = resolve_expert(expert, env)
        self._expert = resolved.bind(env) if hasattr(resolved, "bind") else resolved
        self._state: Any = None

    @property
    def can_label_later(self) -> bool:
        """True if the answer depends on the observation alone, so that a whole round can be asked at once."""
        if isinstance(self._expert, BaseAlgorithm | BasePolicy):
            policy = self._expert.policy if isinstance(self._expert, BaseAlgorithm) else self._expert
            return not is_recurrent(policy)
        return isinstance(self._expert, Expert) and not isinstance(self._expert, PrivilegedExpert)

    def label(self, observations: Any, episode_starts: NDArray[np.bool_] | None = None) -> NDArray[Any]:
        """Return the expert's actions.

        :param observations: a batch, raw
        :param episode_starts: of shape ``(n,)``, for experts with a memory
        :raises ValueError: if the answer is no batch of actions
        """
        actions, self._state = self._expert.predict(
            observations, state=self._state, episode_start=episode_starts, deterministic=True
        )
        return self._checked(np.asarray(actions), _batch_size(observations))

    def _checked(self, actions: NDArray[Any], n: int) -> NDArray[Any]:
        space, expected = self._action_space, (n, *(self._action_space.shape or ()))
        if actions.shape != expected:
            raise ValueError(f"the expert answered with actions of shape {actions.shape}; expected {expected}")
        if isinstance(space, spaces.Box):
            slack = 1e-5 * (space.high - space.low)
            inside = (actions >= space.low - slack) & (actions <= space.high + slack)  # false for NaN
            if not inside.all():
                raise ValueError(
                    f"the expert answered {actions[~inside][0]}, which is outside its action space {space}"
                )
            clipped: NDArray[Any] = np.clip(actions, space.low, space.high).astype(space.dtype)
            return clipped
        labels = actions.astype(space.dtype)
        if not all(space.contains(label) for label in labels):
            raise ValueError(f"the expert answered an action outside its action space {space}: {actions}")
        return labels


class _CallableExpert:
    """A function from observations to actions, with SB3's ``predict``."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        return self._function(observation), state


def resolve_expert(expert: Any, env: VecEnv) -> Any:
    """Return something with SB3's ``predict``; see :class:`Labeller` for what may be given."""
    if expert is None:
        return find_expert(env)
    if isinstance(expert, str | Path):
        return load_policy(expert)
    if hasattr(expert, "predict"):
        return expert
    if callable(expert):
        return _CallableExpert(expert)
    raise TypeError(
        f"expert must be an SB3 model or the path of one, an object with SB3's predict(), or a function from "
        f"observations to actions, not {type(expert).__name__}"
    )


def load_policy(path: str | Path) -> BasePolicy:
    """Read the policy alone out of a saved SB3 model, of whatever algorithm.

    :raises ValueError: if there is no such file, or it is no saved model
    """
    try:
        data, params, _ = load_from_zip_file(path, device="auto")
    except (OSError, ValueError) as error:
        raise ValueError(f"expert={str(path)!r} is no saved SB3 model: {error}") from error
    if data is None or "policy" not in params:
        raise ValueError(f"expert={str(path)!r} is no saved SB3 model: it holds no policy")
    kwargs = dict(data.get("policy_kwargs") or {})
    if data.get("use_sde"):
        kwargs["use_sde"] = True
    policy: BasePolicy = data["policy_class"](
        data["observation_space"], data["action_space"], data.get("lr_schedule", lambda _: 0.0), **kwargs
    )
    policy.load_state_dict(cast(dict[str, Any], params["policy"]))
    policy.set_training_mode(False)
    return policy


def _batch_size(observations: Any) -> int:
    return len(next(iter(observations.values()))) if isinstance(observations, dict) else len(observations)
