"""The classes "from demonstrations": what SB3 promises of its algorithms, and what the demonstrations add."""

import zipfile
from copy import deepcopy

import numpy as np
import pytest
from from_demonstrations_helpers import (
    ALL,
    CASES,
    FAMILIES,
    NOTHING,
    builder,
    demonstrations_by_environment,
    make_env,
    parameters,
    same,
)
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.env_util import make_vec_env

from gym_ilrl import (
    Demonstrations,
    DQfD,
    PPOfD,
    QRDQNfD,
    SACfD,
)
from gym_ilrl.buffers import PrioritizedDemoReplay
from gym_ilrl.buffers.compat import NStepReplayBuffer
from gym_ilrl.callbacks import CriticWarmup, HybridObjective, KLAnchor, Pretrain


@pytest.fixture(scope="module")
def demonstrations():
    return demonstrations_by_environment()


@pytest.fixture
def make(demonstrations):
    return builder(demonstrations)


@pytest.mark.parametrize("cls", ALL)
def test_learn_save_load_and_continue(cls, make, tmp_path, demonstrations):
    model = make(cls).learn(40)
    assert model.num_timesteps >= 40
    observations = model.get_env().reset()
    actions, _ = model.predict(observations, deterministic=True)
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", device="cpu")  # no environment, no demonstrations
    assert loaded.demonstrations is None
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], actions)
    assert same(parameters(model), parameters(loaded))
    loaded.set_env(make_env(CASES[cls][1]))
    steps = loaded.num_timesteps
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps >= steps + 20
    loaded.learn(20)
    assert 20 <= loaded.num_timesteps < steps + 20
    before = parameters(loaded)
    loaded.set_demonstrations(demonstrations[CASES[cls][1]])
    loaded.learn(20)
    assert not same(before, parameters(loaded))


@pytest.mark.parametrize("cls", ALL)
def test_same_seed_same_parameters(cls, make):
    assert same(*[parameters(make(cls).learn(36)) for _ in range(2)])


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls is not DQfD])  # it keeps its prioritised replay
@pytest.mark.parametrize("n_envs", [1, 3])
def test_without_its_parts_it_is_the_algorithm_bit_for_bit(cls, n_envs, make):
    policy, name, kwargs = CASES[cls]
    nothing = {**NOTHING, **({} if "n_steps" in kwargs else {"demo_fraction": 0.0})}
    if cls is QRDQNfD and NStepReplayBuffer is not None:
        nothing["n_steps"] = 1
    if "ent_coef" in cls.host_defaults:
        nothing["ent_coef"] = "auto"
    host = cls.__mro__[2]
    plain_kwargs = {key: value for key, value in kwargs.items() if key not in NOTHING}
    envs = [make_vec_env(lambda: make_env(name), n_envs, seed=0) for _ in range(2)]
    plain = host(policy, envs[0], **deepcopy(plain_kwargs)).learn(60)
    assert same(parameters(plain), parameters(make(cls, envs[1], **nothing).learn(60)))


@pytest.mark.parametrize("part", ["pretrain_epochs", "imitation_coef", "anchor_coef", "critic_warmup", "demo_fraction"])
def test_each_part_changes_the_run(part, make):
    cls = SACfD if part == "demo_fraction" else PPOfD
    nothing = {**NOTHING, **({"demo_fraction": 0.0} if cls is SACfD else {})}
    amount = {"pretrain_epochs": 1, "critic_warmup": 20}.get(part, 0.5)
    runs = [parameters(make(cls, **{**nothing, **extra}).learn(60)) for extra in ({}, {part: amount})]
    assert not same(*runs)


def test_the_recipe_of_each_family(make):
    def parts(model):
        return [type(extension) for extension in model._extensions]

    defaults = {"pretrain_epochs": None, "pretrain_kwargs": None}
    on_policy = make(PPOfD, critic_warmup=None, **defaults)
    assert parts(on_policy) == [Pretrain, CriticWarmup, HybridObjective, KLAnchor]
    off_policy = make(SACfD, **defaults)
    assert parts(off_policy) == [Pretrain, HybridObjective]
    assert off_policy._extensions[1].scales_by_q
    assert off_policy.replay_buffer.demo_fraction == 0.5
    assert off_policy.replay_buffer.demonstrations_buffer.size() == 200
    q_values = make(DQfD, **defaults)
    assert HybridObjective in parts(q_values)
    assert isinstance(q_values.replay_buffer, PrioritizedDemoReplay)
    if NStepReplayBuffer is not None:
        assert q_values.n_steps == 3
        assert q_values.replay_buffer.n_steps == 3


@pytest.mark.parametrize("cls", FAMILIES)
def test_an_untrained_model_needs_demonstrations(cls, make, tmp_path):
    model = make(cls, demonstrations=None)
    with pytest.raises(ValueError, match=f"this {cls.__name__} has no demonstrations"):
        model.learn(20)
    model.save(tmp_path / "untrained")
    with pytest.raises(ValueError, match="set_demonstrations"):
        cls.load(tmp_path / "untrained", env=make_env(CASES[cls][1])).learn(20)
    assert model.predict(model.get_env().reset())[0] is not None


def test_one_that_only_explored_yet_continues(make, tmp_path):
    make(SACfD, learning_starts=1000, pretrain_kwargs={}, pretrain_epochs=0).learn(10).save(tmp_path / "model")
    loaded = SACfD.load(tmp_path / "model", env=make_env("Pendulum-v1"))
    assert loaded._n_updates == 0
    loaded.learn(10, reset_num_timesteps=False)
    assert loaded.num_timesteps == 20


@pytest.mark.parametrize("cls", FAMILIES)
def test_demonstrations_are_stored_only_if_asked(cls, make, tmp_path):
    sizes = {}
    for save in (False, True):
        path = tmp_path / f"{save}.zip"
        make(cls, save_demonstrations=save).learn(20).save(path)
        with zipfile.ZipFile(path) as archive:
            sizes[save] = len(archive.read("data"))
        loaded = cls.load(path, env=make_env(CASES[cls][1]))
        assert (loaded.demonstrations is not None) == save
        assert (loaded._extensions is not None) == save
        if cls is not PPOfD:
            assert (loaded.replay_buffer.demonstrations_buffer is not None) == save
        loaded.learn(20)
    assert sizes[True] > sizes[False] + 5000


def test_demonstrations_are_a_path_or_come_with_load(make, demonstrations, tmp_path):
    path = tmp_path / "demos.npz"
    demonstrations["CartPole-v1"].save(path)
    models = [make(PPOfD, demonstrations=given).learn(20) for given in (path, str(path), demonstrations["CartPole-v1"])]
    assert same(parameters(models[0]), parameters(models[1]))
    assert same(parameters(models[0]), parameters(models[2]))
    models[0].save(tmp_path / "model")
    loaded = PPOfD.load(tmp_path / "model", env=make_env("CartPole-v1"), demonstrations=str(path))
    assert len(loaded._extensions) == 4
    loaded.learn(20)


@pytest.mark.parametrize("cls", ALL)
def test_demonstrations_that_do_not_fit_are_refused_at_construction(cls, make, demonstrations):
    other = "Pendulum-v1" if CASES[cls][1] != "Pendulum-v1" else "CartPole-v1"
    with pytest.raises(ValueError, match=r"do not fit the environment.*recorded in"):
        make(cls, demonstrations=demonstrations[other])
    model = make(cls)
    before = model.demonstrations
    with pytest.raises(ValueError, match="do not fit"):
        model.set_demonstrations(demonstrations[other])
    assert model.demonstrations is before
    assert model._extensions is not None


def test_demonstrations_can_be_replaced_and_taken_away(make, demonstrations):
    model = make(SACfD)
    half = Demonstrations.from_episodes([demonstrations["Pendulum-v1"][0]] * 2, "Pendulum-v1")
    model.set_demonstrations(half)
    assert model.replay_buffer.demonstrations_buffer.size() == 400
    assert model._extensions[0].demonstrations is half
    model.learn(20)
    model.set_demonstrations(None)
    assert model.replay_buffer.demonstrations_buffer is None
    model.learn(20)


class Counter(BaseCallback):
    n_calls_here = 0

    def _on_step(self):
        self.n_calls_here += 1
        return True


@pytest.mark.parametrize("cls", FAMILIES)
def test_callbacks(cls, make, tmp_path):
    one, listed, seen = Counter(), [Counter(), StopTrainingOnMaxEpisodes(1)], []
    make(cls).learn(32, callback=one)
    assert one.n_calls_here == 32
    model = make(cls)
    model.learn(2000, callback=listed)
    assert len(listed) == 2
    assert 0 < listed[0].n_calls_here < 600
    make(cls).learn(32, callback=lambda *_: seen.append(1) or True)
    assert len(seen) == 32
    evaluation = EvalCallback(
        make_vec_env(CASES[cls][1]), eval_freq=20, n_eval_episodes=1, best_model_save_path=str(tmp_path), verbose=0
    )
    make(cls).learn(40, callback=[evaluation, CheckpointCallback(20, str(tmp_path), name_prefix="at")])
    assert np.isfinite(evaluation.best_mean_reward)
    for name in ("best_model", "at_20_steps", "at_40_steps"):
        cls.load(tmp_path / name, env=make_env(CASES[cls][1])).learn(16)


@pytest.mark.parametrize("cls", FAMILIES)
def test_tensorboard_and_progress_bar(cls, make, tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    pytest.importorskip("rich")
    make(cls, tensorboard_log=str(tmp_path)).learn(220, log_interval=1, progress_bar=True)
    run = tmp_path / f"{cls.__name__}_1"
    assert run.is_dir()
    events = accumulators.EventAccumulator(str(run)).Reload().Tags()["scalars"]
    expected = {"imitation/loss", "imitation/coef"} if cls is DQfD else {"imitation/loss", "imitation/pretrain_loss"}
    assert expected <= set(events)
    make(cls, tensorboard_log=str(tmp_path)).learn(16, None, 1, "mine")
    assert (tmp_path / "mine_1").is_dir()
