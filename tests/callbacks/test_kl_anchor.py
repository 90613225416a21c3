"""The anchor adds the divergence from the reference, in the loss or the reward, and nothing else."""

import copy
import pickle
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import sb3_contrib
import torch as th
from sb3_contrib import ARS, QRDQN, TQC, TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.envs import InvalidActionEnvDiscrete
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from gym_ilrl.callbacks import KLAnchor
from gym_ilrl.callbacks.training_states import replayed_states, rollout_states, take
from gym_ilrl.losses.divergence import Bernoullis, Categoricals, Gaussians, action_distributions

ON = {"n_steps": 32, "batch_size": 32}
OFF = {"learning_starts": 4, "batch_size": 8, "train_freq": 1, "gradient_steps": 1, "policy_kwargs": {"net_arch": [8]}}
LSTM = {"policy_kwargs": {"lstm_hidden_size": 8}}
CASES = {
    "ppo": (PPO, "MlpPolicy", "CartPole-v1", {**ON, "n_epochs": 2}),
    "ppo with gSDE": (PPO, "MlpPolicy", "Pendulum-v1", {**ON, "n_epochs": 2, "use_sde": True}),
    "a2c": (A2C, "MlpPolicy", "Pendulum-v1", {"n_steps": 8}),
    "trpo": (TRPO, "MlpPolicy", "CartPole-v1", {**ON, "n_critic_updates": 1}),
    "recurrent": (RecurrentPPO, "MlpLstmPolicy", "CartPole-v1", {**ON, **LSTM, "n_epochs": 1}),
    "maskable": (MaskablePPO, "MlpPolicy", InvalidActionEnvDiscrete(dim=6, n_invalid_actions=3), {**ON, "n_epochs": 1}),
    "sac": (SAC, "MlpPolicy", "Pendulum-v1", OFF),
    "sac with gSDE": (SAC, "MlpPolicy", "Pendulum-v1", {**OFF, "use_sde": True}),
    "td3": (TD3, "MlpPolicy", "Pendulum-v1", OFF),
    "ddpg": (DDPG, "MlpPolicy", "Pendulum-v1", OFF),
    "tqc": (TQC, "MlpPolicy", "Pendulum-v1", OFF),
}
if hasattr(sb3_contrib, "CrossQ"):
    CASES["crossq"] = (sb3_contrib.CrossQ, "MlpPolicy", "Pendulum-v1", OFF)


def build(case, **changes):
    algorithm, policy, env, kwargs = CASES[case]
    return algorithm(policy, env, device="cpu", **{"seed": 0, **copy.deepcopy(kwargs), **changes})


def parameters_of(model):
    return th.cat([parameter.detach().flatten() for parameter in model.policy.parameters()])


class Logged(BaseCallback):
    """Keeps what the anchor measured."""

    def __init__(self, anchor):
        super().__init__()
        self.anchor, self.kls = anchor, []

    def _on_rollout_end(self):
        self.kls.append(self.logger.name_to_value.get("imitation/anchor_kl", 0.0))

    def _on_step(self):
        return True


@pytest.mark.parametrize("case", CASES)
def test_every_algorithm_runs_with_it(case):
    model, anchor = build(case), KLAnchor(1.0, batch_size=16, anneal="constant")
    model.learn(96, callback=anchor)
    free = build(case)
    free.learn(96)
    assert th.isfinite(parameters_of(model)).all()
    assert not th.equal(parameters_of(model), parameters_of(free))


@pytest.mark.parametrize("case", ["ppo", "a2c", "sac"])
@pytest.mark.parametrize("mode", ["loss", "reward"])
def test_a_coefficient_of_zero_changes_no_bit(case, mode):
    if (case, mode) == ("sac", "reward"):
        return
    with_it = build(case).learn(96, callback=KLAnchor(0.0, mode=mode))
    without = build(case).learn(96)  # seeds the global random streams anew
    assert th.equal(parameters_of(with_it), parameters_of(without))


class JointPPO(PPO):
    """One gradient step a rollout on PPO's loss plus the divergence, written out."""

    def train(self):
        (data,) = self.rollout_buffer.get(None)
        advantages = (data.advantages - data.advantages.mean()) / (data.advantages.std() + 1e-8)
        values, log_prob, _ = self.policy.evaluate_actions(data.observations, data.actions.long().flatten())
        loss = -(advantages * th.exp(log_prob - data.old_log_prob)).mean()
        loss = loss + self.vf_coef * th.nn.functional.mse_loss(data.returns, values.flatten())
        with th.no_grad():
            reference = Categorical(logits=self.reference.get_distribution(data.observations).distribution.logits)
        current = self.policy.get_distribution(data.observations).distribution
        self.kl = kl_divergence(reference, current).mean()
        self.policy.optimizer.zero_grad()
        (loss + 0.7 * self.kl).backward()
        self.policy.optimizer.step()


@pytest.mark.parametrize("clip", ["separate", "joint"])
def test_the_gradient_is_that_of_the_joint_loss(clip):
    kwargs = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "max_grad_norm": 1e9, "learning_rate": 0.05}
    kwargs |= {"policy_kwargs": {"optimizer_class": th.optim.SGD}, "seed": 0, "device": "cpu"}
    reference = PPO("MlpPolicy", "CartPole-v1", **{**kwargs, "seed": 3}).policy
    with th.no_grad():
        reference.action_net.weight.mul_(100.0)  # apart from the beginning on
    anchored = PPO("MlpPolicy", "CartPole-v1", **kwargs)
    anchored.learn(192, callback=KLAnchor(0.7, reference, anneal="constant", clip=clip))
    joint = JointPPO("MlpPolicy", "CartPole-v1", **kwargs)
    joint.reference = reference
    joint.learn(192)
    assert joint.kl.item() > 0.005
    th.testing.assert_close(parameters_of(anchored), parameters_of(joint), rtol=0, atol=1e-6)


def test_the_anchor_keeps_the_policy_near():
    moved = {}
    for coef in (0.0, 5.0):
        model = PPO("MlpPolicy", "Pendulum-v1", n_steps=64, batch_size=32, learning_rate=3e-3, seed=0, device="cpu")
        anchor = KLAnchor(coef, anneal="constant", max_grad_norm=None)
        model.learn(256, callback=anchor)
        observations = th.as_tensor(np.stack([model.observation_space.sample() for _ in range(50)]))
        batch = SimpleNamespace(observations=observations)
        with th.no_grad():
            current = action_distributions(model.policy, batch)
            moved[coef] = float(action_distributions(anchor._anchor, batch).divergence_to(current).mean())
    assert moved[5.0] < 0.5 * moved[0.0]


def test_divergences_are_those_of_torch():
    draw = th.Generator().manual_seed(0)
    one, two = th.randn(5, 3, generator=draw), th.randn(5, 3, generator=draw)
    s1, s2 = th.randn(5, 3, generator=draw), th.randn(5, 3, generator=draw)
    normal = kl_divergence(Normal(one, s1.exp()), Normal(two, s2.exp())).sum(dim=1)
    th.testing.assert_close(Gaussians(one, s1).divergence_to(Gaussians(two, s2)), normal)
    shared = kl_divergence(Normal(one, s1[0].exp()), Normal(two, s2[0].exp())).sum(dim=1)
    th.testing.assert_close(Gaussians(one, s1[0]).divergence_to(Gaussians(two, s2[0])), shared)
    mixed = kl_divergence(Normal(one, s1[0].exp()), Normal(two, s2.exp())).sum(dim=1)
    th.testing.assert_close(Gaussians(one, s1[0]).divergence_to(Gaussians(two, s2)), mixed)
    mixed = kl_divergence(Normal(one, s1.exp()), Normal(two, s2[0].exp())).sum(dim=1)
    th.testing.assert_close(Gaussians(one, s1).divergence_to(Gaussians(two, s2[0])), mixed)
    categorical = kl_divergence(Categorical(logits=one), Categorical(logits=two))
    logs = [Categoricals((each.log_softmax(dim=1),)) for each in (one, two)]
    th.testing.assert_close(logs[0].divergence_to(logs[1]), categorical)
    bernoulli = kl_divergence(Bernoulli(logits=one), Bernoulli(logits=two)).sum(dim=1)
    th.testing.assert_close(Bernoullis(one).divergence_to(Bernoullis(two)), bernoulli)


class Rollout(BaseCallback):
    """Keeps a rollout's rewards and log-probabilities, before and after the anchor."""

    def __init__(self):
        super().__init__()
        self.rewards, self.advantages = [], []

    def _on_rollout_end(self):
        self.rewards.append(self.model.rollout_buffer.rewards.copy())
        self.advantages.append(self.model.rollout_buffer.advantages.copy())
        self.buffer = self.model.rollout_buffer

    def _on_step(self):
        return True


@pytest.mark.parametrize("case", ["ppo", "a2c", "maskable"])
def test_the_reward_loses_the_logarithms_ratio(case):
    before, after, model = Rollout(), Rollout(), build(case, gae_lambda=1.0, gamma=1.0)
    reference = build(case, seed=5).policy
    model.learn(1, callback=[before, KLAnchor(0.5, reference, anneal="constant", mode="reward"), after])
    buffer = before.buffer  # flattened by now; one environment keeps the order
    observations, actions = th.as_tensor(buffer.observations), th.as_tensor(buffer.actions)
    masks = {"action_masks": buffer.action_masks} if case == "maskable" else {}
    actions = actions.flatten() if actions.dtype == th.int64 or case != "a2c" else actions
    with th.no_grad():
        log_prob = reference.evaluate_actions(observations, actions, **masks)[1].numpy()
    penalty = 0.5 * (buffer.log_probs.ravel() - log_prob.ravel())
    assert np.abs(penalty).max() > 1e-4
    np.testing.assert_allclose(after.rewards[0].ravel(), before.rewards[0].ravel() - penalty, atol=1e-5)
    # undiscounted and with lambda 1, an advantage loses the penalties up to the end of its episode
    starts = np.append(buffer.episode_starts.ravel()[1:], 0.0)
    left = np.zeros(len(penalty))
    for step in reversed(range(len(penalty))):
        later = left[step + 1] if step + 1 < len(penalty) and not starts[step] else 0.0
        left[step] = penalty[step] + later
    np.testing.assert_allclose(before.advantages[0].ravel() - after.advantages[0].ravel(), left, atol=1e-4)


def test_the_reference_is_the_policy_at_the_first_step_and_is_kept():
    model, anchor = build("ppo"), KLAnchor(0.1)

    class Move(BaseCallback):
        def _on_training_start(self):
            with th.no_grad():
                self.model.policy.action_net.bias.fill_(2.0)

        def _on_step(self):
            return True

    model.learn(32, callback=[anchor, Move()])
    kept = anchor._anchor
    assert (kept.action_net.bias == 2.0).all()
    model.learn(32, callback=anchor)
    assert anchor._anchor is kept
    build("ppo").learn(32, callback=anchor)
    assert anchor._anchor is not kept


def test_an_interrupted_anchor_does_not_pull_in_the_next_training():
    outcomes = []
    for interrupted in (True, False):
        model, anchor = build("ppo"), KLAnchor(100.0, build("ppo", seed=4).policy)

        class Interrupt(BaseCallback):
            def _on_step(self):
                if self.num_timesteps == 20:
                    raise KeyboardInterrupt
                return True

        with pytest.raises(KeyboardInterrupt):
            model.learn(64, callback=[anchor, Interrupt()] if interrupted else Interrupt())
        model.learn(64)
        outcomes.append(parameters_of(model))
    assert th.equal(*outcomes)


def test_paths_pickles_and_saves(tmp_path):
    build("ppo", seed=4).save(tmp_path / "reference")
    random_state = th.get_rng_state()
    model, anchor = build("ppo"), KLAnchor(0.5, tmp_path / "reference")
    random_state = th.get_rng_state()
    anchor.init_callback(model)
    assert th.equal(th.get_rng_state(), random_state)

    class Save(BaseCallback):
        def _on_step(self):
            self.model.save(tmp_path / "model")
            return True

    model.learn(40, callback=[anchor, Save()])
    again = pickle.loads(pickle.dumps(anchor))
    PPO.load(tmp_path / "model", env=model.get_env()).learn(32, callback=again)


def test_the_coefficient_follows_its_target():
    for target, rises in ((1e-9, True), (1e9, False)):
        anchor = KLAnchor(0.5, build("ppo", seed=4).policy, target_kl=target, anneal="constant")
        build("ppo").learn(64, callback=anchor)
        factor = 1.0 + (0.2 if rises else -0.2) * 32 / 10_000  # one rollout was followed by another
        assert anchor._coef == pytest.approx(0.5 * factor)


def test_states_are_normalised_as_the_algorithm_sees_them():
    def normalised():
        return VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")] * 2))

    seen = []

    class States(BaseCallback):
        def _on_rollout_end(self):
            states = rollout_states(self.model)
            seen.append((states.observations.numpy(), self.model.rollout_buffer.observations.copy()))

        def _on_step(self):
            return True

    PPO("MlpPolicy", normalised(), n_steps=16, batch_size=32, n_epochs=1, device="cpu").learn(32, callback=States())
    np.testing.assert_array_equal(seen[0][0], seen[0][1].reshape(32, 3))
    model = SAC("MlpPolicy", normalised(), device="cpu", **OFF)
    model.learn(20)
    drawn = replayed_states(model, 50, np.random.default_rng(0)).observations.numpy()
    stored = model.replay_buffer.observations[: model.replay_buffer.pos].reshape(-1, 3)
    known = model.get_vec_normalize_env().normalize_obs(stored)
    assert np.abs(drawn[:, None] - known[None]).max(axis=2).min(axis=1).max() < 1e-6


@pytest.mark.parametrize("algorithm", [DQN, QRDQN, ARS])
def test_algorithms_without_a_distribution_are_refused(algorithm):
    with pytest.raises(TypeError, match="leave it out"):
        algorithm("MlpPolicy", "CartPole-v1", device="cpu").learn(8, callback=KLAnchor())


def test_what_does_not_fit_is_refused_in_a_sentence():
    numbers = ({"coef": -1.0}, {"target_kl": 0.0}, {"batch_size": 0}, {"seed": 1.5})
    for wrong in (*numbers, {"mode": "both"}, {"reference": 3}):
        with pytest.raises(ValueError, match="must be"):
            KLAnchor(**wrong)
    for case in ("sac", "recurrent"):
        with pytest.raises(ValueError, match="use mode='loss'"):
            build(case).learn(4, callback=KLAnchor(mode="reward"))
    with pytest.raises(ValueError, match="same"):
        build("ppo").learn(4, callback=KLAnchor(reference=build("a2c")))


@pytest.mark.parametrize("mode", ["loss", "reward"])
def test_training_that_goes_on_after_its_annealing(mode):
    """SB3 tells the progress of a new training only after its first rollout; the coefficient is that of the new one."""

    class Coefficients(BaseCallback):
        def _on_rollout_end(self):
            logged.append(self.logger.name_to_value["imitation/anchor_coef"])

        def _on_step(self):
            return True

    model, anchor = PPO("MlpPolicy", "CartPole-v1", n_steps=16, batch_size=16, device="cpu"), KLAnchor(0.4, mode=mode)
    logged: list[float] = []
    for reset in (True, False, True):
        model.learn(32, callback=[anchor, Coefficients()], reset_num_timesteps=reset)
    # the second learn() goes on from step 32 to step 64
    assert logged == pytest.approx([0.2, 0.0, 0.1, 0.0, 0.2, 0.0])


def test_recurrent_windows_are_valid_until_an_episode_ends():
    """Rows of a window that begin another episode, or follow one that does, were seen with another memory."""
    model = build("recurrent", n_steps=70)
    model.learn(1)
    buffer, n_envs = model.rollout_buffer, 2
    starts = np.zeros((70, n_envs), dtype=np.float32)
    starts[[0, 5, 40], 0] = 1.0  # the middle of both windows of the first environment
    starts[[32, 69], 1] = 1.0  # the first row of a window, which begins with zeros anyway; a row of no window
    buffer.episode_starts, buffer.rewards = starts, np.zeros((70, n_envs))
    rows = np.arange(70 * n_envs, dtype=np.float32).reshape(70, n_envs, 1)
    buffer.observations, buffer.actions = np.repeat(rows, 4, axis=2), rows
    states = rollout_states(model)
    assert states.n_sequences == 4
    order = [(env, step) for env in range(n_envs) for step in range(64)]
    np.testing.assert_array_equal(states.actions[:, 0], [rows[step, env, 0] for env, step in order])
    np.testing.assert_array_equal(states.observations[:, 3], [rows[step, env, 0] for env, step in order])
    valid = [env == 1 or step < 5 or 32 <= step < 40 for env, step in order]
    np.testing.assert_array_equal(states.valid, valid)
    last = take(states, th.arange(32, 64), 1)
    assert last.n_sequences == 1
    np.testing.assert_array_equal(last.valid, valid[32:64])
