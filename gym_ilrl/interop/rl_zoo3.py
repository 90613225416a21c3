"""Train and watch the algorithms of this package with rl_zoo3: ``python -m gym_ilrl.interop.rl_zoo3 train ...``."""

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

import gym_ilrl
from gym_ilrl.data.collect import collect
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.experts.registry import expert

HYPERPARAMS = Path(__file__).parent / "hyperparams"

# the name in rl_zoo3 -> the class here, and the algorithm of rl_zoo3 whose hyperparameters it has, if there is one
ALGORITHMS: dict[str, tuple[str, str | None]] = {
    "bc": ("BC", None),
    "dagger": ("DAgger", None),
    "reinforce": ("REINFORCE", None),
    "ppofd": ("PPOfD", "ppo"),
    "a2cfd": ("A2CfD", "a2c"),
    "trpofd": ("TRPOfD", "trpo"),
    "ppo_lstmfd": ("RecurrentPPOfD", "ppo_lstm"),
    "sacfd": ("SACfD", "sac"),
    "td3fd": ("TD3fD", "td3"),
    "ddpgfd": ("DDPGfD", "ddpg"),
    "tqcfd": ("TQCfD", "tqc"),
    "crossqfd": ("CrossQfD", "crossq"),
    "dqfd": ("DQfD", "dqn"),
    "qrdqnfd": ("QRDQNfD", "qrdqn"),
}


@dataclass(frozen=True)
class ZooAlgorithm:
    """An algorithm as rl_zoo3 uses it: called with the values of a hyperparameter file, or loaded.

    ``demonstrations: expert:5`` in the file stands for five episodes of the environment's expert.

    :param class_name: of the class in :mod:`gym_ilrl`, which is imported on use
    """

    class_name: str

    @property
    def __name__(self) -> str:
        return self.class_name

    @property
    def algorithm(self) -> type[BaseAlgorithm]:
        """The class."""
        algorithm: type[BaseAlgorithm] = getattr(gym_ilrl, self.class_name)
        return algorithm

    @property
    def load(self) -> Callable[..., BaseAlgorithm]:
        """The class's own ``load``."""
        return self.algorithm.load

    def __call__(self, *, env: VecEnv, **hyperparams: Any) -> BaseAlgorithm:
        """Build the algorithm.

        :param env: to learn in; it is neither reset nor stepped here
        :param hyperparams: arguments of the algorithm
        """
        given = hyperparams.get("demonstrations")
        n_episodes = episodes_of_expert(given)
        if n_episodes is not None:
            hyperparams["demonstrations"] = collect_beside(env, n_episodes, hyperparams.get("seed"))
        return self.algorithm(env=env, **hyperparams)


def episodes_of_expert(given: Any) -> int | None:
    """Return the 5 of ``"expert:5"``, and None for anything that does not begin with ``"expert:"``.

    :raises ValueError: if what follows is not a number of episodes
    """
    if not isinstance(given, str) or not given.startswith("expert:"):
        return None
    match = re.fullmatch(r"expert:([1-9]\d*)", given)
    if match is None:
        raise ValueError(f"demonstrations={given!r} does not say how many episodes of the expert; write 'expert:5'")
    return int(match[1])


def collect_beside(env: VecEnv, n_episodes: int, seed: int | None) -> Demonstrations:
    """Record episodes of the expert of ``env`` in an environment made like it, so that ``env`` is left as it is.

    :param env: which environment
    :param n_episodes: how many
    :param seed: makes the recording repeatable
    :raises LookupError: if the environment has no spec to make another from, or there is no expert for it
    """
    spec = env.get_attr("spec")[0]
    if spec is None:
        raise LookupError("the environment has no spec that tells its id; give the path of a file of demonstrations")
    kwargs = {key: value for key, value in spec.kwargs.items() if key != "render_mode"}
    single = gym.make(replace(spec, kwargs=kwargs, additional_wrappers=()))
    try:
        return collect(expert(single), single, n_episodes=n_episodes, seed=seed)
    finally:
        single.close()


def register() -> None:
    """Make the algorithms known to rl_zoo3, with the samplers of the algorithms that they extend.

    :raises ImportError: if rl_zoo3 is not installed
    """
    zoo = _import("rl_zoo3")
    optimization = _import("rl_zoo3.hyperparams_opt")
    tables = [getattr(optimization, f"HYPERPARAMS_{name}", {}) for name in ("SAMPLER", "CONVERTER")]
    for name, (class_name, host) in ALGORITHMS.items():
        if host is not None and host not in zoo.ALGOS:
            continue  # CrossQ, in versions before it
        zoo.ALGOS[name] = ZooAlgorithm(class_name)
        for table in tables:
            if host in table:
                table[name] = table[host]


def with_default_file(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of ``train`` and, for our algorithms, the hyperparameter file of this package.

    :param arguments: of rl_zoo3's ``train``; a file that they name stays
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--algo", default="ppo")
    parser.add_argument("-conf", "--conf-file")
    known, _ = parser.parse_known_args(arguments)
    if known.conf_file is not None or known.algo not in ALGORITHMS:
        return list(arguments)
    return [*arguments, "--conf-file", str(HYPERPARAMS / f"{known.algo}.yml")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``train`` or ``enjoy`` of rl_zoo3 with the algorithms of this package beside its own.

    :param arguments: the script and its arguments; by default those of the command line
    """
    script, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if script not in ("train", "enjoy"):
        raise SystemExit(f"usage: python -m gym_ilrl.interop.rl_zoo3 {{train,enjoy}} ..., not {script!r}")
    try:
        register()
    except ImportError as error:
        raise SystemExit(str(error)) from error
    sys.argv = [f"rl_zoo3 {script}", *(with_default_file(rest) if script == "train" else rest)]
    getattr(_import(f"rl_zoo3.{script}"), script)()


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(f'{error.name} is not installed, and this needs it: pip install "gym-ilrl[zoo]"') from error


if __name__ == "__main__":
    main()
