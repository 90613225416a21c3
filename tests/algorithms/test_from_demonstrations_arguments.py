"""The classes "from demonstrations": what their arguments do, and which are refused."""

import pickle
from copy import deepcopy
from dataclasses import replace

import pytest
from from_demonstrations_helpers import CASES, PPO_KWARGS, builder, demonstrations_by_environment
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure

import gym_ilrl
from gym_ilrl import (
    Demonstrations,
    DQfD,
    PPOfD,
    SACfD,
    TD3fD,
)
from gym_ilrl.algorithms.recipes import enough_epochs
from gym_ilrl.buffers import DemoReplayBuffer
from gym_ilrl.callbacks import CriticWarmup
from gym_ilrl.losses.compat import CROSSQ_POLICIES


@pytest.fixture(scope="module")
def demonstrations():
    return demonstrations_by_environment()


@pytest.fixture
def make(demonstrations):
    return builder(demonstrations)


def test_share_of_demonstrations(make):
    """The class's argument, the buffer's keyword arguments, and SB3's, in this order; annealing upwards from zero."""
    assert make(SACfD, demo_fraction=1.0).learn(20).replay_buffer.demo_fraction == 1.0
    assert make(SACfD, replay_buffer_kwargs={"demo_fraction": 0.25}).replay_buffer.demo_fraction == 0.25
    assert make(SACfD, demo_replay_kwargs={"demo_fraction": 0.75}).replay_buffer.demo_fraction == 0.75
    rising = {"final_demo_fraction": 1.0, "anneal_timesteps": 10}
    model = make(SACfD, demo_fraction=0.0, demo_replay_kwargs=rising).learn(20)
    assert model.replay_buffer.demo_fraction == 1.0
    assert model.replay_buffer.demonstrations_buffer is not None


def test_demonstrations_without_rewards(make, demonstrations):
    for cls in (PPOfD, SACfD):
        given = demonstrations[CASES[cls][1]]
        without = Demonstrations.from_episodes([replace(episode, rewards=None) for episode in given], CASES[cls][1])
        if cls is SACfD:
            with pytest.raises(ValueError, match=r"no rewards.*demo_replay_kwargs"):
                make(cls, demonstrations=without)
            make(cls, demonstrations=without, demo_fraction=0.0).learn(20)
            make(cls, demonstrations=without, demo_replay_kwargs={"demo_reward": 1.0, "online_reward": 0.0}).learn(20)
        else:
            make(cls, demonstrations=without).learn(20)


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (PPOfD, "pretrain_epochs", -1),
        (PPOfD, "pretrain_epochs", "20"),
        (PPOfD, "pretrain_epochs", 2.5),
        (PPOfD, "critic_warmup", -10),
        (PPOfD, "imitation_coef", "0.1"),
        (PPOfD, "imitation_coef", -0.1),
        (PPOfD, "anchor_coef", "td3bc"),
        (PPOfD, "anchor_coef", float("nan")),
        (PPOfD, "demo_fraction", 0.5),
        (SACfD, "demo_fraction", 1.5),
        (PPOfD, "pretrain_kwargs", {"n_epochs": 5}),
        (PPOfD, "imitation_kwargs", {"coef": 0.5}),
        (PPOfD, "anchor_kwargs", "reward"),
        (SACfD, "demo_fraction", "half"),
    ],
)
def test_arguments_are_refused_by_name(cls, name, value, make):
    for demonstrations in ({}, {"demonstrations": None}):
        with pytest.raises(ValueError, match=name):
            make(cls, **{name: value}, **demonstrations)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (DQfD, {"anchor_coef": 0.1}, "KLAnchor .* DQfD has none"),
        (DQfD, {"critic_warmup": 10}, "CriticWarmup .* DQfD has none"),
        (PPOfD, {"imitation_coef": "td3bc"}, "coef='td3bc' .* PPOfD has none"),
        (SACfD, {"imitation_kwargs": {"filter": "advantage"}}, "which SACfD lacks"),
        (SACfD, {"anchor_coef": 0.1, "anchor_kwargs": {"mode": "reward"}}, "use mode='loss'"),
        (TD3fD, {"pretrain_kwargs": {"loss_kwargs": {"margin": 1.0}}}, "loss_kwargs"),
    ],
)
def test_parts_that_are_not_for_the_algorithm_are_refused_at_construction(cls, arguments, message, make):
    with pytest.raises((TypeError, ValueError), match=message):
        make(cls, **arguments)


def test_unknown_things_are_refused(make):
    with pytest.raises(TypeError, match="coefficient"):
        make(PPOfD, coefficient=1)
    with pytest.raises(TypeError, match="demonstrations must be"):
        make(PPOfD, demonstrations=[1])
    with pytest.raises(TypeError, match="n_epoch"):
        make(PPOfD, pretrain_kwargs={"n_epoch": 3})
    with pytest.raises(ValueError, match="has no room for demonstrations"):
        make(SACfD, replay_buffer_class=type("Own", (DemoReplayBuffer.plain_class(),), {}))


def test_a_buffer_of_the_user_with_room_for_demonstrations(make):
    own = type("Own", (DemoReplayBuffer,), {})
    assert type(make(SACfD, replay_buffer_class=own).learn(20).replay_buffer) is own


def test_on_policy_without_reset_of_the_callbacks(make):
    """A second learn() neither pretrains nor warms up again."""
    model = make(PPOfD).learn(32)
    updates = model._n_updates
    model.learn(32, reset_num_timesteps=False)
    assert model._n_updates == updates + 2 * model.n_epochs
    assert model._extensions[1].share == 1.0


def test_coefficients_may_be_schedules(make, tmp_path):
    model = make(PPOfD, imitation_coef=lambda progress: 0.1 * progress, anchor_coef=lambda _: 0.1)
    model.set_logger(configure(None, []))
    model.learn(32).save(tmp_path / "model")
    assert PPOfD.load(tmp_path / "model").imitation_coef(0.5) == pytest.approx(0.05)


def test_extensions_pickle(make):
    for extension in make(PPOfD).learn(32)._extensions:
        pickle.loads(pickle.dumps(extension))


@pytest.mark.skipif(bool(CROSSQ_POLICIES), reason="sb3-contrib has CrossQ")
def test_crossq_of_an_old_contrib():
    with pytest.raises(ImportError, match=r"CrossQfD needs sb3-contrib >= 2\.4"):
        gym_ilrl.CrossQfD  # noqa: B018


def test_plain_host_is_not_changed(demonstrations):
    """Nothing of SB3 is patched: the host's class is what it was after the class was used."""
    before = dict(vars(PPO))
    PPOfD("MlpPolicy", "CartPole-v1", demonstrations=demonstrations["CartPole-v1"], **deepcopy(PPO_KWARGS)).learn(16)
    assert dict(vars(PPO)) == before


@pytest.mark.parametrize(
    ("n_transitions", "batch_size", "epochs"), [(64_000, 64, 20), (640, 64, 100), (63, 64, 1000), (6400, 256, 40)]
)
def test_few_demonstrations_are_cloned_in_more_passes(n_transitions, batch_size, epochs):
    """At least 20 passes, and at least 1000 minibatches: n_transitions // batch_size of them in a pass."""
    assert enough_epochs(20, n_transitions, batch_size) == epochs


def test_default_pretraining_makes_a_thousand_minibatches(make):
    model = make(PPOfD, pretrain_epochs=None, pretrain_kwargs={"critic_updates": 0})
    model.learn(16)
    demos = model.demonstrations
    assert 20 * demos.n_transitions / 64 < 1000 <= model._extensions[0].n_epochs * demos.n_transitions / 64


@pytest.mark.parametrize(("given", "n_timesteps", "held"), [(None, 160, 16), (None, 400_000, 10_000), (20, 160, 20)])
def test_default_warmup_is_a_tenth_of_a_short_training(make, given, n_timesteps, held):
    model = make(PPOfD, critic_warmup=given)
    model.learn(n_timesteps, callback=lambda *_: False)  # stops at once
    assert [e.n_timesteps for e in model._extensions if isinstance(e, CriticWarmup)] == [held]
