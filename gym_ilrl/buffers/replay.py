"""SB3's replay buffers with demonstrations beside the online data."""

from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from gym_ilrl.buffers.demo_replay import DemoReplay


class DemoReplayBuffer(DemoReplay, ReplayBuffer):
    """``ReplayBuffer`` with demonstrations; the arguments are those of :class:`DemoReplay`.

    ``SAC("MlpPolicy", env, replay_buffer_class=DemoReplayBuffer, replay_buffer_kwargs=dict(demonstrations=demos))``
    """


class DemoDictReplayBuffer(DemoReplay, DictReplayBuffer):
    """``DictReplayBuffer`` with demonstrations; the arguments are those of :class:`DemoReplay`."""


class DemoHerReplayBuffer(DemoReplay, HerReplayBuffer):
    """``HerReplayBuffer`` with demonstrations, whose goals are relabelled in hindsight, too (Andrychowicz et al. 2017).

    The arguments are those of :class:`DemoReplay` and of ``HerReplayBuffer``. With ``copy_info_dict=True`` the infos of
    the demonstrations go to ``compute_reward``.
    """
