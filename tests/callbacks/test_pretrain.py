"""Pretraining of actor and critic: what it reaches, what it leaves, and when it runs."""

import pickle
from copy import deepcopy
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from gym_ilrl import Demonstrations, collect, expert, imitation_loss
from gym_ilrl.buffers import DemoReplayBuffer
from gym_ilrl.callbacks import Pretrain
from gym_ilrl.callbacks.pretrain_critic import fit_action_values
from gym_ilrl.losses.compat import CROSSQ_POLICIES
from gym_ilrl.losses.values import state_values
from gym_ilrl.supervised.training_set import TrainingSet, labels_of

th.set_num_threads(1)

SMALL = {"policy_kwargs": {"net_arch": [16]}, "seed": 0, "device": "cpu"}
ON_POLICY = {**SMALL, "n_steps": 16}
OFF_POLICY = {**SMALL, "learning_starts": 1000, "batch_size": 16, "buffer_size": 100}
ACTOR_CRITICS = [SAC, TD3, DDPG, TQC]
if CROSSQ_POLICIES:
    from sb3_contrib import CrossQ

    ACTOR_CRITICS.append(CrossQ)


class OneAction(gym.Env):
    """Two observations in turn, reward 1 for action 1 always, ten steps: the return to go depends on the time left."""

    def __init__(self, observation_space=None, action_space=None):
        self.observation_space = observation_space or spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = action_space or spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.clock = 0
        return self._observe(), {}

    def step(self, action):
        self.clock += 1
        return self._observe(), 1.0, self.clock == 10, False, {}

    def action_masks(self):
        return np.array([True, True])

    def _observe(self):
        if isinstance(self.observation_space, spaces.Box) and self.observation_space.shape == (1,):
            return np.array([self.clock / 10], dtype=np.float32)
        return self.observation_space.sample()


def always_one(observations):
    values = next(iter(observations.values())) if isinstance(observations, dict) else observations
    return np.ones(len(values), dtype=np.int64)


def demos_of(env, n_episodes=4):
    return collect(always_one, env, n_episodes=n_episodes, seed=0)


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return {
        "CartPole-v1": collect(expert("CartPole-v1"), "CartPole-v1", n_timesteps=200, seed=0),
        "Pendulum-v1": collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0),
    }


def one_step(actions, reward):
    return {
        "observations": np.zeros((2, 1), dtype=np.float32),
        "actions": actions,
        "rewards": np.array([reward]),
        "terminations": np.array([True]),
        "truncations": np.array([False]),
    }


class Observer(BaseCallback):
    """Calls a function at the training start, and stops at the first step."""

    def __init__(self, function=lambda model: None):
        super().__init__()
        self.function = function

    def _on_training_start(self):
        self.result = self.function(self.model)

    def _on_step(self):
        return False


def build(algorithm, env, policy="MlpPolicy", **kwargs):
    return algorithm(policy, env, **deepcopy({**kwargs}))


def pretrained(model, demos, **kwargs):
    """Run nothing but the pretraining: the training ends at its first step."""
    model.learn(1, callback=[Pretrain(demos, **kwargs), Observer()])
    return model


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def differ(before, after):
    assert before.keys() == after.keys()
    return {name for name in before if not th.equal(before[name], after[name])}


def batch_of(model, demos, gamma=None):
    labels = TrainingSet(model.policy, model.get_vec_normalize_env())
    labels.extend(labels_of(demos, gamma))
    return labels.batch(th.arange(len(labels)))


def loss_of(model, demos):
    with th.no_grad():
        return imitation_loss(model.policy, batch_of(model, demos)).item()


@pytest.mark.parametrize("algorithm", [PPO, A2C, TRPO, *ACTOR_CRITICS])
@pytest.mark.parametrize("n_envs", [1, 3])
def test_cloning_lowers_the_imitation_loss(algorithm, n_envs, demonstrations):
    demos = demonstrations["Pendulum-v1"]
    kwargs = ON_POLICY if algorithm in (PPO, A2C, TRPO) else {**OFF_POLICY, "train_freq": 1, "gradient_steps": 1}
    model = build(algorithm, make_vec_env("Pendulum-v1", n_envs), **kwargs)
    before = loss_of(model, demos)
    pretrained(model, demos, n_epochs=20, critic_updates=0)
    assert loss_of(model, demos) < before - 0.05 * abs(before)


@pytest.mark.parametrize("algorithm", [TD3, DDPG])
def test_target_of_the_actor_is_the_cloned_one(algorithm, demonstrations):
    model = build(algorithm, "Pendulum-v1", **OFF_POLICY)
    before = state(model.actor)
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=1, critic_updates=0)
    assert differ(before, state(model.actor))
    assert not differ(state(model.actor), state(model.actor_target))


def test_cloned_policy_does_what_was_demonstrated(demonstrations):
    demos = demonstrations["CartPole-v1"]
    model = pretrained(build(PPO, "CartPole-v1", **ON_POLICY), demos, n_epochs=30, learning_rate=1e-2, critic_updates=0)
    actions, _ = model.predict(batch_of(model, demos).observations.numpy(), deterministic=True)
    assert (actions == demos.actions).mean() > 0.8


@pytest.mark.parametrize(("algorithm", "policy"), [(RecurrentPPO, "MlpLstmPolicy"), (MaskablePPO, "MlpPolicy")])
def test_policies_with_memory_and_masks(algorithm, policy):
    masks = np.ones((11, 2), dtype=bool)
    steps = {"observations": np.linspace(0, 1, 11, dtype=np.float32)[:, None], "actions": np.ones(10, dtype=np.int64)}
    steps |= {"terminations": np.arange(10) == 9, "truncations": np.zeros(10, dtype=bool)}
    env = OneAction()
    demos = Demonstrations.from_episodes([{**steps, "rewards": np.ones(10), "infos": {"action_masks": masks}}] * 2, env)
    model = build(algorithm, env, policy, **{**ON_POLICY, "batch_size": 16})
    pretrained(model, demos, n_epochs=60, critic_updates=20, learning_rate=1e-2, batch_size=20)
    action, _ = model.predict(np.zeros((1, 1), dtype=np.float32), deterministic=True)
    assert action == 1
    model.learn(32)


def test_dict_observations_and_images():
    image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    for space, policy in (
        (spaces.Dict({"image": image, "vector": spaces.Box(-1, 1, (3,), np.float32)}), "MultiInputPolicy"),
        (image, "CnnPolicy"),
    ):
        env = OneAction(space)
        demos = demos_of(env, 2)
        for vec_env in (DummyVecEnv([lambda env=env: env]), None):
            keys = ["vector"] if isinstance(space, spaces.Dict) else None
            if vec_env is not None:  # VecNormalize lies below SB3's VecTransposeImage
                vec_env = VecNormalize(vec_env, norm_obs=keys is not None, norm_obs_keys=keys)
            kwargs = {"features_extractor_kwargs": {"cnn_output_dim": 8}} if keys else {}
            model = PPO(policy, vec_env or env, n_steps=4, batch_size=4, policy_kwargs=kwargs, device="cpu")
            before = loss_of(model, demos)
            model.learn(4, callback=Pretrain(demos, n_epochs=2, critic_updates=2))
            assert loss_of(model, demos) < before


def test_value_function_learns_the_return_to_go():
    """Reward 1 for ten steps: V(t) = (1 - gamma^(10 - t)) / (1 - gamma)."""
    demos = demos_of(OneAction())
    model = build(PPO, OneAction(), gamma=0.9, **ON_POLICY)
    actor = state(model.policy.action_net)
    pretrained(model, demos, n_epochs=0, critic_updates=3000, learning_rate=1e-2)
    states = th.arange(10.0)[:, None] / 10
    with th.no_grad():
        values = model.policy.predict_values(states).flatten()
    expected = (1 - 0.9 ** (10 - th.arange(10.0))) / (1 - 0.9)
    np.testing.assert_allclose(values, expected, atol=0.25)
    assert not differ(actor, state(model.policy.action_net))


def test_value_function_leaves_a_shared_extractor_and_the_actor():
    image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    model = PPO("CnnPolicy", OneAction(image), n_steps=4, batch_size=4, device="cpu")
    before = state(model.policy)
    pretrained(model, demos_of(OneAction(image), 1), n_epochs=0, critic_updates=3)
    assert {name.split(".")[0] for name in differ(before, state(model.policy))} == {"value_net"}


@pytest.mark.parametrize("norm_reward", [True, False])
def test_vec_normalize_is_seeded_and_the_value_has_its_scale(norm_reward):
    env = OneAction()
    demos = demos_of(env, 20)
    vec_env = VecNormalize(DummyVecEnv([OneAction]), norm_reward=norm_reward, gamma=0.9)
    model = build(PPO, vec_env, gamma=0.9, **ON_POLICY)
    first = []
    model.learn(
        1,
        callback=[
            Pretrain(demos, n_epochs=1, critic_updates=3000, learning_rate=1e-2),
            Observer(lambda model: first.extend((model._last_obs.copy(), vec_env.normalize_obs(np.zeros((1, 1)))))),
        ],
    )
    observed = np.tile(np.arange(11) / 10, 20)  # last observations of the episodes, too
    np.testing.assert_allclose(vec_env.obs_rms.mean, observed.mean(), rtol=0.05)
    np.testing.assert_allclose(vec_env.obs_rms.var, observed.var(), rtol=0.05)
    np.testing.assert_allclose(*first, rtol=1e-5)
    assert first[0].item() < -1.0  # (0 - 0.5) / 0.32
    returns = (1 - 0.9 ** np.arange(1, 11)) / (1 - 0.9)  # R_t = 0.9 R_{t-1} + 1
    if norm_reward:
        np.testing.assert_allclose(vec_env.ret_rms.var, returns.var(), rtol=0.05)
    scale = np.sqrt(vec_env.ret_rms.var + 1e-8).item() if norm_reward else 1.0
    batch = batch_of(model, demos, 0.9)
    with th.no_grad():
        error = (state_values(model.policy, batch) - batch.returns_to_go / scale).abs().mean().item()
    assert error < 0.2 / scale


@pytest.mark.parametrize(
    ("mode", "low", "high"), [("clamp", -1.0, 0.5), ("fit", -9.0, -1.0), (-0.7, -0.7, -0.7), ("residual", -1.0, 0.5)]
)
def test_deviation_after_the_pretraining(mode, low, high):
    """A demonstrator without noise: likelihood alone drives the deviation to zero."""
    env = OneAction(action_space=spaces.Box(-2, 2, (2,), np.float32))
    demos = collect(lambda obs: np.full((len(obs), 2), 0.5, dtype=np.float32), env, n_episodes=10, seed=0)
    model = build(PPO, env, **ON_POLICY)
    bounds = (-1.0, 0.5)
    pretrained(model, demos, n_epochs=200, learning_rate=1e-2, critic_updates=0, log_std=mode, log_std_bounds=bounds)
    log_std = model.policy.log_std.detach()
    assert low - 1e-6 <= log_std.min() <= log_std.max() <= high + 1e-6


def test_residual_deviation_is_the_root_mean_squared_residual():
    env = OneAction(action_space=spaces.Box(-2, 2, (1,), np.float32))
    rng = np.random.default_rng(0)
    demos = collect(lambda obs: rng.normal(0.3, 0.4, (len(obs), 1)).astype(np.float32), env, n_episodes=20, seed=0)
    model = build(PPO, env, **ON_POLICY)
    pretrained(model, demos, n_epochs=3, critic_updates=0, log_std="residual")
    means, _ = model.predict(demos.observations[: len(demos.observations)], deterministic=True)
    rows = np.concatenate([np.arange(10) + 11 * i for i in range(20)])
    expected = np.sqrt(((demos.actions - means[rows]) ** 2).mean())
    np.testing.assert_allclose(model.policy.log_std.exp().item(), expected, rtol=1e-4)


def test_a_deviation_of_states_is_left_alone(demonstrations):
    model = build(PPO, "Pendulum-v1", use_sde=True, **ON_POLICY)
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=1, critic_updates=1)
    with pytest.raises(ValueError, match="use_sde=False"):
        pretrained(build(PPO, "Pendulum-v1", use_sde=True, **ON_POLICY), demonstrations["Pendulum-v1"], log_std=-1.0)


@pytest.mark.parametrize("algorithm", ACTOR_CRITICS)
def test_off_policy_critic_learns_while_the_actor_is_held(algorithm, demonstrations):
    model = build(algorithm, "Pendulum-v1", **{**OFF_POLICY, "train_freq": 1, "gradient_steps": 1})
    policy, buffer = model.policy, model.replay_buffer
    before = {name: state(getattr(policy, name)) for name in ("actor", "critic")}
    target = state(policy.critic_target) if hasattr(policy, "critic_target") else None
    entropy = model.log_ent_coef.clone() if hasattr(model, "log_ent_coef") else None
    pretrained(model, demonstrations["Pendulum-v1"], n_epochs=0, critic_updates=10)
    assert not differ(before["actor"], state(policy.actor))
    if hasattr(policy, "actor_target"):
        after = state(policy.actor_target)
        assert all(th.allclose(value, before["actor"][name], atol=1e-6) for name, value in after.items())
    assert differ(before["critic"], state(policy.critic))
    if target is not None and policy.critic_target is not policy.critic:
        assert differ(target, state(policy.critic_target))
    if entropy is not None:
        assert th.equal(entropy, model.log_ent_coef)
    assert model.replay_buffer is buffer
    assert buffer.size() <= 1
    assert not policy.actor.optimizer._optimizer_step_pre_hooks  # free to move again
    model.learning_starts = 0
    model.learn(5)
    assert differ(before["actor"], state(policy.actor))


def test_td3_holds_an_extractor_that_actor_and_critic_share():
    image = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    env = OneAction(image, spaces.Box(-1, 1, (1,), np.float32))
    demos = collect(lambda obs: np.zeros((len(obs), 1), dtype=np.float32), env, n_episodes=1, seed=0)
    kwargs = {"net_arch": [8], "share_features_extractor": True}
    model = TD3("CnnPolicy", env, buffer_size=50, policy_kwargs=kwargs, batch_size=4, device="cpu")
    before = state(model.policy.actor)
    pretrained(model, demos, n_epochs=0, critic_updates=4)
    assert not differ(before, state(model.policy.actor))


def test_an_off_policy_critic_learns_the_demonstrated_values():
    """One step, reward 3: Q(s, a) = 3 at the demonstrated action."""
    space = spaces.Box(-1, 1, (1,), np.float32)
    demos = Demonstrations.from_episodes(
        [one_step(np.full((1, 1), 0.5, dtype=np.float32), 3.0)], (spaces.Box(0.0, 1.0, (1,), np.float32), space)
    )
    for algorithm in (SAC, TD3):
        model = build(algorithm, OneAction(action_space=space), learning_rate=1e-2, **OFF_POLICY)
        pretrained(model, demos, n_epochs=0, critic_updates=200)
        with th.no_grad():
            values = model.critic(th.zeros(1, 1), th.tensor([[0.5]]))
        np.testing.assert_allclose([value.item() for value in values], 3.0, atol=0.1)


@pytest.mark.parametrize("algorithm", [SAC, DQN])
def test_everything_is_as_before_after_an_exception(algorithm, demonstrations, monkeypatch):
    env = "Pendulum-v1" if algorithm is SAC else "CartPole-v1"
    model = build(algorithm, env, **OFF_POLICY)
    buffer = model.replay_buffer

    def broken(**_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model, "train", broken)
        with pytest.raises(KeyboardInterrupt):
            pretrained(model, demonstrations[env], n_epochs=0, critic_updates=5)
    assert model.replay_buffer is buffer
    owner = model.actor if algorithm is SAC else model.policy
    assert not owner.optimizer._optimizer_step_pre_hooks


def test_nothing_is_held_where_the_demonstrations_are_refused(demonstrations):
    model = build(SAC, "Pendulum-v1", **OFF_POLICY)
    with pytest.raises(ValueError, match="do not fit"):
        fit_action_values(model, demonstrations["CartPole-v1"], 1, None, {})
    assert not model.actor.optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize("algorithm", [DQN, QRDQN])
def test_q_networks_act_as_demonstrated_and_their_targets_follow(algorithm, demonstrations):
    demos = demonstrations["CartPole-v1"]
    model = build(algorithm, "CartPole-v1", **{**OFF_POLICY, "learning_rate": 1e-2})
    observations = batch_of(model, demos).observations.numpy()

    def agreement():
        return (model.predict(observations, deterministic=True)[0] == demos.actions).mean()

    before = agreement()
    pretrained(model, demos, critic_updates=200)
    assert agreement() > max(0.75, before + 0.1)
    network, target = ("q_net", "q_net_target") if algorithm is DQN else ("quantile_net", "quantile_net_target")
    assert not differ(state(getattr(model.policy, network)), state(getattr(model.policy, target)))  # tau is 1
    assert not model.policy.optimizer._optimizer_step_pre_hooks


def test_the_margin_is_what_was_asked_for():
    """Action 1 alone is demonstrated, reward 0 and one step: Q(1) = 0, and the margin pushes Q(0) below -margin."""
    demos = Demonstrations.from_episodes(
        [one_step(np.array([1]), 0.0)], (spaces.Box(0.0, 1.0, (1,), np.float32), spaces.Discrete(2))
    )
    for margin, most in ((0.3, 1.0), (2.0, 2.5)):
        model = build(DQN, OneAction(), **{**OFF_POLICY, "learning_rate": 1e-2})
        pretrained(model, demos, critic_updates=600, loss_kwargs={"margin": margin})
        with th.no_grad():
            values = model.q_net(th.zeros(1, 1)).flatten()
        assert margin - 0.1 < (values[1] - values[0]).item() < most


def test_q_target_is_updated_as_often_as_in_training(demonstrations):
    """DQN updates its target every 40 environment steps and trains every 4: every ten updates."""
    from gym_ilrl.callbacks.pretrain_critic import _until_target_updates

    model = build(DQN, "CartPole-v1", **OFF_POLICY, target_update_interval=40, train_freq=4, gradient_steps=1)
    assert _until_target_updates(model, 25) == [10, 10, 5]
    model.gradient_steps = 2
    assert _until_target_updates(model, 25) == [20, 5]
    assert _until_target_updates(build(SAC, "Pendulum-v1", **OFF_POLICY), 25) == [25]


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
