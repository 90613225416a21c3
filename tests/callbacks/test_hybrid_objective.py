"""The hybrid objective against explicit joint losses, and its life inside unmodified algorithms."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch as th
from sb3_contrib import ARS, QRDQN, TQC, TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, EveryNTimesteps
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import Demonstrations, collect, expert
from gym_ilrl.callbacks import HybridObjective, KLAnchor
from gym_ilrl.losses import imitation_loss
from gym_ilrl.losses.compat import CROSSQ_POLICIES

SMALL = {"net_arch": [8]}
ON_POLICY = {"n_steps": 32, "policy_kwargs": SMALL, "seed": 0, "device": "cpu"}
PPO_KWARGS = {**ON_POLICY, "batch_size": 16, "n_epochs": 2}
OFF_POLICY = {"learning_starts": 20, "batch_size": 16, "policy_kwargs": SMALL, "seed": 0, "device": "cpu"}
ALGORITHMS = [
    (PPO, "MlpPolicy", "CartPole-v1", PPO_KWARGS, 96),
    (PPO, "MlpPolicy", "Pendulum-v1", {**PPO_KWARGS, "use_sde": True}, 96),
    (A2C, "MlpPolicy", "CartPole-v1", {**ON_POLICY, "n_steps": 8}, 48),
    (TRPO, "MlpPolicy", "CartPole-v1", {**ON_POLICY, "batch_size": 16}, 96),
    (
        RecurrentPPO,
        "MlpLstmPolicy",
        "CartPole-v1",
        {**PPO_KWARGS, "policy_kwargs": {**SMALL, "lstm_hidden_size": 8}},
        64,
    ),
    (SAC, "MlpPolicy", "Pendulum-v1", OFF_POLICY, 40),
    (SAC, "MlpPolicy", "Pendulum-v1", {**OFF_POLICY, "use_sde": True}, 40),
    (TD3, "MlpPolicy", "Pendulum-v1", {**OFF_POLICY, "train_freq": 1, "gradient_steps": 1}, 40),
    (DDPG, "MlpPolicy", "Pendulum-v1", {**OFF_POLICY, "train_freq": 1, "gradient_steps": 1}, 40),
    (TQC, "MlpPolicy", "Pendulum-v1", OFF_POLICY, 40),
    (DQN, "MlpPolicy", "CartPole-v1", {**OFF_POLICY, "train_freq": 1, "buffer_size": 1000}, 40),
    (
        QRDQN,
        "MlpPolicy",
        "CartPole-v1",
        {**OFF_POLICY, "train_freq": 1, "buffer_size": 1000, "policy_kwargs": {"net_arch": [8], "n_quantiles": 5}},
        40,
    ),
]
if CROSSQ_POLICIES:
    from sb3_contrib import CrossQ

    ALGORITHMS.append((CrossQ, "MlpPolicy", "Pendulum-v1", OFF_POLICY, 40))
NAMES = [f"{case[0].__name__}{'-gSDE' if case[3].get('use_sde') else ''}" for case in ALGORITHMS]


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return {name: collect(expert(name), name, n_episodes=2, seed=0) for name in ("CartPole-v1", "Pendulum-v1")}


def parameters_of(model) -> th.Tensor:
    return th.nn.utils.parameters_to_vector(model.policy.parameters()).detach().clone()


def build(case, **changes):
    algorithm, policy, env, kwargs, _ = case
    model = algorithm(policy, env, **deepcopy({**kwargs, **changes}))  # SB3 changes policy_kwargs in place
    model.set_logger(Logger(None, []))
    return model


def trained(case, callback=None, **changes) -> th.Tensor:
    return parameters_of(build(case, **changes).learn(case[4], callback=callback))


@pytest.mark.parametrize("case", ALGORITHMS, ids=NAMES)
def test_coefficient_zero_is_the_run_without_and_one_is_another(case, demonstrations):
    demos = demonstrations[case[2]]
    plain = trained(case)
    assert th.equal(plain, trained(case, HybridObjective(demos, coef=0.0)))
    assert not th.equal(plain, trained(case, HybridObjective(demos, coef=1.0)))


@pytest.mark.parametrize("case", ALGORITHMS, ids=NAMES)
def test_imitation_improves_while_the_algorithm_learns(case, demonstrations):
    """With a heavy weight, the demonstrations' loss is lower than without, for every algorithm."""
    _, _, env, _, n_timesteps = case
    losses = []
    for coef, clip in ((0.0, "separate"), (20.0, "separate"), (20.0, "joint")):
        model = build(case, learning_rate=5e-3)
        callback = HybridObjective(demonstrations[env], coef, "constant", clip=clip, max_grad_norm=None)
        model.learn(3 * n_timesteps, callback=callback)
        with th.no_grad():
            batch = callback._batches.minibatches.in_order()
            losses.append(np.mean([imitation_loss(model.policy, b, **callback._options).item() for b, _ in batch]))
    assert max(losses[1:]) < losses[0] - 0.05 * abs(losses[0])


class JointPPO(PPO):
    """PPO whose loss has the imitation term, by the simplest means: in its entropy term, whose weight is one."""

    def learn_with(self, batches, coef, n_timesteps):
        policy, plain = self.policy, self.policy.evaluate_actions

        def evaluate_actions(observations, actions):
            values, log_prob, entropy = plain(observations, actions)
            imitation = (
                -policy.get_distribution(self.next_batch.observations).log_prob(self.next_batch.actions.long()).mean()
            )
            return values, log_prob, entropy * 0 - coef * imitation

        policy.evaluate_actions = evaluate_actions
        self.next_batch = None
        rollouts = self.rollout_buffer.get

        def get(batch_size=None):
            for samples in rollouts(batch_size):
                self.next_batch = batches.draw()
                yield samples

        self.rollout_buffer.get = get
        return self.learn(n_timesteps)


@pytest.mark.parametrize(("clip", "max_grad_norm", "tolerance"), [("joint", 0.5, 1e-6), ("separate", 1e9, 1e-6)])
def test_ppo_steps_are_those_of_the_joint_loss(clip, max_grad_norm, tolerance, demonstrations):
    """Joint mode equals ``loss += coef * imitation``, clipping included; separate mode does so without clipping."""
    demos = demonstrations["CartPole-v1"]
    kwargs = {**PPO_KWARGS, "max_grad_norm": max_grad_norm}
    hooked = PPO("MlpPolicy", "CartPole-v1", **kwargs)
    callback = HybridObjective(demos, 0.7, "constant", clip=clip, max_grad_norm=None)
    hooked.learn(96, callback=callback)

    joint = JointPPO("MlpPolicy", "CartPole-v1", ent_coef=1.0, **kwargs)
    same_order = HybridObjective(demos, 0.7)
    same_order.init_callback(joint)
    joint.learn_with(same_order._batches, 0.7, 96)
    th.testing.assert_close(parameters_of(hooked), parameters_of(joint), rtol=0, atol=tolerance)


class RecordGradients(BaseCallback):
    """Keeps the gradient that an optimizer steps with."""

    def __init__(self, find):
        super().__init__()
        self.find, self.seen = find, []

    def _on_training_start(self):
        optimizer = self.find(self.model)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.handle = optimizer.register_step_pre_hook(self.record)

    def record(self, *_):
        self.seen.append([None if p.grad is None else p.grad.clone() for p in self.parameters])

    def _on_step(self):
        return len(self.seen) == 0


def acting_optimizer(model):
    return model.actor.optimizer if hasattr(model.policy, "actor") else model.policy.optimizer


WITH_STEPS = [(case, name) for case, name in zip(ALGORITHMS, NAMES, strict=True) if name not in ("TRPO", "CrossQ")]


@pytest.mark.parametrize("case", [case for case, _ in WITH_STEPS], ids=[name for _, name in WITH_STEPS])
def test_first_gradient_is_the_sum_of_both(case, demonstrations):
    """Up to the actor's first step both runs are the same, so its gradients differ by the demonstrations' alone.

    (Not CrossQ: its batch normalisation has seen data by then.)
    """
    env, gradients = case[2], {}
    for coef in (0.0, 0.3):
        recorder = RecordGradients(acting_optimizer)
        callback = HybridObjective(demonstrations[env], coef, "constant", max_grad_norm=None)
        build(case).learn(64, callback=[callback, recorder])
        gradients[coef] = recorder.seen[0]
    twin = build(case)
    explicit = HybridObjective(demonstrations[env], 0.3, "constant")
    explicit.init_callback(twin)
    parameters = [p for group in acting_optimizer(twin).param_groups for p in group["params"]]
    loss = 0.3 * imitation_loss(twin.policy, explicit._batches.draw(), **explicit._options)
    added = th.autograd.grad(loss, parameters, allow_unused=True)
    for plain, hybrid, extra in zip(gradients[0.0], gradients[0.3], added, strict=True):
        expected = th.zeros(()) if plain is None else plain
        if extra is not None:
            expected = expected + extra
        actual = th.zeros(()) if hybrid is None else hybrid
        th.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def test_trust_region_of_trpo_holds(demonstrations):
    """The demonstrations bend TRPO's step, and do not lengthen it."""
    logged = []

    class Kl(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_start(self):
            value = self.logger.name_to_value.get("train/kl_divergence_loss")
            if value is not None:
                logged.append(value)

    model = TRPO("MlpPolicy", "CartPole-v1", n_steps=256, batch_size=128, seed=0, target_kl=0.01)
    callback = HybridObjective(demonstrations["CartPole-v1"], 5.0, "constant")
    model.learn(256 * 6, callback=[callback, Kl()], log_interval=100)
    assert len(logged) == 5
    assert 0 < max(logged) < 0.01


def test_trpo_gradient_is_the_joint_one(demonstrations):
    """What enters the conjugate gradient is grad(objective) - coef * grad(imitation loss)."""
    demos, results = demonstrations["CartPole-v1"], {}
    for coef in (0.0, 0.3):
        case = next(case for case in ALGORITHMS if case[0] is TRPO)
        model = build(case)
        callback = HybridObjective(demos, coef, "constant")

        class Spy(BaseCallback):
            def _on_step(self):
                return True

            def _on_rollout_end(self):
                compute = self.model._compute_actor_grad
                distribution = self.model.policy.get_distribution(th.ones(5, 4))
                objective = distribution.log_prob(th.zeros(5)).mean()
                results[coef] = compute(distribution.entropy().mean(), objective)[:2]  # noqa: B023

        model.learn(32, callback=[callback, Spy()])
        if coef:
            twin = build(case)
            callback.init_callback(twin)
            loss = coef * imitation_loss(twin.policy, callback._batches.draw())
            names = [n for n, p in model.policy.named_parameters() if any(p is q for q in results[coef][0])]
            parameters = [dict(twin.policy.named_parameters())[name] for name in names]
            added = th.cat([g.reshape(-1) for g in th.autograd.grad(loss, parameters)])
    th.testing.assert_close(results[0.3][1], results[0.0][1] - added, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("algorithm", [PPO, SAC, DQN])
def test_disarms_after_an_exception_and_in_later_runs(algorithm, demonstrations):
    """An exception skips on_training_end; a later learn() without the callback must be untouched by it."""
    case = next(case for case in ALGORITHMS if case[0] is algorithm)

    class Explode(BaseCallback):
        def _on_step(self):
            if self.num_timesteps >= 34:
                raise KeyboardInterrupt
            return True

    env, n_timesteps = case[2], case[4]
    model = build(case)
    callback = HybridObjective(demonstrations[env], 5.0, "constant")
    with pytest.raises(KeyboardInterrupt):
        model.learn(n_timesteps, callback=[callback, Explode()])
    calls = []
    callback.loss = lambda: calls.append(1)
    model.learn(n_timesteps)
    assert calls == []
    model.learn(n_timesteps, callback=callback)  # and it can be armed again
    assert len(calls) > 0


def test_an_interrupted_natural_gradient_step_can_be_saved(demonstrations, tmp_path):
    """TRPO is overridden while it updates, and SB3 saves all attributes of a model."""

    class Interrupt(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            raise KeyboardInterrupt

    model = build(next(case for case in ALGORITHMS if case[0] is TRPO))
    plain = {*vars(model)}
    callbacks = [HybridObjective(demonstrations["CartPole-v1"], 1.0), KLAnchor(0.1), Interrupt()]
    with pytest.raises(KeyboardInterrupt):
        model.learn(64, callback=callbacks)
    assert "_compute_actor_grad" in vars(model)
    model.save(tmp_path / "interrupted")
    loaded = TRPO.load(tmp_path / "interrupted", env=model.get_env())
    loaded.learn(16)
    model.learn(16)
    for trained_model in (loaded, model):
        assert {*vars(trained_model)} - plain <= {"start_time", "_custom_logger"}


def test_training_end_may_come_twice_and_start_may_come_again(demonstrations):
    model = build(ALGORITHMS[0])
    callback = HybridObjective(demonstrations["CartPole-v1"], 1.0, "constant")
    model.learn(32, callback=callback)
    callback.on_training_end()
    calls = []
    plain = callback.loss
    callback.loss = lambda: (calls.append(1), plain())[1]
    callback.init_callback(model)
    callback.on_training_start({}, {})
    callback.on_training_start({}, {})
    model.policy.optimizer.step()
    assert len(calls) == 1
    callback.on_training_end()
    callback.on_training_end()
    model.policy.optimizer.step()
    assert len(calls) == 1


@pytest.mark.parametrize("clip", ["separate", "joint"])
def test_two_callbacks_add_up(clip, demonstrations):
    demos, case = demonstrations["CartPole-v1"], ALGORITHMS[0]
    twice = [HybridObjective(demos, 0.5, "constant", clip=clip, max_grad_norm=None) for _ in range(2)]
    once = HybridObjective(demos, 1.0, "constant", clip=clip, max_grad_norm=None)
    # the same stream of batches in both: equal seeds
    th.testing.assert_close(trained(case, twice), trained(case, once), rtol=0, atol=1e-6)


@pytest.mark.parametrize("clip", ["separate", "joint"])
@pytest.mark.parametrize("algorithm", [PPO, SAC, TRPO])
def test_models_saved_meanwhile_are_plain(algorithm, clip, demonstrations, tmp_path):
    case = next(case for case in ALGORITHMS if case[0] is algorithm)

    class Save(BaseCallback):
        def _on_step(self):
            if self.num_timesteps == 33:
                self.model.save(tmp_path / "model.zip")
            return True

    hybrid = HybridObjective(demonstrations[case[2]], 1.0, "constant", clip=clip)
    build(case).learn(case[4], callback=[hybrid, Save()])
    assert (tmp_path / "model.zip").stat().st_size < 200_000
    loaded = algorithm.load(tmp_path / "model.zip", env=make_vec_env(case[2]))
    assert "_compute_actor_grad" not in vars(loaded)
    loaded.learn(case[4])


def test_pickles_with_its_demonstrations_and_without_its_model(demonstrations):
    callback = HybridObjective(demonstrations["CartPole-v1"], 1.0)
    build(ALGORITHMS[0]).learn(32, callback=callback)
    again = pickle.loads(pickle.dumps(callback))
    assert again.demonstrations == callback.demonstrations
    assert not hasattr(again, "model")
    build(ALGORITHMS[0]).learn(64, callback=again)


def test_as_the_child_of_an_event_callback(demonstrations):
    """EveryNTimesteps passes only training start and steps on."""
    child = HybridObjective(demonstrations["CartPole-v1"], 5.0, "constant")
    plain = trained(ALGORITHMS[0])
    assert not th.equal(plain, trained(ALGORITHMS[0], EveryNTimesteps(1000, child)))


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
