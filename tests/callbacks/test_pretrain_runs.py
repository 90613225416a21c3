"""When pretraining runs, what it draws, and what it refuses."""

import pickle
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from pretrain_helpers import (
    OFF_POLICY,
    ON_POLICY,
    Observer,
    build,
    demonstrations_by_environment,
    differ,
    pretrained,
    state,
)
from sb3_contrib import ARS
from stable_baselines3 import PPO, SAC, TD3

from gym_ilrl import Demonstrations
from gym_ilrl.buffers import DemoReplayBuffer
from gym_ilrl.callbacks import Pretrain


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return demonstrations_by_environment()


def test_it_runs_once(demonstrations, tmp_path):
    demos = demonstrations["Pendulum-v1"]
    for algorithm, kwargs in ((PPO, ON_POLICY), (SAC, OFF_POLICY)):  # SAC trains on nothing: 1000 learning starts
        callback = Pretrain(demos, n_epochs=1, critic_updates=2)
        model = build(algorithm, "Pendulum-v1", **kwargs)
        model.learn(16, callback=callback)
        if algorithm is SAC:
            model.save(tmp_path / "model")
            loaded = SAC.load(tmp_path / "model", env=gym.make("Pendulum-v1"), device="cpu")
            before = state(loaded.policy)
            loaded.learn(1, callback=[Pretrain(demos, n_epochs=1, critic_updates=0), Observer()])
            assert not differ(before, state(loaded.policy))
        before = state(model.policy)
        for again in (callback, Pretrain(demos, n_epochs=1)):
            for reset in (True, False):
                model.learn(1, callback=[again, Observer()], reset_num_timesteps=reset)
        assert not differ(before, state(model.policy))


def test_actor_alone_counts_as_training(demonstrations):
    model = build(SAC, "Pendulum-v1", **OFF_POLICY)
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=2, critic_updates=0, batch_size=50)
    assert model._n_updates == 2 * 4


def test_without_rewards_the_critic_is_left(demonstrations):
    pendulum = demonstrations["Pendulum-v1"]
    demos = Demonstrations.from_episodes([replace(pendulum[0], rewards=None)], "Pendulum-v1")
    assert demos.rewards is None
    for algorithm, kwargs in ((PPO, ON_POLICY), (SAC, OFF_POLICY)):
        model = build(algorithm, "Pendulum-v1", **kwargs)
        before = state(model.policy)
        pretrained(model, demos, n_epochs=1)
        changed = differ(before, state(model.policy))
        assert changed
        assert not any("critic" in name or "value_net" in name for name in changed)
    buffer = {"replay_buffer_class": DemoReplayBuffer, "replay_buffer_kwargs": {"demo_reward": 1.0}}
    model = build(SAC, "Pendulum-v1", **OFF_POLICY, **buffer)
    before = state(model.critic)
    pretrained(model, demos, n_epochs=0, critic_updates=2)
    assert differ(before, state(model.critic))


def test_random_streams(demonstrations):
    """Cloning and regression leave the global streams alone; an off-policy critic draws from them."""

    def streams(_):
        return np.random.get_state()[1].tolist(), th.get_rng_state().tolist()  # noqa: NPY002  # SB3's

    for algorithm, kwargs, critic_updates, same in (
        (PPO, ON_POLICY, 5, True),
        (SAC, OFF_POLICY, 0, True),
        (SAC, OFF_POLICY, 5, False),
    ):
        found = []
        for n_epochs, n_critic in ((0, 0), (2, critic_updates)):
            model, observer = build(algorithm, "Pendulum-v1", **kwargs), Observer(streams)
            pretrain = Pretrain(demonstrations["Pendulum-v1"], n_epochs=n_epochs, critic_updates=n_critic)
            model.learn(1, callback=[pretrain, observer])
            found.append(observer.result)
        assert (found[0] == found[1]) == same


def test_same_seed_same_parameters(demonstrations):
    for algorithm, kwargs in ((PPO, ON_POLICY), (SAC, OFF_POLICY)):
        runs = [
            state(
                pretrained(
                    build(algorithm, "Pendulum-v1", **kwargs),
                    demonstrations["Pendulum-v1"],
                    n_epochs=1,
                    critic_updates=20,
                ).policy
            )
            for _ in range(2)
        ]
        assert not differ(*runs)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"n_epochs": -1},
        {"n_epochs": "20"},
        {"n_epochs": 1.5},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"learning_rate": "1e-3"},
        {"critic_updates": -1},
        {"log_std": "narrow"},
        {"log_std": float("nan")},
        {"log_std_bounds": (1.0, -1.0)},
        {"log_std_bounds": -1.0},
        {"ent_coef": -1.0},
        {"max_grad_norm": 0},
        {"sequence_length": 0},
        {"loss_kwargs": "margin"},
        {"seed": -1},
    ],
)
def test_arguments_are_refused_by_name(kwargs, demonstrations):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        Pretrain(demonstrations["Pendulum-v1"], **kwargs)


def test_what_does_not_fit_is_refused(demonstrations):
    pendulum = demonstrations["Pendulum-v1"]
    with pytest.raises(TypeError, match="Pretrain needs demonstrations"):
        Pretrain(None)
    with pytest.raises(TypeError, match="list"):
        Pretrain([1, 2])
    with pytest.raises(ValueError, match="do not fit the environment"):
        pretrained(build(PPO, "CartPole-v1", **ON_POLICY), pendulum)
    with pytest.raises(TypeError, match="ARS"):
        pretrained(ARS("LinearPolicy", "Pendulum-v1", device="cpu"), pendulum)
    with pytest.raises(ValueError, match="'mod'"):
        pretrained(build(SAC, "Pendulum-v1", **OFF_POLICY), pendulum, loss_kwargs={"mod": "mse"})
    with pytest.raises(ValueError, match=r"ent_coef=0\.1 needs a policy with a distribution, not TD3Policy"):
        pretrained(build(TD3, "Pendulum-v1", **OFF_POLICY), pendulum, ent_coef=0.1)
    with pytest.raises(ValueError, match="log_std='residual'"):
        pretrained(build(SAC, "Pendulum-v1", **OFF_POLICY), pendulum, log_std="residual")


def test_pickles_and_takes_a_path(demonstrations, tmp_path):
    path = tmp_path / "demos.npz"
    demonstrations["Pendulum-v1"].save(path)
    callback = Pretrain(str(path), n_epochs=1, critic_updates=1, seed=3)
    model = build(PPO, "Pendulum-v1", **ON_POLICY).learn(16, callback=callback)
    twin = pickle.loads(pickle.dumps(callback))
    other = build(PPO, "Pendulum-v1", **ON_POLICY).learn(16, callback=twin)
    assert not differ(state(model.policy), state(other.policy))


def test_prints_only_when_asked_to(demonstrations, capsys):
    for verbose in (0, 1):
        model = build(PPO, "Pendulum-v1", **ON_POLICY)
        model.learn(
            1, callback=[Pretrain(demonstrations["Pendulum-v1"], 1, critic_updates=0, verbose=verbose), Observer()]
        )
        assert bool(capsys.readouterr().out) == bool(verbose)
