"""The replay buffer of an off-policy algorithm, with room for demonstrations."""

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from gym_ilrl.buffers import DemoDictReplayBuffer, DemoHerReplayBuffer, DemoReplay
from gym_ilrl.buffers.compat import NStepReplayBuffer

ReplayClasses = tuple[type[ReplayBuffer], type[ReplayBuffer] | None]  # without n-step returns before SB3 2.7


def takes_n_steps(model: OffPolicyAlgorithm) -> bool:
    """Tell whether SB3 sets n-step returns up: not for observations in a ``Dict``, nor for a buffer class given."""
    is_dict = isinstance(model.observation_space, spaces.Dict)
    return NStepReplayBuffer is not None and not is_dict and model.replay_buffer_class in (None, NStepReplayBuffer)


def demonstration_replay(model: OffPolicyAlgorithm, options: dict[str, Any], classes: ReplayClasses) -> ReplayBuffer:
    """Build what the algorithm would build, of the class that has demonstrations beside the online data.

    :param model: before its own ``_setup_model``; with an environment, if it replays hindsight goals
    :param options: arguments of the class, such as ``demo_fraction``
    :param classes: for arrays of observations, and for n-step returns of such
    :raises ValueError: for a buffer class that is not known; mix ``DemoReplay`` into it yourself
    """
    kwargs = {**model.replay_buffer_kwargs, **options}
    n_steps = getattr(model, "n_steps", 1)  # SB3 < 2.7 has none
    asked = model.replay_buffer_class
    if asked is None:
        asked = DictReplayBuffer if isinstance(model.observation_space, spaces.Dict) else ReplayBuffer
        if n_steps > 1 and takes_n_steps(model) and NStepReplayBuffer is not None:
            asked = NStepReplayBuffer
            kwargs = {"n_steps": n_steps, "gamma": model.gamma, **kwargs}
    with_demonstrations: dict[Any, type[ReplayBuffer] | None] = {
        ReplayBuffer: classes[0],
        DictReplayBuffer: DemoDictReplayBuffer,
        HerReplayBuffer: DemoHerReplayBuffer,
        NStepReplayBuffer: classes[1],
    }
    chosen = asked if issubclass(asked, DemoReplay) else with_demonstrations.get(asked)
    if chosen is None:
        raise ValueError(
            f"replay_buffer_class={asked.__name__} has no room for demonstrations; define "
            f"class Demo{asked.__name__}(DemoReplay, {asked.__name__}) with gym_ilrl.buffers.DemoReplay, and give that"
        )
    if issubclass(chosen, HerReplayBuffer):
        kwargs["env"] = model.env
    return chosen(
        model.buffer_size,
        model.observation_space,
        model.action_space,
        device=model.device,
        n_envs=model.n_envs,
        optimize_memory_usage=model.optimize_memory_usage,
        **kwargs,
    )


def take_online_data(buffer: DemoReplay, online: ReplayBuffer) -> None:
    """Let a buffer with room for demonstrations hold what another one, without, has collected.

    :param buffer: new
    :param online: such as one that ``load_replay_buffer`` has read; the two share their arrays from here on
    :raises ValueError: if it is of another class than ``buffer`` extends
    """
    plain = buffer.plain_class()
    same_arrays = {plain, ReplayBuffer} if plain is NStepReplayBuffer else {plain}
    if type(online) not in same_arrays:
        raise ValueError(
            f"the model's replay buffer is a {type(online).__name__}, which has no room for demonstrations, and cannot "
            f"become a {type(buffer).__name__}; give the algorithm's replay_buffer_class, or set_demonstrations(None)"
        )
    vars(buffer).update(vars(online))
