"""What the options of the hybrid objective do, what it refuses, and what it leaves untouched."""

import numpy as np
import pytest
import torch as th
from hybrid_objective_helpers import ALGORITHMS, PPO_KWARGS, build, demonstrations_by_environment, trained
from sb3_contrib import ARS, MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import Demonstrations, collect
from gym_ilrl.callbacks import HybridObjective


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return demonstrations_by_environment()


def test_linear_coefficient_ends_at_zero_and_factor_counts_rollouts(demonstrations):
    demos = demonstrations["CartPole-v1"]
    seen = {"linear": [], 0.5: [], "schedule": []}

    class Watch(HybridObjective):
        def loss(self):
            result = super().loss()
            seen[self.key].append(0.0 if result is None else result[1])
            return result

    for key, coef, anneal in (
        ("linear", 1.0, "linear"),
        (0.5, 1.0, 0.5),
        ("schedule", lambda left: 1 + left, "linear"),
    ):
        callback = Watch(demos, coef, anneal)
        callback.key = key
        PPO("MlpPolicy", "CartPole-v1", n_steps=32, batch_size=32, n_epochs=1, seed=0).learn(128, callback=callback)
    np.testing.assert_allclose(seen["linear"], [0.75, 0.5, 0.25, 0.0])
    np.testing.assert_allclose(seen[0.5], [0.5, 0.25, 0.125, 0.0625])
    np.testing.assert_allclose(seen["schedule"], [1.75, 1.5, 1.25, 1.0])


def test_td3bc_scales_by_the_mean_absolute_value(demonstrations):
    case = next(case for case in ALGORITHMS if case[0] is SAC)
    model = build(case)
    callback = HybridObjective(demonstrations["Pendulum-v1"], "td3bc", "constant", batch_size=7, td3bc_alpha=2.0)
    model.learn(30, callback=callback)
    twin = HybridObjective(demonstrations["Pendulum-v1"], "td3bc", "constant", batch_size=7, td3bc_alpha=2.0)
    twin.init_callback(model)
    batch = twin._batches.draw()
    scaled = th.as_tensor(model.policy.scale_action(batch.actions.numpy()))
    critics = [q(th.cat([batch.observations, scaled], dim=1)) for q in model.critic.q_networks]
    expected = th.minimum(*critics).abs().mean().item() / 2.0
    twin.init_callback(model)
    _, coef = twin.loss()
    assert coef == pytest.approx(expected, rel=1e-5)


def test_q_filter_keeps_what_the_critic_prefers(demonstrations):
    """Against the definition: Q of the demonstrated action above Q of the policy's own, the mean over all samples."""
    case = next(case for case in ALGORITHMS if case[0] is TD3)
    model = build(case).learn(30)
    callback = HybridObjective(demonstrations["Pendulum-v1"], 1.0, "constant", batch_size=64, filter="q")
    callback.init_callback(model)
    loss, _ = callback.loss()
    callback.init_callback(model)
    batch = callback._batches.draw()
    with th.no_grad():
        demonstrated, own = batch.actions / 2.0, model.actor(batch.observations)
        values = [
            th.minimum(*[q(th.cat([batch.observations, actions], dim=1)) for q in model.critic.q_networks])[:, 0]
            for actions in (demonstrated, own)
        ]
        kept = values[0] > values[1]
        expected = ((own - demonstrated).square().mean(dim=1) * kept).sum() / 64
    assert 0 < kept.sum() < 64
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_advantage_filter_keeps_what_beats_the_value_function(demonstrations):
    model = build(ALGORITHMS[0])
    demos = demonstrations["CartPole-v1"]
    callback = HybridObjective(demos, 1.0, "constant", batch_size=demos.n_transitions, filter="advantage")
    callback.init_callback(model)
    with th.no_grad():
        model.policy.value_net.weight.zero_()
        model.policy.value_net.bias.fill_(50.0)  # gamma .99: returns to go fall from 99 to 1 along an episode
    loss, _ = callback.loss()
    first = th.as_tensor(np.concatenate([e.observations[:-1] for e in demos]))
    to_go = np.concatenate([[sum(0.99**k for k in range(len(e) - t)) for t in range(len(e))] for e in demos])
    kept = th.as_tensor(to_go > 50.0)
    log_prob = model.policy.get_distribution(first).log_prob(th.tensor(demos.actions))
    expected = -(log_prob * kept).sum() / len(kept)
    assert 0 < kept.sum() < len(kept)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_nothing_is_added_where_the_filter_keeps_padding_alone(demonstrations):
    """Sequences of a recurrent policy in which only the padding seems better than the value function expects."""
    case = next(case for case in ALGORITHMS if case[0] is RecurrentPPO)
    model, demos = build(case), demonstrations[case[2]]
    callback = HybridObjective(demos, 1.0, "constant", batch_size=64, filter="advantage", sequence_length=7)
    callback.init_callback(model)
    draw = callback._batches.draw

    def preferred_padding():
        batch = draw()
        valid = th.arange(len(batch.actions)) % 7 < 5  # the last two of each sequence are padding
        return batch._replace(valid=valid, returns_to_go=th.where(valid, -1e6, 1e6))

    callback._batches.draw = preferred_padding
    assert callback.loss() is None


def test_filters_that_cannot_be_are_refused(demonstrations):
    cases = [("q", PPO), ("q", DQN), ("advantage", SAC)]
    for name, algorithm in cases:
        case = next(case for case in ALGORITHMS if case[0] is algorithm)
        with pytest.raises(ValueError, match=f"filter='{name}'"):
            HybridObjective(demonstrations[case[2]], filter=name).init_callback(build(case))
    demos = demonstrations["CartPole-v1"]
    bare = Demonstrations.from_episodes(
        [e.__class__(e.observations, e.actions, None, e.terminations, e.truncations, None) for e in demos],
        (demos.observation_space, demos.action_space),
    )
    with pytest.raises(ValueError, match="rewards"):
        HybridObjective(bare, filter="advantage").init_callback(build(ALGORITHMS[0]))


def test_what_has_no_gradient_or_does_not_fit_is_refused(demonstrations):
    with pytest.raises(TypeError, match="ARS"):
        ARS("MlpPolicy", "CartPole-v1").learn(1, callback=HybridObjective(demonstrations["CartPole-v1"]))
    with pytest.raises(ValueError, match="space"):
        HybridObjective(demonstrations["Pendulum-v1"]).init_callback(build(ALGORITHMS[0]))
    with pytest.raises(ValueError, match="td3bc"):
        HybridObjective(demonstrations["CartPole-v1"], "td3bc").init_callback(build(ALGORITHMS[0]))
    with pytest.raises(ValueError, match="loss_kwargs"):
        HybridObjective(demonstrations["CartPole-v1"], loss_kwargs={"margin": 1}).init_callback(build(ALGORITHMS[0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coef", -1.0),
        ("coef", float("nan")),
        ("coef", "td3-bc"),
        ("anneal", "cosine"),
        ("anneal", 1.5),
        ("batch_size", 0),
        ("filter", "best"),
        ("clip", "both"),
        ("max_grad_norm", 0.0),
        ("td3bc_alpha", 0.0),
        ("sequence_length", 0),
        ("loss_kwargs", 3),
        ("seed", "zero"),
    ],
)
def test_arguments_outside_their_range_are_refused_by_name(name, value, demonstrations):
    with pytest.raises(ValueError, match=name):
        HybridObjective(demonstrations["CartPole-v1"], **{name: value})


@pytest.mark.parametrize("given", [None, 3])
def test_something_else_than_demonstrations_is_refused(given):
    with pytest.raises(TypeError, match="demonstrations"):
        HybridObjective(given)


def test_demonstrations_may_be_a_path(demonstrations, tmp_path):
    demonstrations["CartPole-v1"].save(tmp_path / "demos.npz")
    assert HybridObjective(str(tmp_path / "demos.npz")).demonstrations == demonstrations["CartPole-v1"]


def test_global_random_streams_are_untouched(demonstrations):
    callback = HybridObjective(demonstrations["CartPole-v1"], 1.0, "constant")
    model = build(ALGORITHMS[0])
    np.random.seed(0)  # noqa: NPY002
    th.manual_seed(0)
    callback.init_callback(model)
    callback.on_training_start({}, {})
    model.policy.optimizer.step()
    drawn = np.random.random(), th.rand(())  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    th.manual_seed(0)
    assert drawn[0] == np.random.random()  # noqa: NPY002
    assert drawn[1] == th.rand(())


def test_batch_statistics_and_dropout_are_untouched(demonstrations):
    """A coefficient that is tiny but not zero leaves a network with both where it is without the callback."""

    class Normalising(BaseFeaturesExtractor):
        def __init__(self, observation_space):
            super().__init__(observation_space, 4)
            self.layers = th.nn.Sequential(th.nn.BatchNorm1d(4), th.nn.Dropout(0.5))

        def forward(self, observations):
            return self.layers(observations)

    kwargs = {"policy_kwargs": {"features_extractor_class": Normalising, "net_arch": [8]}}
    plain = trained(ALGORITHMS[0], **kwargs)
    tiny = trained(ALGORITHMS[0], HybridObjective(demonstrations["CartPole-v1"], 1e-30, "constant"), **kwargs)
    assert th.equal(plain, tiny)


def test_statistics_of_vec_normalize_are_followed_but_not_moved(demonstrations):
    demos = demonstrations["CartPole-v1"]

    def normalised():
        return VecNormalize(make_vec_env("CartPole-v1", 2, seed=0))

    plain, hybrid = normalised(), normalised()
    PPO("MlpPolicy", plain, **{**PPO_KWARGS, "policy_kwargs": {"net_arch": [8]}}).learn(64)
    callback = HybridObjective(demos, 0.0)
    model = PPO("MlpPolicy", hybrid, **{**PPO_KWARGS, "policy_kwargs": {"net_arch": [8]}}).learn(64, callback=callback)
    np.testing.assert_array_equal(plain.obs_rms.mean, hybrid.obs_rms.mean)
    before = callback._batches.training_set.batch(th.arange(3)).observations.clone()
    model.learn(1100, callback=HybridObjective(demos, 0.0), reset_num_timesteps=False)
    callback._batches.follow_statistics(model.num_timesteps)
    after = callback._batches.training_set.batch(th.arange(3)).observations
    expected = hybrid.normalize_obs(demos.observations[:3])
    np.testing.assert_allclose(after.numpy(), expected, rtol=1e-5)
    assert not th.equal(before, after)


def test_maskable_ppo_needs_and_uses_masks():
    from sb3_contrib.common.envs import InvalidActionEnvDiscrete
    from sb3_contrib.common.maskable.utils import get_action_masks

    env = InvalidActionEnvDiscrete(dim=10, n_invalid_actions=4)
    model = MaskablePPO("MlpPolicy", env, n_steps=32, batch_size=16, seed=0)
    demos = collect(model, env, n_episodes=2, seed=0)
    assert demos.infos is not None
    assert "action_masks" in demos.infos
    model.learn(64, callback=HybridObjective(demos, 1.0))
    assert get_action_masks(model.get_env()).any()
    without = Demonstrations.from_episodes(
        [e.__class__(e.observations, e.actions, e.rewards, e.terminations, e.truncations, None) for e in demos],
        (demos.observation_space, demos.action_space),
    )
    with pytest.raises(ValueError, match="action_masks"):
        model.learn(64, callback=HybridObjective(without, 1.0))
