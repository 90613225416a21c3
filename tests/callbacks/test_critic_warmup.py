"""While the critic warms up the actor does not change by a bit; then it learns at the share of its rate."""

import copy
import pickle

import pytest
import sb3_contrib
import torch as th
from sb3_contrib import ARS, QRDQN, TQC, TRPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback

from gym_ilrl.callbacks import CriticWarmup, GradientCallback
from gym_ilrl.losses.actor import actor_parameters
from gym_ilrl.losses.values import critic_parameters

ON = {"n_steps": 16, "batch_size": 16}
OFF = {"learning_starts": 4, "batch_size": 8, "train_freq": 1, "gradient_steps": 1, "policy_kwargs": {"net_arch": [8]}}
SHARED = {**OFF, "policy_kwargs": {"net_arch": [8], "share_features_extractor": True}}
CASES = {
    "ppo": (PPO, "MlpPolicy", "CartPole-v1", {**ON, "n_epochs": 2}),
    "a2c": (A2C, "MlpPolicy", "Pendulum-v1", {"n_steps": 16}),
    "trpo": (TRPO, "MlpPolicy", "CartPole-v1", {**ON, "n_critic_updates": 2}),
    "trpo without critic updates": (TRPO, "MlpPolicy", "CartPole-v1", {**ON, "n_critic_updates": 0}),
    "recurrent": (
        RecurrentPPO,
        "MlpLstmPolicy",
        "CartPole-v1",
        {**ON, "n_epochs": 1, "policy_kwargs": {"lstm_hidden_size": 8}},
    ),
    "sac": (SAC, "MlpPolicy", "Pendulum-v1", OFF),
    "td3": (TD3, "MlpPolicy", "Pendulum-v1", SHARED),
    "tqc": (TQC, "MlpPolicy", "Pendulum-v1", OFF),
}
if hasattr(sb3_contrib, "CrossQ"):
    CASES["crossq"] = (sb3_contrib.CrossQ, "MlpPolicy", "Pendulum-v1", OFF)


class Push(GradientCallback):
    """The gradient of the sum of the actor's parameters."""

    def loss(self):
        return sum((p - 1.0).square().sum() for p in actor_parameters(self.model.policy)), 1.0


class Watch(BaseCallback):
    """Calls a function at every step."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def _on_step(self):
        self.function(self.model)
        return True


def build(case):
    algorithm, policy, env, kwargs = CASES[case]
    return algorithm(policy, env, seed=0, device="cpu", **copy.deepcopy(kwargs))


def copies(tensors):
    return [tensor.detach().clone() for tensor in tensors]


def equal(first, second):
    return all(th.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_actor_is_held_whatever_pushes_it_and_then_released(case):
    model = build(case)
    warmup = CriticWarmup(33)
    before = copies(actor_parameters(model.policy)), copies(model.policy.parameters())
    acting = getattr(model.policy, "actor", None)
    statistics = copies(acting.buffers()) if acting is not None else []
    model.learn(32, callback=[Push(), warmup, Push()])
    assert warmup.share == 0.0
    assert equal(before[0], actor_parameters(model.policy))
    assert acting is None or equal(statistics, acting.buffers())
    if case != "trpo without critic updates":
        assert not equal(before[1], model.policy.parameters())  # the critic learns
    if getattr(model, "log_ent_coef", None) is not None:
        assert model.log_ent_coef.item() == 0.0
    model.learn(32, callback=warmup, reset_num_timesteps=False)
    assert warmup.share == 1.0
    assert not equal(before[0], actor_parameters(model.policy))


def test_without_the_warmup_the_push_moves_the_actor():
    model = build("ppo")
    before = copies(actor_parameters(model.policy))
    model.learn(32, callback=[Push()])
    assert not equal(before, actor_parameters(model.policy))


@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_the_ramp_is_that_share_of_the_learning_rate(algorithm):
    """One update at share 1/4 moves the actor as one with a quarter of the learning rate would, to rounding."""
    moved = {}
    on_policy = algorithm is PPO
    for rate, callback in ((1e-3, CriticWarmup(0, ramp_timesteps=64)), (0.25e-3, None)):
        kwargs = {"n_steps": 16, "batch_size": 16, "n_epochs": 1} if on_policy else {**OFF, "learning_starts": 15}
        env = "CartPole-v1" if on_policy else "Pendulum-v1"
        model = algorithm("MlpPolicy", env, learning_rate=rate, seed=0, device="cpu", **kwargs)
        before = th.cat([p.detach().flatten().clone() for p in actor_parameters(model.policy)])
        model.learn(16, callback=callback)
        moved[rate] = th.cat([p.detach().flatten() for p in actor_parameters(model.policy)]) - before
    assert moved[1e-3].abs().max() > 1e-5
    if on_policy:  # in SAC the critic, which moves first, has its full rate
        th.testing.assert_close(moved[1e-3], moved[0.25e-3], rtol=1e-3, atol=1e-7)
    else:  # the first step of Adam is its rate, in every direction
        assert float(moved[1e-3].abs().max()) == pytest.approx(0.25e-3, rel=1e-2)


def test_trpos_step_is_shortened():
    steps = {}
    for share, callback in ((0.25, CriticWarmup(0, ramp_timesteps=64)), (1.0, None)):
        model = build("trpo")
        before = copies(actor_parameters(model.policy))
        model.learn(16, callback=callback)
        steps[share] = th.cat([(p - b).flatten() for p, b in zip(actor_parameters(model.policy), before, strict=True)])
    assert steps[1.0].abs().max() > 1e-4
    th.testing.assert_close(steps[0.25], 0.25 * steps[1.0], rtol=1e-3, atol=1e-6)


def test_the_explained_variance_releases_early():
    model = build("ppo")
    impossible, easy = CriticWarmup(1000, explained_variance=1.0), CriticWarmup(1000, explained_variance=-1e9)
    model.learn(16, callback=impossible)
    assert impossible.share == 0.0
    model.learn(16, callback=easy)
    assert easy.share == 1.0


def test_a_model_is_not_held_twice_and_a_loaded_one_only_for_the_rest(tmp_path):
    model, warmup = build("ppo"), CriticWarmup(20)
    model.learn(32, callback=warmup)
    assert warmup.share == 1.0
    model.learn(16, callback=warmup)  # counts from zero again
    assert warmup.share == 1.0
    model.save(tmp_path / "model")
    loaded = PPO.load(tmp_path / "model", env=model.get_env(), device="cpu")
    fresh = CriticWarmup(20)
    loaded.learn(16, callback=fresh, reset_num_timesteps=False)
    assert fresh.share == 1.0
    rest = CriticWarmup(1000)
    loaded.learn(16, callback=rest, reset_num_timesteps=False)
    assert rest.share == 0.0


def test_an_interrupted_training_leaves_nothing_behind():
    model, warmup = build("trpo"), CriticWarmup(1000)

    def interrupt(model):
        if model.num_timesteps == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.learn(64, callback=[warmup, Watch(interrupt)])
    before = copies(actor_parameters(model.policy))
    model.learn(16)
    assert not equal(before, actor_parameters(model.policy))


def test_it_survives_pickle_and_saving_meanwhile(tmp_path):
    model, warmup = build("sac"), CriticWarmup(1000)
    model.learn(16, callback=[warmup, Watch(lambda model: model.save(tmp_path / "model"))])
    again = pickle.loads(pickle.dumps(warmup))
    SAC.load(tmp_path / "model", env=model.get_env()).learn(8, callback=again)
    assert again.share == 0.0


@pytest.mark.parametrize("case", ["ppo", "recurrent", "sac", "td3"])
def test_a_reset_draws_the_critic_anew_and_nothing_else(case):
    model = build(case)
    model.learn(16)
    actor = copies(actor_parameters(model.policy))
    on_policy = case in ("ppo", "recurrent")
    critic = critic_parameters(model.policy) if on_policy else list(model.policy.critic.qf0.parameters())
    with th.no_grad():
        for parameter in critic:
            parameter.fill_(7.0)
    random_state = th.get_rng_state()
    warmup = CriticWarmup(1000, reset_critic=True)
    warmup.init_callback(model)
    model.num_timesteps = 0
    warmup.on_training_start({}, {})
    assert th.equal(th.get_rng_state(), random_state)
    assert equal(actor, actor_parameters(model.policy))
    assert not any((parameter == 7.0).any() for parameter in critic)
    if on_policy:
        weight = model.policy.value_net.weight
        assert float(weight.norm()) == pytest.approx(1.0, rel=1e-4)  # orthogonal with gain 1
    else:
        target = model.policy.critic_target.state_dict()
        assert all(th.equal(value, target[name]) for name, value in model.policy.critic.state_dict().items())


@pytest.mark.parametrize("algorithm", [DQN, QRDQN, ARS])
def test_algorithms_without_a_critic_of_their_own_are_refused(algorithm):
    with pytest.raises(TypeError, match="leave it out"):
        algorithm("MlpPolicy", "CartPole-v1", device="cpu").learn(8, callback=CriticWarmup())


def test_arguments_are_refused_in_a_sentence():
    for wrong in ({"n_timesteps": -1}, {"ramp_timesteps": 0.5}, {"explained_variance": 1.5}):
        with pytest.raises(ValueError, match="must be"):
            CriticWarmup(**wrong)
    with pytest.raises(ValueError, match="n_timesteps alone"):
        build("sac").learn(4, callback=CriticWarmup(explained_variance=0.5))
