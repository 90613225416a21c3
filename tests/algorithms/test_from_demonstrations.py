"""The classes "from demonstrations": what SB3 promises of its algorithms, and what the demonstrations add."""

import inspect
import pickle
import zipfile
from copy import deepcopy
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3 import DQN, PPO, SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnMaxEpisodes,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import BitFlippingEnv
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

import gym_ilrl
from gym_ilrl import (
    A2CfD,
    DDPGfD,
    Demonstrations,
    DQfD,
    FromDemonstrations,
    MaskablePPOfD,
    PPOfD,
    QRDQNfD,
    RecurrentPPOfD,
    SACfD,
    TD3fD,
    TQCfD,
    TRPOfD,
    collect,
    expert,
)
from gym_ilrl.buffers import DemoHerReplayBuffer, DemoReplayBuffer, PrioritizedDemoReplay
from gym_ilrl.buffers.compat import NStepReplayBuffer
from gym_ilrl.callbacks import CriticWarmup, HybridObjective, KLAnchor, Pretrain
from gym_ilrl.losses.compat import CROSSQ_POLICIES

SMALL = {"policy_kwargs": {"net_arch": [8]}, "seed": 0, "device": "cpu", "pretrain_epochs": 1}
ON_POLICY = {**SMALL, "n_steps": 16, "pretrain_kwargs": {"critic_updates": 3}, "critic_warmup": 20}
PPO_KWARGS = {**ON_POLICY, "batch_size": 16, "n_epochs": 2}
OFF_POLICY = {
    **SMALL,
    "learning_starts": 8,
    "batch_size": 8,
    "buffer_size": 200,
    "train_freq": 1,
    "gradient_steps": 1,
    "pretrain_kwargs": {"critic_updates": 3},
}
CASES = {
    PPOfD: ("MlpPolicy", "CartPole-v1", PPO_KWARGS),
    A2CfD: ("MlpPolicy", "CartPole-v1", ON_POLICY),
    TRPOfD: ("MlpPolicy", "Pendulum-v1", {**ON_POLICY, "batch_size": 16}),
    RecurrentPPOfD: ("MlpLstmPolicy", "CartPole-v1", {**PPO_KWARGS, "policy_kwargs": {"lstm_hidden_size": 8}}),
    MaskablePPOfD: ("MlpPolicy", "masked", PPO_KWARGS),
    SACfD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    TD3fD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    DDPGfD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    TQCfD: ("MlpPolicy", "Pendulum-v1", OFF_POLICY),
    DQfD: ("MlpPolicy", "CartPole-v1", OFF_POLICY),
    QRDQNfD: ("MlpPolicy", "CartPole-v1", OFF_POLICY),
}
if CROSSQ_POLICIES:
    from gym_ilrl import CrossQfD

    CASES[CrossQfD] = ("MlpPolicy", "Pendulum-v1", OFF_POLICY)
ALL = list(CASES)
FAMILIES = [PPOfD, SACfD, DQfD]
NOTHING = {
    "pretrain_epochs": 0,
    "pretrain_kwargs": None,
    "imitation_coef": 0,
    "anchor_coef": 0.0,
    "critic_warmup": 0,
}


def masked_env():
    return ActionMasker(gym.make("CartPole-v1"), lambda _: np.array([True, True]))


def make_env(name):
    return masked_env() if name == "masked" else gym.make(name)


@pytest.fixture(scope="module")
def demonstrations():
    cart_pole = collect(expert("CartPole-v1"), "CartPole-v1", n_episodes=1, seed=0)
    episode = cart_pole[0]
    masks = {"action_masks": np.ones((len(episode.actions) + 1, 2), dtype=bool)}
    return {
        "CartPole-v1": cart_pole,
        "masked": Demonstrations.from_episodes([replace(episode, infos=masks)], "CartPole-v1"),
        "Pendulum-v1": collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0),
    }


@pytest.fixture
def make(demonstrations):
    """Build a class, ready for a short learn()."""

    def build(cls, env=None, **changes):
        policy, name, kwargs = CASES[cls]
        arguments = deepcopy({**kwargs, **changes})
        given = arguments.pop("demonstrations", demonstrations[name])
        env = make_env(name) if env is None else env
        return cls(arguments.pop("policy", policy), env, demonstrations=given, **arguments)

    return build


def parameters(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(th.equal(left[key], right[key]) for key in left)


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


@pytest.mark.parametrize("cls", FAMILIES)
def test_vec_normalize(cls, make):
    env = VecNormalize(make_vec_env(CASES[cls][1], 2))
    model = make(cls, env).learn(60)
    assert env.obs_rms.count > 150  # the demonstrations, too
    evaluate_policy(model, env, n_eval_episodes=1)


@pytest.mark.parametrize("cls", [PPOfD, SACfD, DQfD])
def test_dict_observations(cls):
    space = spaces.Dict({"a": spaces.Box(-1, 1, (2,), np.float32), "b": spaces.Discrete(3)})
    action_space = spaces.Box(-1, 1, (1,), np.float32) if cls is SACfD else spaces.Discrete(2)

    class DictEnv(gym.Env):
        observation_space, clock = space, 0

        def __init__(self):
            self.action_space = action_space

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.clock = 0
            return space.sample(), {}

        def step(self, action):
            self.clock += 1
            return space.sample(), 1.0, False, self.clock == 5, {}

    def act(observations):
        return np.stack([action_space.sample() for _ in observations["b"]])

    demos = collect(act, DictEnv(), n_episodes=4, seed=0)
    kwargs = PPO_KWARGS if cls is PPOfD else OFF_POLICY
    model = cls("MultiInputPolicy", DictEnv(), demonstrations=demos, **deepcopy(kwargs)).learn(40)
    if cls is DQfD and NStepReplayBuffer is not None:
        assert model.n_steps == 1  # SB3 has no n-step returns of Dict observations
        with pytest.raises(AssertionError, match="Dict"):
            cls("MultiInputPolicy", DictEnv(), demonstrations=demos, n_steps=3, **deepcopy(kwargs))


@pytest.mark.parametrize("cls", [SACfD, DQfD])
def test_hindsight_replay(cls, tmp_path):
    env = BitFlippingEnv(n_bits=4, continuous=cls is SACfD, max_steps=4)
    demos = collect(lambda obs: np.stack([env.action_space.sample() for _ in obs["observation"]]), env, n_episodes=5)
    kwargs = {**deepcopy(OFF_POLICY), "replay_buffer_class": HerReplayBuffer}
    model = cls("MultiInputPolicy", env, demonstrations=demos, replay_buffer_kwargs={"n_sampled_goal": 2}, **kwargs)
    assert type(model.replay_buffer) is DemoHerReplayBuffer
    assert model.replay_buffer.n_sampled_goal == 2
    model.learn(30).save(tmp_path / "model")
    cls.load(tmp_path / "model", env=env).learn(20)


@pytest.mark.parametrize("cls", [PPOfD, A2CfD, SACfD, TQCfD])
def test_state_dependent_exploration(cls, make, demonstrations):
    env, demos = gym.make("Pendulum-v1"), demonstrations["Pendulum-v1"]
    make(cls, env, demonstrations=demos, use_sde=True).learn(40)


@pytest.mark.parametrize("cls", ALL)
def test_arguments_of_the_user_are_left_alone(cls, make, demonstrations):
    policy, name, kwargs = CASES[cls]
    given = deepcopy(kwargs)
    cls(policy, make_env(name), demonstrations=demonstrations[name], **given)
    assert given == kwargs


@pytest.mark.parametrize("cls", ALL)
def test_signature(cls):
    names = list(inspect.signature(cls).parameters)
    host = list(inspect.signature(cls.__mro__[2]).parameters)
    assert names[: len(host)] == host
    assert set(names[len(host) :]) >= {"demonstrations", "imitation_coef", "demo_fraction", "save_demonstrations"}
    if cls is DQfD and "n_steps" in names:
        assert inspect.signature(cls).parameters["n_steps"].default == 3


def test_positional_arguments_of_the_host(demonstrations):
    demos = demonstrations["CartPole-v1"]
    model = PPOfD("MlpPolicy", "CartPole-v1", 1e-2, 32, 16, 3, demonstrations=demos, device="cpu")
    assert (model.learning_rate, model.n_steps, model.batch_size, model.n_epochs) == (1e-2, 32, 16, 3)
    model = PPOfD(ActorCriticPolicy, "CartPole-v1", demonstrations=demos, device="cpu", policy_kwargs={})
    assert type(model.policy) is ActorCriticPolicy
    if NStepReplayBuffer is not None:
        names = list(inspect.signature(DQN).parameters)
        defaults = [parameter.default for parameter in inspect.signature(DQN).parameters.values()]
        until = names.index("n_steps")
        model = DQfD("MlpPolicy", "CartPole-v1", *defaults[2:until], 2, demonstrations=demos, device="cpu")
        assert model.n_steps == 2


class MySAC(SAC):
    """Somebody's own algorithm."""

    def __init__(self, policy, env, penalty=0.5, **kwargs):
        super().__init__(policy, env, **kwargs)
        self.penalty = penalty


class MyfD(FromDemonstrations, MySAC):
    """Made from it."""


class MyPPOfD(PPOfD):
    """With an argument more."""

    def __init__(self, policy, env, extra=1, **kwargs):
        super().__init__(policy, env, **kwargs)
        self.extra = extra


def test_classes_of_the_user(demonstrations, tmp_path):
    model = MyfD("MlpPolicy", "Pendulum-v1", 0.7, demonstrations=demonstrations["Pendulum-v1"], **deepcopy(OFF_POLICY))
    model.learn(20).save(tmp_path / "mine")
    assert MyfD.load(tmp_path / "mine").penalty == 0.7
    assert list(inspect.signature(MyfD).parameters)[:3] == ["policy", "env", "penalty"]
    assert "demonstrations" in inspect.signature(MyfD).parameters
    model = MyPPOfD("MlpPolicy", "CartPole-v1", 2, demonstrations=demonstrations["CartPole-v1"], **deepcopy(PPO_KWARGS))
    model.learn(20)
    assert list(inspect.signature(MyPPOfD).parameters) == ["policy", "env", "extra", "kwargs"]


def test_parameters_and_copies(make):
    for cls in FAMILIES:
        model, other = make(cls).learn(20), make(cls, seed=1)
        other.set_parameters(model.get_parameters())
        assert same(parameters(model), parameters(other))
        original = make(cls) if cls is PPOfD else model  # SB3's own PPO cannot be copied once it has learnt
        before, twin = parameters(original), deepcopy(original)
        twin.learn(20)
        assert same(before, parameters(original))
        assert not same(before, parameters(twin))


@pytest.mark.parametrize("cls", [SACfD, DQfD])
def test_replay_buffers_are_saved_and_loaded(cls, make, tmp_path):
    model = make(cls).learn(20)
    model.save_replay_buffer(tmp_path / "buffer")
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", env=make_env(CASES[cls][1]))
    loaded.load_replay_buffer(tmp_path / "buffer")
    assert loaded.replay_buffer.size() == 20
    assert loaded.replay_buffer.demonstrations_buffer.size() == model.replay_buffer.demonstrations_buffer.size()
    if cls is DQfD:
        assert loaded.replay_buffer.td_error.__self__ is loaded
    loaded.learn(20, reset_num_timesteps=False)


def test_priorities_are_the_temporal_difference_errors(make):
    model = make(DQfD).learn(20)
    samples = model.replay_buffer.demonstrations_buffer.sample(4)
    with th.no_grad():
        errors = model._td_error(samples)
    for i in range(4):
        discount = getattr(samples, "discounts", None)
        discount = model.gamma if discount is None else discount[i].item()
        best = model.q_net_target(samples.next_observations[i : i + 1]).max().item()
        target = samples.rewards[i].item() + (1 - samples.dones[i].item()) * discount * best
        value = model.q_net(samples.observations[i : i + 1])[0, samples.actions[i].item()].item()
        assert errors[i].item() == pytest.approx(value - target, abs=1e-4)


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
