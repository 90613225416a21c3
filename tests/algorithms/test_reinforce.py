"""REINFORCE as an SB3 algorithm: ends, demonstrations, spaces, saving, callbacks, learning."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from algorithm_helpers import AnySpaceEnv, constant_expert, parameters, same
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import IdentityEnv, IdentityEnvBox
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import REINFORCE, collect, expert
from gym_ilrl.algorithms.rollouts import ordered_rollout

BASELINES = ["none", "mean", "value", "optimal"]
SMALL = {"n_steps": 12, "policy_kwargs": {"net_arch": [8]}, "seed": 0}


@pytest.fixture(scope="module")
def walks():
    """CartPole episodes of very different lengths, by nobody in particular."""
    return collect(REINFORCE(env="CartPole-v1", seed=3), "CartPole-v1", n_episodes=6, seed=0)


def record_rollout(env, baseline="mean", **kwargs):
    """One rollout under a critic that says 1000 everywhere, in order."""
    model = REINFORCE("MlpPolicy", env, baseline=baseline, learning_rate=0.0, **{**SMALL, **kwargs})
    th.nn.init.constant_(model.policy.value_net.bias, 1000.0)
    th.nn.init.zeros_(model.policy.value_net.weight)
    model.learn(model.n_steps * model.n_envs)
    return ordered_rollout(model.rollout_buffer, th.zeros(model.n_envs, dtype=th.long))


def counting(limit):
    return lambda: gym.wrappers.TimeLimit(AnySpaceEnv(spaces.Box(-1, 1, (2,)), spaces.Discrete(2)), limit)


@pytest.mark.parametrize("baseline", ["none", "mean", "optimal"])
def test_untrained_critic_stays_out_of_the_returns(baseline):
    """Reward 1 a step, episodes of 3 steps by the time limit, of 5 on their own; the last one is cut."""
    limited = record_rollout(make_vec_env(counting(3), 2), baseline, gamma=0.5, n_steps=7)
    assert limited.returns.tolist() == 2 * [1.75, 1.5, 1, 1.75, 1.5, 1, 1]
    ended = record_rollout(make_vec_env(counting(9), 1), baseline, gamma=0.5, n_steps=7)
    assert ended.returns.tolist() == [1.9375, 1.875, 1.75, 1.5, 1, 1.5, 1]


def test_critic_bootstraps_where_it_is_the_baseline():
    rollout = record_rollout(make_vec_env(counting(3), 1), "value", gamma=0.5, n_steps=4)
    np.testing.assert_allclose(rollout.returns, [1.75 + 125, 1.5 + 250, 1 + 500, 1 + 500], rtol=1e-5)
    ended = record_rollout(make_vec_env(counting(9), 1), "value", gamma=0.5, n_steps=5)
    np.testing.assert_allclose(ended.returns, [1.9375, 1.875, 1.75, 1.5, 1], rtol=1e-3)


def test_critic_speaks_again_after_the_rollout():
    model = REINFORCE("MlpPolicy", "CartPole-v1", **SMALL).learn(12)
    assert float(model.policy.predict_values(th.ones(1, 4)).detach()) != 0


def test_critic_is_regressed_only_where_it_is_the_baseline():
    for baseline in BASELINES:
        model = REINFORCE("MlpPolicy", "CartPole-v1", baseline=baseline, **SMALL)
        before = model.policy.value_net.weight.clone()
        model.learn(24)
        assert th.equal(before, model.policy.value_net.weight) == (baseline != "value")


OBSERVATIONS = {
    "vector": spaces.Box(-1, 1, (3,)),
    "discrete": spaces.Discrete(4),
    "dict": spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(3)}),
    "image": spaces.Box(0, 255, (36, 36, 3), np.uint8),
}
ACTIONS = [
    spaces.Discrete(3),
    spaces.Box(-2, 2, (2,)),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(2),
]


def any_env(observations, actions, n_envs=2):
    return make_vec_env(lambda: AnySpaceEnv(OBSERVATIONS[observations], actions), n_envs, seed=0)


@pytest.mark.parametrize("actions", ACTIONS, ids=lambda space: type(space).__name__)
@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_every_space_with_demonstrations(observations, actions):
    policy = {"dict": "MultiInputPolicy", "image": "CnnPolicy"}.get(observations, "MlpPolicy")
    env = any_env(observations, actions)
    baseline = BASELINES[ACTIONS.index(actions)]
    demos = collect(constant_expert(actions), env, n_episodes=3, seed=0)
    model = REINFORCE(policy, env, demonstrations=demos, baseline=baseline, proposal_epochs=1, **SMALL)
    before = parameters(model)
    model.learn(24)
    assert not same(before, parameters(model))
    assert all(value.isfinite().all() for value in parameters(model).values())


@pytest.mark.parametrize("baseline", BASELINES)
def test_state_dependent_exploration(baseline):
    demos = collect(expert("Pendulum-v1"), "Pendulum-v1", n_episodes=1, seed=0)
    options = {"use_sde": True, "sde_sample_freq": 4, "demonstrations": demos, "baseline": baseline}
    REINFORCE("MlpPolicy", "Pendulum-v1", proposal_epochs=1, **options, **SMALL).learn(24)


@pytest.mark.parametrize("proposal", ["cloned", "empirical", "fusion"])
@pytest.mark.parametrize("weigh_future", [False, True])
@pytest.mark.parametrize("baseline", ["mean", "value"])
def test_demonstrations_through_vec_normalize(walks, proposal, weigh_future, baseline):
    env = VecNormalize(make_vec_env("CartPole-v1", 2, seed=0))
    options = {"proposal": proposal, "weigh_future": weigh_future, "baseline": baseline, "demo_episodes": 4}
    model = REINFORCE("MlpPolicy", env, demonstrations=walks, proposal_epochs=1, **options, **SMALL)
    model.learn(48)
    assert 0.25 <= model.logger.name_to_value["imitation/effective_sample_size"] <= 1
    env.ret_rms.var = np.array(100.0)
    returns = model._weighted._returns(1.0)
    assert float(returns[0]) == pytest.approx(walks.episode_lengths[0] / 10, rel=1e-3)


def test_gradient_with_demonstrations_is_the_sum_of_both(walks):
    """By hand: empirical proposal, softmax of the log-likelihoods so far at each time step, rewards to go."""

    def gradient(**kwargs):
        options = {"baseline": "none", "gamma": 0.9, "learning_rate": 0.0, "max_grad_norm": 1e9, "clip": None}
        model = REINFORCE("MlpPolicy", "CartPole-v1", **options, **kwargs, **SMALL).learn(12)
        return model, [p.grad.clone() for p in model.policy.action_net.parameters()]

    model, both = gradient(demonstrations=walks, proposal="empirical", demo_coef=0.3)
    _, own = gradient()
    n_pieces = int(model.rollout_buffer.episode_starts.sum())
    objective, log_probs = 0, []
    for episode in walks:
        distribution = model.policy.get_distribution(th.tensor(episode.observations[:-1]))
        log_probs.append(distribution.log_prob(th.tensor(episode.actions)))
    for i, episode in enumerate(walks):
        for t in range(len(episode.actions)):
            products = th.stack([log_prob[: t + 1].sum().detach() for log_prob in log_probs])
            weight = products.softmax(0)[i] * len(walks)
            objective = objective + weight * log_probs[i][t] * sum(0.9**k for k in range(len(episode.actions) - t))
    expected = th.autograd.grad(objective / len(walks), list(model.policy.action_net.parameters()))
    for left, right, extra in zip(both, own, expected, strict=True):
        th.testing.assert_close(left - right, -0.3 * extra * n_pieces / 12, rtol=1e-3, atol=1e-4)


def test_degenerate_weights_warn_once_and_name_the_remedy(walks):
    model = REINFORCE("MlpPolicy", "CartPole-v1", demonstrations=walks, proposal="empirical", **SMALL)
    th.nn.init.constant_(model.policy.action_net.bias, 0)
    th.nn.init.normal_(model.policy.action_net.weight, std=20)  # sure of itself, and of something else
    with pytest.warns(UserWarning, match="Pretrain") as caught:
        model.learn(48)
    assert len([warning for warning in caught if "degenerated" in str(warning.message)]) == 1


def test_demonstrations_of_the_policy_itself_are_not_degenerate(walks):
    cloned = REINFORCE("MlpPolicy", "CartPole-v1", seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cloned.set_demonstrations(walks)
        cloned.learn(1000)


def test_better_demonstrations_are_taken_up():
    """Twenty updates are few for the rollouts alone."""
    env = make_vec_env(lambda: IdentityEnv(dim=2), 1)
    demos = collect(lambda observations: observations, env, n_episodes=3, seed=0)
    chances = {}
    for coef in (0.0, 1.0):
        model = REINFORCE("MlpPolicy", env, demonstrations=demos, demo_coef=coef, n_steps=20, seed=0, gamma=0.0)
        model.learn(400)
        probabilities = model.policy.get_distribution(th.tensor([0, 1])).distribution.probs.diagonal()
        chances[coef] = probabilities.mean().item()
    assert chances[1.0] > chances[0.0]
    assert chances[1.0] > 0.8


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "median"}, "baseline must be one of none, mean, value, optimal"),
        ({"proposal": "uniform"}, "proposal must be one of cloned, empirical, fusion"),
        ({"clip": 0}, "clip must be a positive number"),
        ({"gamma": 1.5}, "gamma must be"),
        ({"n_steps": 0}, "n_steps must be"),
        ({"demo_episodes": 0}, "demo_episodes must be"),
        ({"demo_coef": -1}, "demo_coef must be"),
        ({"proposal": "empirical", "self_normalize": False}, "needs self_normalize=True"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        REINFORCE("MlpPolicy", "CartPole-v1", **options)


def test_demonstrations_that_cannot_be_weighed(walks):
    with pytest.raises(ValueError, match="causal=True"):
        REINFORCE("MlpPolicy", "CartPole-v1", demonstrations=walks, causal=False)
    with pytest.raises(ValueError, match="do not fit the environment"):
        REINFORCE("MlpPolicy", "Pendulum-v1", demonstrations=walks)
    without = type(walks).from_arrays(
        [episode.observations for episode in walks], [episode.actions for episode in walks], "CartPole-v1"
    )
    with pytest.raises(ValueError, match="no rewards"):
        REINFORCE("MlpPolicy", "CartPole-v1", demonstrations=without)


# ---------------------------------------------------------------- SB3's conventions


@pytest.mark.parametrize("baseline", BASELINES)
def test_saved_model_predicts_and_learns_on(walks, baseline, tmp_path):
    walks.save(tmp_path / "demos.npz")
    given = {"demonstrations": tmp_path / "demos.npz", "proposal_epochs": 1, "clip": 3.0}
    model = REINFORCE("MlpPolicy", make_vec_env("CartPole-v1", 2), baseline=baseline, **given, **SMALL).learn(48)
    model.save(tmp_path / "model")
    loaded = REINFORCE.load(tmp_path / "model", env=make_vec_env("CartPole-v1", 3))
    assert same(parameters(model), parameters(loaded))
    assert loaded.demonstrations is None
    assert (loaded.baseline, loaded.clip) == (baseline, 3.0)
    observations = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        loaded.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
    )
    loaded.learn(36, reset_num_timesteps=False)
    assert loaded.num_timesteps == 48 + 36
    loaded.set_demonstrations(walks)
    loaded.learn(36)
    without_env = REINFORCE.load(tmp_path / "model")
    assert without_env.predict(observations)[0].shape == (10,)


def test_demonstrations_are_not_in_the_file(walks, tmp_path):
    for name, demonstrations in (("with", walks + walks + walks), ("without", None)):
        REINFORCE("MlpPolicy", "CartPole-v1", demonstrations=demonstrations, **SMALL).learn(12).save(tmp_path / name)
    sizes = [(tmp_path / f"{name}.zip").stat().st_size for name in ("with", "without")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


@pytest.mark.parametrize("demonstrated", [False, True])
def test_seed_repeats_a_run(walks, demonstrated):
    def run(seed):
        options = {"demonstrations": walks if demonstrated else None, "demo_episodes": 3, "proposal_epochs": 1}
        env = make_vec_env("CartPole-v1", 2)
        return parameters(REINFORCE("MlpPolicy", env, **options, **{**SMALL, "seed": seed}).learn(72))

    first = run(5)
    th.rand(3)
    assert same(first, run(5))
    assert not same(first, run(6))


def test_zero_weight_changes_nothing(walks):
    def run(**kwargs):
        return parameters(REINFORCE("MlpPolicy", make_vec_env("CartPole-v1", 2), **kwargs, **SMALL).learn(72))

    left, right = run(), run(demonstrations=walks, demo_coef=0.0)
    assert all(th.allclose(left[name], right[name], atol=1e-6) for name in left)


class CountRollouts(BaseCallback):
    n_rollouts = 0

    def _on_step(self):
        return self.num_timesteps < 30

    def _on_rollout_end(self):
        self.n_rollouts += 1


def test_callbacks_and_logs(tmp_path):
    count = CountRollouts()
    evaluate = EvalCallback(make_vec_env("CartPole-v1"), eval_freq=10, n_eval_episodes=1, verbose=0)
    model = REINFORCE("MlpPolicy", "CartPole-v1", tensorboard_log=str(tmp_path), **SMALL)
    model.learn(100, callback=[count, evaluate])
    assert count.n_rollouts == 2
    assert model.num_timesteps == 30
    assert [path.name for path in tmp_path.iterdir()] == ["REINFORCE_1"]
    model.learn(12)
    assert {"train/policy_loss", "train/entropy_loss", "train/n_updates"} <= model.logger.name_to_value.keys()


def test_prints_nothing(capsys, walks):
    REINFORCE("MlpPolicy", "CartPole-v1", demonstrations=walks, proposal_epochs=1, **SMALL).learn(24)
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------- it learns


@pytest.mark.parametrize("baseline", ["mean", "value", "optimal"])
@pytest.mark.parametrize("make", [lambda: IdentityEnv(dim=2), lambda: IdentityEnvBox(eps=0.5)], ids=["2", "box"])
def test_identity(make, baseline):
    env = make_vec_env(make, 2, seed=0)
    model = REINFORCE("MlpPolicy", env, baseline=baseline, gamma=0.4, n_steps=50, ent_coef=0.0, seed=0).learn(6000)
    assert evaluate_policy(model, env, 5)[0] > 90  # of 100


@pytest.mark.expensive
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cart_pole(seed):
    """Far from the 10 to 20 of an untrained policy; how far depends on seed, versions and machine (99 to 500)."""
    model = REINFORCE("MlpPolicy", make_vec_env("CartPole-v1", 2, seed=seed), n_steps=500, seed=seed).learn(60_000)
    assert evaluate_policy(model, make_vec_env("CartPole-v1", 5, seed=9), 10)[0] > 50
