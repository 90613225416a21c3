"""The expert as DAgger asks it: bound to the environment, given raw observations, its answers checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import QRDQN, MaskablePPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import VecEnv

from gym_ilrl.algorithms.bc import BC
from gym_ilrl.algorithms.host import build_policy
from gym_ilrl.data.acting import takes_action_masks
from gym_ilrl.data.checks import fit
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
        self.needs_masks = self._takes_masks()  # whether the expert is to be told which actions are allowed

    @property
    def can_label_later(self) -> bool:
        """True if the answer depends on the observation alone, so that a whole round can be asked at once."""
        if isinstance(self._expert, Expert):
            return type(self._expert).predict is Expert.predict and not isinstance(self._expert, PrivilegedExpert)
        if isinstance(self._expert, BaseAlgorithm):
            return type(self._expert).predict in _MEMORYLESS and _has_no_memory(self._expert.policy)
        return isinstance(self._expert, BasePolicy) and _has_no_memory(self._expert)

    def _takes_masks(self) -> bool:
        if isinstance(self._expert, BaseAlgorithm | BasePolicy):
            return isinstance(getattr(self._expert, "policy", self._expert), MaskableActorCriticPolicy)
        return takes_action_masks(self._expert)

    def label(
        self, observations: Any, episode_starts: NDArray[np.bool_], masks: NDArray[np.bool_] | None = None
    ) -> NDArray[Any]:
        """Return the expert's actions.

        :param observations: a batch, raw
        :param episode_starts: of shape ``(n,)``, for experts with a memory
        :param masks: of shape ``(n, number of masks)``, for experts that ``needs_masks``
        :raises ValueError: if the answer is no batch of actions
        """
        options = {"action_masks": masks} if self.needs_masks else {}
        answer = self._expert.predict(
            observations, state=self._state, episode_start=episode_starts, deterministic=True, **options
        )
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise ValueError(f"the expert's predict() must return (actions, state), as SB3's does, not {answer!r}")
        actions, self._state = answer
        return self._checked(actions, len(episode_starts))

    def _checked(self, answer: Any, n: int) -> NDArray[Any]:
        space = self._action_space
        actions: NDArray[Any] = fit(answer, space, "actions of the expert")
        if len(actions) != n:
            raise ValueError(f"the expert gave {len(actions)} actions for {n} observations; it acts on batches")
        inside: NDArray[Any] = (
            np.clip(actions, space.low, space.high) if isinstance(space, spaces.Box) else actions.copy()
        )
        return inside


_MEMORYLESS = (BaseAlgorithm.predict, DQN.predict, QRDQN.predict, MaskablePPO.predict, BC.predict)


def _has_no_memory(policy: BasePolicy) -> bool:
    return type(policy).predict in (BasePolicy.predict, MaskableActorCriticPolicy.predict)


class _CallableExpert:
    """A function from observations to actions, with SB3's ``predict``."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        return self._function(observation), state


def check_expert(expert: Any) -> None:
    """Refuse what :class:`Labeller` cannot ask.

    :raises TypeError: if it is of no kind that is known
    :raises ValueError: if it is the path of a file that does not exist, or a model that learned from normalised
        observations: the expert is given raw ones
    """
    if isinstance(expert, BaseAlgorithm):
        normalised = expert.get_vec_normalize_env()
        if normalised is not None and normalised.norm_obs:
            raise ValueError(
                "the expert was trained on observations normalised by VecNormalize and is given raw ones; give "
                "expert=lambda obs: model.predict(vec_normalize.normalize_obs(obs), deterministic=True)[0]"
            )
    elif isinstance(expert, str | Path):
        if not (Path(expert).exists() or Path(f"{expert}.zip").exists()):
            raise ValueError(
                f"expert={str(expert)!r} is no saved SB3 model: there is no such file; "
                "the expert of an environment is gym_ilrl.expert(id)"
            )
    elif isinstance(expert, type) or not (expert is None or hasattr(expert, "predict") or callable(expert)):
        given = f"the class {expert.__name__}" if isinstance(expert, type) else type(expert).__name__
        raise TypeError(
            f"expert must be an SB3 model or the path of one, an object with SB3's predict(), or a function from "
            f"observations to actions, not {given}"
        )


def resolve_expert(expert: Any, env: VecEnv) -> Any:
    """Return something with SB3's ``predict``; see :class:`Labeller` for what may be given."""
    check_expert(expert)
    if expert is None:
        return find_expert(env)
    if isinstance(expert, str | Path):
        return load_policy(expert)
    return expert if hasattr(expert, "predict") else _CallableExpert(expert)


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
    policy = _empty_policy(data)
    policy.load_state_dict(cast(dict[str, Any], params["policy"]))
    policy.set_training_mode(False)
    return policy


def _empty_policy(data: dict[str, Any]) -> BasePolicy:
    kwargs = dict(data.get("policy_kwargs") or {})
    use_sde = {"use_sde": True} if data.get("use_sde") else {}
    observation_space, action_space = data["observation_space"], data["action_space"]
    if "base" in data:  # saved by BC or DAgger, whose base changes the arguments
        return build_policy(
            data["base"], data["policy_class"], observation_space, action_space, 0.0, kwargs, device="auto", **use_sde
        )
    policy: BasePolicy = data["policy_class"](observation_space, action_space, lambda _: 0.0, **{**kwargs, **use_sde})
    return policy
