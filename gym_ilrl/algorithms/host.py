"""The SB3 algorithm that a cloned policy belongs to: it builds the policy, and takes it over afterwards."""

from typing import Any, TypeVar

import sb3_contrib
import stable_baselines3
from gymnasium import spaces
from sb3_contrib import ARS
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule

from gym_ilrl.algorithms.no_environment import NoEnvironment
from gym_ilrl.losses.actor import copy_actor_to_target

AlgorithmT = TypeVar("AlgorithmT", bound=BaseAlgorithm)


def resolve_base(base: str | type[BaseAlgorithm]) -> type[BaseAlgorithm]:
    """Return the algorithm class that ``base`` names.

    :param base: a class, or the name of one in ``stable_baselines3`` or ``sb3_contrib``, such as ``"SAC"``
    :raises ValueError: if there is none of that name, or it is not trained by gradients
    """
    found = base
    if isinstance(base, str):
        found = getattr(stable_baselines3, base, None) or getattr(sb3_contrib, base, None)  # type: ignore[assignment]
    if not (isinstance(found, type) and issubclass(found, BaseAlgorithm)):
        raise ValueError(
            "base must be a Stable-Baselines3 or sb3-contrib algorithm, such as PPO, or the exact name of one, such as "
            f"'SAC'; {base!r} is none"
        )
    if issubclass(found, ARS):
        raise ValueError("base=ARS cannot be cloned: ARS has no gradient; use another base, e.g. base=PPO")
    return found


def check_policy_class(policy_class: type[BasePolicy], algorithm: type[BaseAlgorithm]) -> None:
    """Refuse a policy class that is not, and does not extend, one of the algorithm's own.

    :raises TypeError: if it is no class at all
    :raises ValueError: naming both
    """
    if not isinstance(policy_class, type):
        raise TypeError(f"policy must be a policy class, or an alias such as 'MlpPolicy', not {policy_class!r}")
    own = tuple(algorithm.policy_aliases.values())
    if not own:  # an algorithm of the user's that names none
        return
    has_memory = issubclass(policy_class, RecurrentActorCriticPolicy)
    if not issubclass(policy_class, own) or has_memory != issubclass(own[0], RecurrentActorCriticPolicy):
        raise ValueError(
            f"{policy_class.__name__} is no policy of {algorithm.__name__}, which has "
            f"{', '.join(sorted({known.__name__ for known in own}))}; base= must be the algorithm that the policy is of"
        )


def build_policy(
    base: type[BaseAlgorithm],
    policy_class: type[BasePolicy],
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    learning_rate: float | Schedule,
    policy_kwargs: dict[str, Any],
    **kwargs: Any,
) -> BasePolicy:
    """Let ``base`` build its policy, so that whatever ``base`` does to its arguments is done here too.

    :param kwargs: other arguments of the algorithm (``seed``, ``device``, ``use_sde``)
    :raises ValueError: if ``base`` cannot build this policy for these spaces
    """
    if issubclass(base, OffPolicyAlgorithm):
        kwargs["buffer_size"] = 1  # its replay buffer is thrown away at once
    try:
        host = base(
            policy_class,
            NoEnvironment(observation_space, action_space),
            learning_rate=learning_rate,
            policy_kwargs=dict(policy_kwargs),
            **kwargs,
        )
    except (AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"{base.__name__} cannot build its {policy_class.__name__} for {observation_space} and {action_space}: "
            f"{error}; choose another policy, or another base="
        ) from error
    return host.policy


def hand_over(
    policy: BasePolicy, policy_class: type[BasePolicy], algorithm: type[AlgorithmT], env: GymEnv | str, **kwargs: Any
) -> AlgorithmT:
    """Build ``algorithm`` in ``env`` with a copy of ``policy`` inside.

    :raises ValueError: if the algorithm's policy has other parameters
    """
    check_policy_class(policy_class, algorithm)
    model = algorithm(policy_class, env, **kwargs)
    try:
        model.policy.load_state_dict(policy.state_dict())
    except (RuntimeError, AttributeError) as error:
        raise ValueError(
            f"the cloned {policy_class.__name__} does not fit into {algorithm.__name__} "
            f"(clone with base={algorithm.__name__}, and with the same policy_kwargs): {error}"
        ) from error
    copy_actor_to_target(model.policy)
    return model
