"""A run that a plain algorithm began, continued with demonstrations beside what it has collected."""

import numpy as np
import pytest
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import CheckpointCallback

from gym_ilrl import DQfD, SACfD, collect, expert
from gym_ilrl.buffers import DemoReplay

SMALL = {"learning_starts": 10, "batch_size": 8, "buffer_size": 200, "train_freq": 1, "seed": 0}


class Counting(ReplayBuffer):
    """A buffer of the user's own."""


@pytest.mark.parametrize(
    ("plain", "cls", "env_id"), [(SAC, SACfD, "Pendulum-v1"), (DQN, DQfD, "CartPole-v1")], ids=["SAC", "DQN"]
)
def test_a_checkpoint_of_the_plain_algorithm_continues_with_demonstrations(plain, cls, env_id, tmp_path):
    checkpoints = CheckpointCallback(20, tmp_path, name_prefix="run", save_replay_buffer=True)
    begun = plain("MlpPolicy", env_id, **SMALL).learn(20, callback=checkpoints)
    demonstrations = collect(expert(env_id), env_id, n_episodes=1, seed=0)
    model = cls.load(tmp_path / "run_20_steps", env=begun.get_env(), demonstrations=demonstrations)
    model.load_replay_buffer(tmp_path / "run_replay_buffer_20_steps")
    model.learn(5, reset_num_timesteps=False)
    buffer = model.replay_buffer
    assert isinstance(buffer, DemoReplay)
    assert buffer.demo_fraction == 0.5
    assert buffer.demonstrations_buffer.size() == demonstrations.n_transitions
    assert (buffer.size(), model.num_timesteps) == (24, 25)  # callbacks are called before a transition is stored
    np.testing.assert_array_equal(buffer.observations[:19], begun.replay_buffer.observations[:19])
    kept = buffer.n_online_transitions
    model.learn(5, reset_num_timesteps=False)  # and it is the same one from then on
    assert model.replay_buffer is buffer
    assert buffer.n_online_transitions == kept + 5


def test_a_buffer_that_cannot_take_demonstrations_is_refused(tmp_path):
    begun = SAC("MlpPolicy", "Pendulum-v1", replay_buffer_class=Counting, **SMALL).learn(20)
    begun.save_replay_buffer(tmp_path / "buffer")
    demonstrations = collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0)
    model = SACfD("MlpPolicy", "Pendulum-v1", demonstrations=demonstrations, pretrain_epochs=0, **SMALL)
    model.load_replay_buffer(tmp_path / "buffer")
    with pytest.raises(ValueError, match="Counting, which has no room for demonstrations"):
        model.learn(5)
    model.set_demonstrations(None)
    model.num_timesteps = 20
    model.learn(5, reset_num_timesteps=False)
    assert type(model.replay_buffer) is Counting
