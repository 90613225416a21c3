"""A buffer of demonstrations for an existing model, to train it on them before it acts."""

from pathlib import Path

from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from gym_ilrl.buffers.demo_replay import DemoReplay
from gym_ilrl.buffers.filling import filled_buffer
from gym_ilrl.buffers.prioritized import PrioritizedDemoReplay
from gym_ilrl.data.demonstrations import Demonstrations
from gym_ilrl.data.given import required_demonstrations


def demonstration_buffer(model: OffPolicyAlgorithm, demonstrations: Demonstrations | str | Path) -> ReplayBuffer:
    """Return a replay buffer of the model's own kind whose samples are all demonstrations.

    In the place of ``model.replay_buffer``, ``model.train()`` learns from demonstrations alone. Kind means the class
    and its ``replay_buffer_kwargs``: goals in hindsight, ``n_steps``, timeouts. Where the model's is a
    :class:`~gym_ilrl.buffers.DemoReplay`, so is this one, with nothing online: its rewards and priorities hold.

    :param model: an off-policy algorithm; its own buffer stays as it is
    :param demonstrations: :class:`gym_ilrl.Demonstrations`, or the path of saved ones
    :raises TypeError: if the model has no replay buffer, or ``demonstrations`` are something else
    :raises ValueError: if the demonstrations do not fit the model, or have no rewards and nothing replaces them
    """
    own = getattr(model, "replay_buffer", None)
    if own is None:
        raise TypeError(
            f"{type(model).__name__} has no replay buffer; this is for off-policy algorithms like SAC or DQN"
        )
    given = required_demonstrations(demonstrations, "demonstration_buffer")
    kwargs = own.arguments() if isinstance(own, DemoReplay) else dict(model.replay_buffer_kwargs)
    if isinstance(own, HerReplayBuffer):
        kwargs["env"] = own.env
    spaces = (model.observation_space, model.action_space)
    if isinstance(own, DemoReplay):
        buffer = type(own)(1, *spaces, device=model.device, demonstrations=given, **kwargs)
        if isinstance(own, PrioritizedDemoReplay) and isinstance(buffer, PrioritizedDemoReplay):
            buffer.td_error = own.td_error
        return buffer
    if given.rewards is None:
        raise ValueError(
            "the demonstrations have no rewards, which the model's update needs; give demonstrations with rewards, or "
            "the model a DemoReplayBuffer with demo_reward"
        )
    return filled_buffer(type(own), given, *spaces, model.device, **kwargs)
