"""What of a callback is stored."""

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback


def lasting_state(callback: BaseCallback, *passing: str) -> dict[str, Any]:
    """Return a callback's attributes without the model and what else it is given anew by every ``learn()``.

    :param callback: to be pickled
    :param passing: names of further attributes that it makes anew
    """
    left_out = {"model", "locals", "globals", "parent", *passing}
    return {name: value for name, value in vars(callback).items() if name not in left_out}
