"""What callbacks are promised by SB3, and what is logged."""

import numpy as np
import pytest
import torch as th
from algorithm_helpers import parameters, same
from stable_baselines3.common import callbacks
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure

from gym_ilrl import BC, DAgger


class Witness(callbacks.BaseCallback):
    """Notes every event, and looks at what SB3's own callbacks look at."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.events, self.stop_at = [], stop_at

    def _on_training_start(self):
        self.events.append("training_start")
        assert "total_timesteps" in self.locals

    def _on_rollout_start(self):
        self.events.append("rollout_start")

    def _on_step(self):
        self.events.append("step")
        n_envs = self.training_env.num_envs
        assert {"new_obs", "rewards", "dones", "infos", "total_timesteps", "tb_log_name"} <= self.locals.keys()
        assert len(self.locals["rewards"]) == len(self.locals["dones"]) == len(self.locals["infos"]) == n_envs
        assert len(self.locals["new_obs"]) == n_envs
        assert self.n_calls * n_envs == self.num_timesteps == self.model.num_timesteps
        return self.n_calls != self.stop_at

    def _on_rollout_end(self):
        self.events.append("rollout_end")

    def _on_training_end(self):
        self.events.append("training_end")


@pytest.mark.parametrize("n_envs", [1, 3])
def test_every_step_is_called_once(make, n_envs):
    witness = Witness()
    model = make(make_vec_env("CartPole-v1", n_envs)).learn(48, callback=witness)
    assert witness.events[0] == "training_start"
    assert witness.events[-1] == "training_end"
    assert witness.events.count("step") * n_envs == model.num_timesteps == 48
    assert witness.events.count("rollout_start") == witness.events.count("rollout_end") > 0


@pytest.mark.parametrize("stop", [False, np.bool_(False), th.tensor(False)])
def test_callback_stops_the_run(make, stop):
    model = make().learn(100, callback=lambda locals_, globals_: True if locals_["self"].num_timesteps < 7 else stop)
    assert model.num_timesteps == 7


def test_round_that_was_stopped_is_finished_by_the_next_run():
    model = DAgger(env="CartPole-v1", n_steps=16, n_epochs=1)
    model.learn(100, callback=Witness(stop_at=5))
    assert (model.num_timesteps, model.n_labels, model.n_rounds) == (5, 5, 0)
    model.learn(11, reset_num_timesteps=False)
    assert (model.num_timesteps, model.n_labels, model.n_rounds) == (16, 16, 1)


class Accident(Exception):
    pass


def test_exception_of_a_callback_loses_no_label(make, algorithm):
    def fail(locals_, globals_):
        if locals_["self"].num_timesteps == 9:
            raise Accident
        return True

    model = make()
    with pytest.raises(Accident):
        model.learn(64, callback=fail)
    if algorithm is DAgger:
        assert model.n_labels == len(model._training_set) == 9
    before = parameters(model)
    model.learn(32)
    assert not same(before, parameters(model))
    if algorithm is DAgger:
        assert model.n_labels == len(model._training_set)


def test_callbacks_of_sb3_run_with_it(make, algorithm, tmp_path):
    evaluation = make_vec_env("CartPole-v1", 2)
    check = callbacks.EvalCallback(evaluation, n_eval_episodes=2, eval_freq=10, log_path=tmp_path, verbose=0)
    saving = callbacks.CheckpointCallback(save_freq=16, save_path=tmp_path, name_prefix="model")
    rare = []
    counting = callbacks.ConvertCallback(lambda locals_, globals_: rare.append(locals_["self"].num_timesteps) is None)
    chain = [check, saving, callbacks.EveryNTimesteps(12, counting), callbacks.StopTrainingOnMaxEpisodes(99)]
    model = make()
    model.learn(32, callback=chain)
    assert check.evaluations_timesteps == [10, 20, 30]
    assert [path.name for path in sorted(tmp_path.glob("model_*"))] == ["model_16_steps.zip", "model_32_steps.zip"]
    assert algorithm.load(tmp_path / "model_32_steps").num_timesteps == 32
    assert rare == [12, 24]


def test_number_of_episodes_can_be_the_end():
    stop = callbacks.StopTrainingOnMaxEpisodes(max_episodes=3)
    model = DAgger(env="CartPole-v1", expert=lambda obs: np.zeros(len(obs), dtype=int), n_steps=100, n_epochs=1)
    model.learn(100_000, callback=stop)
    assert stop.n_episodes == 3
    assert model.num_timesteps < 100  # pushing left all the time ends an episode within a dozen steps


def test_progress_bar(make):
    make().learn(32, progress_bar=True)


def test_nothing_is_printed(make, capsys):
    make().learn(32)
    out = capsys.readouterr()
    assert out.out == out.err == ""


class Recorder(Witness):
    """Notes what is in the log whenever it is written."""

    def _init_callback(self):
        self.logged = []
        dump = self.logger.dump

        def noting(step=0):
            self.logged.append((step, dict(self.logger.name_to_value)))
            dump(step)

        self.logger.dump = noting


def test_log_of_bc(demos):
    model = BC(env="CartPole-v1", demonstrations=demos, batch_size=16)
    recorder = Recorder()
    model.learn(100, callback=recorder, log_interval=25)
    steps = [step for step, _ in recorder.logged]
    assert steps == [25, 50, 75, 100]
    last = recorder.logged[-1][1]
    assert {"imitation/loss", "imitation/epochs", "train/learning_rate", "train/n_updates", "time/fps"} <= last.keys()
    assert last["imitation/epochs"] == pytest.approx(100 * 16 / demos.n_transitions, rel=0.1)
    assert recorder.logged[0][1]["imitation/loss"] > last["imitation/loss"]


def test_log_of_dagger():
    recorder = Recorder()
    env = make_vec_env("CartPole-v1", 2)
    model = DAgger(env=env, n_steps=50, n_epochs=1, beta_schedule="linear", policy_kwargs={"net_arch": [8]})
    model.learn(400, callback=recorder)
    assert [step for step, _ in recorder.logged] == [100, 200, 300, 400]
    values = [entry for _, entry in recorder.logged]
    assert [entry["imitation/labels"] for entry in values] == [100, 200, 300, 400]
    assert [entry["imitation/rounds"] for entry in values] == [1, 2, 3, 4]
    assert [entry["imitation/beta"] for entry in values] == pytest.approx([1, 14 / 15, 13 / 15, 12 / 15])
    assert values[0]["imitation/expert_steps"] == 100
    assert "rollout/ep_rew_mean" in values[-1] or not model.ep_info_buffer
    assert {"imitation/loss", "imitation/failures", "train/learning_rate", "time/fps"} <= values[-1].keys()


def test_log_interval_none_logs_nothing(make):
    recorder = Recorder()
    make().learn(48, callback=recorder, log_interval=None)
    assert recorder.logged == []


def test_tensorboard_runs_are_numbered_and_continued(make, algorithm, tmp_path):
    model = make(tensorboard_log=str(tmp_path))
    model.learn(16)
    model.learn(16)
    model.learn(16, reset_num_timesteps=False)
    model.learn(16, tb_log_name="other")
    name = algorithm.__name__
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"{name}_1", f"{name}_2", "other_1"])


def test_logger_of_the_user_is_kept(make, tmp_path):
    model = make()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(32)
    header = (tmp_path / "progress.csv").read_text().splitlines()[0]
    assert "imitation/loss" in header


@pytest.mark.parametrize("n_envs", [1, 2])
def test_learning_rate_schedule_goes_from_one_to_zero(demos, n_envs):
    seen = []

    def schedule(progress):
        seen.append(progress)
        return 1e-3 * progress

    model = BC(env=make_vec_env("CartPole-v1", n_envs), demonstrations=demos, learning_rate=schedule)
    for _ in range(2):  # the second run begins anew
        seen.clear()
        model.learn(8)
        assert list(dict.fromkeys(seen)) == pytest.approx(list(np.arange(1, 0, -n_envs / 8)))


def test_learning_rate_schedule_of_dagger_is_never_negative():
    seen = []
    model = DAgger(
        env="CartPole-v1", n_steps=30, n_epochs=1, learning_rate=lambda progress: seen.append(progress) or 1e-3
    )
    seen.clear()
    model.learn(40)  # rounded up to two rounds
    assert model.num_timesteps == 60
    assert list(dict.fromkeys(seen)) == pytest.approx([1, 1 / 4])
