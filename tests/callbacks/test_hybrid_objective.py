"""The hybrid objective against explicit joint losses, in every algorithm."""

import numpy as np
import pytest
import torch as th
from hybrid_objective_helpers import (
    ALGORITHMS,
    NAMES,
    PPO_KWARGS,
    build,
    demonstrations_by_environment,
    parameters_of,
    trained,
)
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from gym_ilrl import Demonstrations
from gym_ilrl.callbacks import HybridObjective
from gym_ilrl.losses import imitation_loss


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return demonstrations_by_environment()


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
