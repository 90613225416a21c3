"""The policy that an anchor is given."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from gym_ilrl.losses.actor import unwrap


def given_policy(given: BasePolicy | BaseAlgorithm | str | Path, model: BaseAlgorithm) -> BasePolicy:
    """Return the policy that is meant, checked against the model's.

    :param given: a policy, a model, or the path of a saved model of the same algorithm
    :param model: whose policy it is to be compared with
    :raises ValueError: if the two do not speak of the same observations and actions
    """
    if isinstance(given, str | Path):
        with untouched_random_streams():  # loading seeds them with the seed of the saved model
            given = type(model).load(given, device=model.device)
    policy = unwrap(given.policy if isinstance(given, BaseAlgorithm) else given)
    own = unwrap(model.policy)
    for name in ("observation_space", "action_space", "squash_output"):
        expected, found = getattr(own, name), getattr(policy, name, None)
        if found != expected:
            raise ValueError(
                f"the reference has the {name} {found} and the model's policy {expected}; give a policy of the same "
                "observations and actions"
            )
    return policy


@contextmanager
def untouched_random_streams() -> Iterator[None]:
    """Leave the global random streams as they were."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  # SB3 seeds this one
    try:
        with th.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
