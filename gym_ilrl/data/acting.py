"""Any policy as one function of a batch of observations."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from gym_ilrl.data.checks import fit

Act = Callable[[Any, NDArray[np.bool_], NDArray[np.bool_] | None], NDArray[Any]]
"""(observations, episode starts, action masks or ``None``) -> actions, each with one row an environment."""

# the most likely action, from what a policy's last layer puts out
_MODES: dict[type[Any], Callable[[th.Tensor], th.Tensor]] = {
    DiagGaussianDistribution: lambda mean: mean,
    CategoricalDistribution: lambda logits: logits.argmax(dim=1),
}


def acting(policy: Any, action_space: spaces.Space[Any], deterministic: bool) -> Act:
    """Return the function that asks ``policy`` for actions and carries its recurrent state.

    :param policy: anything with SB3's ``predict``, or a callable from a batch of observations to a batch of actions
    :param action_space: of one environment
    :param deterministic: passed to ``predict``
    :raises ValueError: if ``policy`` is neither
    """
    network = _feed_forward(policy)
    if network is not None:
        act = _acting_directly(network, deterministic)
        return _checking(act, action_space) if _has_offset(action_space) else act
    if not hasattr(policy, "predict"):
        if not callable(policy):
            raise ValueError(
                f"a policy has SB3's predict or is a function from observations to actions; {policy!r} is neither; "
                "load a saved model first (PPO.load(path)), and give the policy before the environment"
            )
        return _checking(_calling(policy), action_space)
    act = _predicting(policy, deterministic)
    trusted = isinstance(policy, BaseAlgorithm | BasePolicy) and not _has_offset(action_space)
    return act if trusted else _checking(act, action_space)


def takes_action_masks(policy: Any) -> bool:
    """Tell whether ``policy.predict`` has an argument ``action_masks``, as maskable policies have."""
    return hasattr(policy, "predict") and "action_masks" in inspect.signature(policy.predict).parameters


def _has_offset(space: spaces.Space[Any]) -> bool:
    """Tell whether actions are not counted from 0, which SB3's own policies do not know of."""
    return bool(np.any(getattr(space, "start", 0)))


def _feed_forward(policy: Any) -> BasePolicy | None:
    """Return the network of an SB3 policy that has no memory and no ``predict`` of its own."""
    if isinstance(policy, BaseAlgorithm) and type(policy).predict is BaseAlgorithm.predict:
        policy = policy.policy
    return policy if isinstance(policy, BasePolicy) and type(policy).predict is BasePolicy.predict else None


def _acting_directly(network: BasePolicy, deterministic: bool) -> Act:
    """Do what ``BasePolicy.predict`` does, without the part that is the same in every call (a third of the time)."""
    network.set_training_mode(False)
    space = network.action_space
    shape = (-1, *(space.shape or ()))
    predict = _most_likely(network) if deterministic else None
    predict = predict or partial(network._predict, deterministic=deterministic)

    def act(observations: Any, starts: NDArray[np.bool_], masks: NDArray[np.bool_] | None) -> NDArray[Any]:
        with th.inference_mode():
            chosen = predict(network.obs_to_tensor(observations)[0])
        actions: NDArray[Any] = chosen.cpu().numpy().reshape(shape)
        if not isinstance(space, spaces.Box):
            return actions
        return network.unscale_action(actions) if network.squash_output else np.clip(actions, space.low, space.high)

    return act


def _most_likely(network: BasePolicy) -> Callable[[Any], th.Tensor] | None:
    """Return what gives the most likely action of PPO's usual policies without building the distribution around it."""
    inherited = ("_predict", "get_distribution", "_get_action_dist_from_latent", "extract_features")
    if not isinstance(network, ActorCriticPolicy) or any(
        getattr(type(network), name) is not getattr(ActorCriticPolicy, name) for name in inherited
    ):
        return None
    mode = _MODES.get(type(network.action_dist))
    if mode is None:
        return None

    def most_likely(observations: Any) -> th.Tensor:
        features = BasePolicy.extract_features(network, observations, network.pi_features_extractor)
        return mode(network.action_net(network.mlp_extractor.forward_actor(features)))

    return most_likely


def _predicting(policy: Any, deterministic: bool) -> Act:
    state: Any = None

    def act(observations: Any, starts: NDArray[np.bool_], masks: NDArray[np.bool_] | None) -> NDArray[Any]:
        nonlocal state
        extra = {} if masks is None else {"action_masks": masks}
        actions, state = policy.predict(observations, state, starts, deterministic, **extra)
        return np.asarray(actions)

    return act


def _calling(function: Callable[[Any], Any]) -> Act:
    def act(observations: Any, starts: NDArray[np.bool_], masks: NDArray[np.bool_] | None) -> NDArray[Any]:
        try:
            actions = function(observations)
        except IndexError as error:  # what a function of one observation does with a batch
            raise ValueError(f"the policy failed ({error}); {_given(observations)}") from error
        if isinstance(actions, tuple) and len(actions) == 2 and actions[1] is None:
            raise ValueError("the policy returned a pair (actions, None), as SB3's predict does; return only the first")
        return np.asarray(actions)

    return act


def _given(observations: Any) -> str:
    return f"the policy is given a batch of observations, here of shape {_shapes(observations)}"


def _shapes(observations: Any) -> Any:
    """Return the shape of an array, or those of a dict of arrays."""
    if isinstance(observations, dict):
        return {key: np.shape(value) for key, value in observations.items()}
    return np.shape(observations)


def _checking(act: Act, action_space: spaces.Space[Any]) -> Act:
    """Refuse actions outside their space when they are given, not after hours of collecting."""

    def checked(observations: Any, starts: NDArray[np.bool_], masks: NDArray[np.bool_] | None) -> NDArray[Any]:
        given = np.asarray(act(observations, starts, masks))
        try:
            actions: NDArray[Any] = fit(given, action_space, "actions of the policy")
        except ValueError as error:
            if given.shape[1:] == action_space.shape and given.ndim:
                raise
            raise ValueError(f"{error}; {_given(observations)}") from error
        if len(actions) != len(starts):
            raise ValueError(f"the policy gave {len(actions)} actions for a batch of {len(starts)} observations")
        return actions

    return checked
