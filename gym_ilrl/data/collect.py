"""Collecting demonstrations from any policy, quickly and without favouring short episodes."""

import contextlib
import operator
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from sb3_contrib.common.maskable.utils import is_masking_supported
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor, unwrap_vec_normalize

from gym_ilrl import __version__
from gym_ilrl.data.acting import Act, acting, takes_action_masks
from gym_ilrl.data.checks import check_space
from gym_ilrl.data.compatibility import describe
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.quota import Quota
from gym_ilrl.data.raw_env import raw_vec_env
from gym_ilrl.data.recording import Recording, with_final_rows
from gym_ilrl.data.watching import Watched
from gym_ilrl.vec_env import make_vec_env


def collect(
    policy: Any,
    env: str | gym.Env[Any, Any] | VecEnv,
    n_episodes: int | None = None,
    n_timesteps: int | None = None,
    n_envs: int = 1,
    seed: int | None = None,
    deterministic: bool = True,
    infos: Sequence[str] = (),
    progress_bar: bool = False,
) -> Demonstrations:
    r"""Record a policy's episodes.

    What is recorded are the environment's own observations and rewards, below ``VecNormalize`` and
    ``VecTransposeImage``; the policy sees what ``env`` gives. The running statistics of ``VecNormalize`` are used and
    not moved. Rewards have SB3's precision, float32.

    No episode is favoured for being short. With ``n_episodes``, environment ``i`` contributes its first
    ``n_episodes // n_envs`` episodes (one more for the first ``n_episodes % n_envs`` environments), however long they
    take. With ``n_timesteps``, every episode that was *started* before that many steps is finished and kept: the number
    of episodes is then a stopping time of the sequence of episodes, so that sums over them have the expectation that
    Wald's identity gives (dropping the unfinished ones would drop long ones).

    :param policy: an SB3 model or policy, an expert, anything else with SB3's ``predict``, or a callable from a batch
        of observations to a batch of actions. An expert with a ``bind`` method is bound to the environments
    :param env: an id (``n_envs`` of them are made and closed), an environment, or an SB3 ``VecEnv``; it is reset
    :param n_episodes: how many episodes, exactly; this or ``n_timesteps``
    :param n_timesteps: at least how many steps
    :param n_envs: how many environments to make of an id
    :param seed: makes the recording repeatable, the policy's random draws included (those that use torch's, numpy's or
        Python's global generator, which are left as they were); environment ``i`` gets ``seed + i``
    :param deterministic: passed to ``predict``
    :param infos: keys of the environment's info to keep for each observation, the one of ``reset`` included. The masks
        that a maskable policy uses are always kept, as ``"action_masks"``; all actions count as allowed in an
        episode's last observation, in which nothing is done
    :param progress_bar: show one (needs tqdm)
    :return: the episodes: the first ones of all environments, then the second ones, and so on
    :raises ValueError: if neither or both of ``n_episodes`` and ``n_timesteps`` are given, or something does not fit
    """
    quota = Quota(n_episodes, n_timesteps)
    seed = None if seed is None else operator.index(seed)  # Python's and Gymnasium's generators take no numpy integers
    with _seeded(seed, deterministic, policy), _vec_env(env, quota.useful_envs(n_envs), n_envs) as venv:
        _check_normalised(policy, venv)
        inner, to_policy = raw_vec_env(venv)
        check_space(inner.observation_space, "observation")
        check_space(inner.action_space, "action")
        if seed is not None:
            inner.seed(seed)
        masked = (takes_action_masks(policy) or "action_masks" in infos) and is_masking_supported(inner)
        act = acting(policy.bind(inner) if hasattr(policy, "bind") else policy, inner.action_space, deterministic)
        with _bar(progress_bar, quota) as advance:
            recording = _record(act, to_policy, Watched(inner, infos, masked), quota, advance)
        described = describe(inner)
    return Demonstrations(**_fields(recording), **described, metadata=_metadata(policy, seed, deterministic))


def _record(
    act: Act, to_policy: Callable[[Any], Any], watched: Watched, quota: Quota, advance: Callable[[int], Any]
) -> Recording:
    """Step the environments until every episode that counts has ended."""
    venv = watched.venv
    base = venv.unwrapped  # wrappers do not pass on the infos of reset
    recording = Recording(venv.num_envs)
    quota.begin(venv.num_envs)
    observations = venv.reset()
    present = watched.now(observations, base.reset_infos)
    starts = np.ones(venv.num_envs, dtype=bool)
    while quota.counts.any():
        actions = act(to_policy(observations), starts, present.get("infos/action_masks"))
        observations, rewards, starts, infos = venv.step(actions)
        recording.step({**present, "actions": actions, "rewards": rewards})
        current_infos = list(infos)
        for row in np.flatnonzero(starts).tolist():
            final = {**watched.final(infos[row], present), "truncated": infos[row].get("TimeLimit.truncated", False)}
            recording.end_episode(row, final if quota.counts[row] else None)
            current_infos[row] = base.reset_infos[row]
        advance(len(starts) if quota.n_timesteps else int((starts & quota.counts).sum()))
        quota.step(starts)
        present = watched.now(observations, current_infos)
    return recording


def _fields(recording: Recording) -> dict[str, Any]:
    """Return the fields of the demonstrations."""
    offsets, columns, finals = recording.sorted_episodes()
    truncations = np.zeros(offsets[-1], dtype=bool)
    truncations[offsets[1:] - 1] = [final["truncated"] for final in finals]
    terminations = np.zeros_like(truncations)
    terminations[offsets[1:] - 1] = ~truncations[offsets[1:] - 1]
    complete = {
        name: with_final_rows(name, values, [final[name] for final in finals], offsets)
        for name, values in columns.items()
        if name not in ("actions", "rewards")
    }
    by_key = {name.removeprefix("observations/"): value for name, value in complete.items() if name[:5] != "infos"}
    return {
        "observations": complete.get("observations", by_key),
        "actions": columns["actions"],
        "rewards": columns["rewards"],
        "terminations": terminations,
        "truncations": truncations,
        "infos": {name.removeprefix("infos/"): value for name, value in complete.items() if name[:5] == "infos"},
        "offsets": offsets,
    }


@contextlib.contextmanager
def _vec_env(env: Any, useful: int, n_envs: int) -> Iterator[VecEnv]:
    """Give ``env`` as a ``VecEnv``, and close it afterwards if it was made here."""
    if isinstance(env, str):
        made = make_vec_env(env, n_envs=useful)
        try:
            yield made.venv if isinstance(made, VecMonitor) else made  # nobody reads the statistics
        finally:
            made.close()
        return
    if not isinstance(env, VecEnv | gym.Env):
        raise ValueError(f"expected an environment id, a gym.Env or an SB3 VecEnv to collect in, not {env!r}")
    venv = env if isinstance(env, VecEnv) else DummyVecEnv([lambda: env])
    if n_envs not in (1, venv.num_envs):
        raise ValueError(
            f"n_envs={n_envs}, but the given environment is {venv.num_envs}; pass its id to have more made"
        )
    yield venv


@contextlib.contextmanager
def _seeded(seed: int | None, deterministic: bool, policy: Any) -> Iterator[None]:
    """Seed the global generators that policies draw from, and put them back afterwards."""
    if seed is None:
        yield
        return
    before = random.getstate(), np.random.get_state()  # noqa: NPY002  (DQN's exploration draws from this one)
    device = getattr(policy, "device", None)
    with th.random.fork_rng(devices=[device] if getattr(device, "type", "cpu") == "cuda" else []):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        th.manual_seed(seed)
        if not deterministic and isinstance(policy, BaseAlgorithm):
            policy.action_space.seed(seed)  # DQN explores by its samples
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


@contextlib.contextmanager
def _bar(shown: bool, quota: Quota) -> Iterator[Callable[[int], Any]]:
    """Give the function that advances the progress bar."""
    if not shown:
        yield lambda n: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError('progress_bar=True needs tqdm: pip install "gym-ilrl[progress]"') from error
    unit = "episodes" if quota.n_timesteps is None else "steps"
    with tqdm(total=quota.n_episodes or quota.n_timesteps, unit=f" {unit}", desc="collect") as bar:
        yield bar.update


def _check_normalised(policy: Any, venv: VecEnv) -> None:
    """Refuse to show raw observations to a model that was trained on normalised ones."""
    trained_on = policy.get_vec_normalize_env() if isinstance(policy, BaseAlgorithm) else None
    if trained_on is not None and trained_on.norm_obs and unwrap_vec_normalize(venv) is None:
        raise ValueError(
            "the model was trained on observations normalised by VecNormalize and the environment gives raw ones; "
            "collect in model.get_env(), or load the VecNormalize around the environment"
        )


def _metadata(policy: Any, seed: int | None, deterministic: bool) -> dict[str, Any]:
    name = type(policy).__name__ if hasattr(policy, "predict") else getattr(policy, "__name__", type(policy).__name__)
    return {
        "policy": name,
        "seed": None if seed is None else int(seed),
        "deterministic": deterministic,
        "gymnasium": gym.__version__,
        "gym_ilrl": __version__,
    }
