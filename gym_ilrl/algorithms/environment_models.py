"""The model of the environment that an SB3 algorithm was given."""

from typing import Any

import gymnasium as gym
from gymnasium import spaces
from stable_baselines3.common.env_util import unwrap_wrapper
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from gym_ilrl.planning.tabular_mdp import TabularMDP


class ProcessEnv(gym.Wrapper[Any, Any, Any, Any]):
    """An environment made of a process, which it carries along: reading it back would lose discount and horizon.

    :param mdp: what to make an environment of
    """

    def __init__(self, mdp: TabularMDP) -> None:
        super().__init__(mdp.to_env())
        self.mdp = mdp


def as_environment(env: GymEnv | TabularMDP) -> GymEnv:
    """Return an environment; a process is made one."""
    return ProcessEnv(env) if isinstance(env, TabularMDP) else env


def read_model(env: VecEnv, gamma: float, horizon: int | None) -> TabularMDP:
    """Return the model of the environments in ``env``, which are taken to be alike: of the first one.

    :param env: as SB3 has wrapped it. Wrappers do not change the model: its rewards are those of the innermost
        environment
    :param gamma: discount factor
    :param horizon: number of steps, or None
    :raises ValueError: if the environment publishes no model, or one of another size than its spaces
    """
    given = _given_process(env)
    if given is None:
        mdp = TabularMDP.from_env(env.get_attr("unwrapped", indices=0)[0], gamma, horizon)
    else:
        same = (given.gamma, given.horizon) == (gamma, horizon)
        mdp = given if same else given.replace(gamma=gamma, horizon=horizon)
    for name, space, size in (
        ("observation_space", env.observation_space, mdp.n_states),
        ("action_space", env.action_space, mdp.n_actions),
    ):
        if not isinstance(space, spaces.Discrete) or space.n != size:
            raise ValueError(
                f"the model of the environment has {mdp.n_states} states and {mdp.n_actions} actions, and its {name} "
                f"is {space}; leave out the wrapper that changes it"
            )
    return mdp


def published(env: VecEnv, name: str) -> Any:
    """Return what the environments in ``env`` publish under a name, such as ``features``; None where they do not.

    :param env: as SB3 has wrapped it
    :param name: of an attribute of the innermost environment
    """
    return getattr(env.get_attr("unwrapped", indices=0)[0], name, None)


def _given_process(env: VecEnv) -> TabularMDP | None:
    inner = env.unwrapped
    wrapper = unwrap_wrapper(inner.envs[0], ProcessEnv) if isinstance(inner, DummyVecEnv) else None
    return wrapper.mdp if isinstance(wrapper, ProcessEnv) else None
