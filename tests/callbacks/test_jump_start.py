"""The guide acts where it should, the buffers hold what was executed, and nothing is left behind."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from sb3_contrib import ARS, MaskablePPO, RecurrentPPO
from sb3_contrib.common.envs import InvalidActionEnvDiscrete
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecMonitor, VecNormalize

from gym_ilrl import make_vec_env
from gym_ilrl.callbacks import JumpStart
from gym_ilrl.callbacks.horizon_curriculum import HorizonCurriculum

SMALL = {"n_steps": 16, "n_epochs": 1, "batch_size": 16}
WARM = {"learning_starts": 4, "batch_size": 4, "train_freq": 1}
LENGTH = 7


class Spied(VecEnvWrapper):
    """Keeps the actions that arrive at the environments."""

    def __init__(self, venv):
        super().__init__(venv)
        self.executed = []

    def reset(self):
        return self.venv.reset()

    def step_async(self, actions):
        self.executed.append(np.array(actions))
        self.venv.step_async(actions)

    def step_wait(self):
        return self.venv.step_wait()


class Clock(gym.Env):
    """Episodes of a fixed length that observe the time; each step earns the action."""

    def __init__(self, action_space=None):
        self.observation_space = spaces.Box(0, 100, (1,), np.float32)
        self.action_space = action_space or spaces.Discrete(5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.array([self.t], np.float32), float(np.sum(action)), False, self.t == LENGTH, {}


class Guide:
    """Always the same action; remembers what it was shown."""

    def __init__(self, action):
        self.action, self.seen, self.starts = np.asarray(action), [], []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.seen.append(observation.copy())
        self.starts.append(episode_start.copy())
        return np.stack([self.action] * len(observation)), state


class Stored(BaseCallback):
    """Keeps what on-policy algorithms store, before their update."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        self.buffer = {name: np.array(getattr(buffer, name)) for name in ("actions", "log_probs", "advantages")}
        self.observations = np.array(buffer.observations)
        with th.no_grad():
            flat = th.as_tensor(self.observations.swapaxes(0, 1).reshape(-1, *self.model.observation_space.shape))
            actions = th.as_tensor(self.buffer["actions"].swapaxes(0, 1).reshape(len(flat), -1))
            if isinstance(self.model.action_space, spaces.Discrete):
                actions = actions.long().flatten()
            _, log_probs, _ = self.model.policy.evaluate_actions(flat, actions)
        self.expected_log_probs = log_probs.numpy().reshape(self.buffer["log_probs"].T.shape).T


def clocks(n_envs, action_space=None):
    return Spied(VecMonitor(DummyVecEnv([lambda: Clock(action_space)] * n_envs)))


BOX = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
GUIDED = np.array([1.5, 0.25], np.float32)


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize(
    ("algorithm", "space", "action", "kwargs"),
    [
        (PPO, None, 3, SMALL),
        (A2C, None, 3, {"n_steps": 16}),
        (PPO, BOX, GUIDED, SMALL),
        (PPO, BOX, GUIDED, {**SMALL, "use_sde": True}),
        (A2C, BOX, GUIDED, {"n_steps": 16, "use_sde": True, "policy_kwargs": {"squash_output": True}}),
    ],
)
def test_on_policy_algorithms_leave_guided_steps_out_of_the_policy_gradient(algorithm, space, action, kwargs, n_envs):
    env, stored = clocks(n_envs, space), Stored()
    model = algorithm("MlpPolicy", env, seed=0, device="cpu", **kwargs)
    model.learn(16 * n_envs, callback=[JumpStart(5, Guide(action), window=1000), stored])
    guided = stored.observations[..., 0] < 5  # the clock
    executed = np.stack(env.executed)
    assert (executed[guided] == action).all()
    assert not (executed[~guided] == action).all()
    actions = stored.buffer["actions"].reshape(executed.shape)
    if kwargs.get("policy_kwargs"):
        actions = model.policy.unscale_action(actions)
    actions = actions if space is None else np.clip(actions, BOX.low, BOX.high)
    np.testing.assert_allclose(actions[~guided], executed[~guided], atol=1e-6)
    # guided steps: the policy's own draw with its own log-probability, so that the ratio begins at 1
    assert not np.allclose(actions[guided], executed[guided])
    np.testing.assert_allclose(stored.buffer["log_probs"], stored.expected_log_probs, rtol=1e-3, atol=1e-4)
    own = stored.buffer["advantages"][~guided]
    neutral = own.mean() if algorithm is PPO else 0.0
    np.testing.assert_allclose(stored.buffer["advantages"][guided], neutral, atol=1e-6)
    assert own.std() > 0


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize(
    ("algorithm", "space", "action", "kwargs"),
    [
        (DQN, None, 2, WARM),
        (SAC, BOX, GUIDED, WARM),
        (TD3, BOX, GUIDED, {**WARM, "action_noise": NormalActionNoise(np.zeros(2), np.ones(2))}),
    ],
)
def test_replay_buffers_hold_what_was_executed(algorithm, space, action, kwargs, n_envs):
    env = clocks(n_envs, space)
    model = algorithm("MlpPolicy", env, seed=0, device="cpu", buffer_size=1000, **kwargs)
    model.learn(30 * n_envs, callback=JumpStart(4, Guide(action), window=1000))
    n_steps = len(env.executed)
    executed, buffer = np.stack(env.executed), model.replay_buffer
    actions = buffer.actions[:n_steps].reshape(executed.shape)
    actions = actions if space is None else model.policy.unscale_action(actions)
    np.testing.assert_allclose(actions, executed, atol=1e-6)
    guided = buffer.observations[:n_steps, :, 0] < 4
    np.testing.assert_allclose(executed[guided], np.broadcast_to(action, executed[guided].shape))
    assert not np.allclose(executed[~guided], action)
    np.testing.assert_allclose(buffer.rewards[:n_steps], executed.reshape(n_steps, n_envs, -1).sum(-1), atol=1e-5)


def test_works_in_the_native_vec_env():
    env = Spied(make_vec_env("ilrl/GridMaze-v0", n_envs=3, seed=0))
    model = DQN("MlpPolicy", env, seed=0, buffer_size=1000, exploration_fraction=1.0, **WARM)
    model.learn(60, callback=JumpStart(4, Guide(2), window=1000))
    executed = np.stack(env.executed)
    np.testing.assert_array_equal(model.replay_buffer.actions[:20, :, 0], executed)
    assert (executed[:4] == 2).all()
    assert not (executed[4:] == 2).all()


def test_the_guide_sees_episode_starts_and_the_monitor_sees_its_rewards():
    guide = Guide(4)
    model = PPO("MlpPolicy", clocks(2), seed=0, n_steps=2 * LENGTH, n_epochs=1, batch_size=LENGTH)
    model.learn(4 * LENGTH, callback=JumpStart(LENGTH, guide, window=1000))
    expected = np.tile(np.arange(LENGTH) == 0, 2)
    np.testing.assert_array_equal(np.stack(guide.starts), np.stack([expected, expected], axis=1))
    assert {info["r"] for info in model.ep_info_buffer} == {4.0 * LENGTH}


def test_horizons_by_hand():
    curriculum = HorizonCurriculum(max_horizon=10, n_stages=4, tolerance=0.1, window=2)
    assert curriculum.horizon == 10
    for value in (20.0, 0.0):
        curriculum.episode_ended(10, value)
    assert curriculum.horizon == 8  # 7.5; the first mean, 10, is the best
    curriculum.episode_ended(10, 1000.0)  # began earlier
    curriculum.episode_ended(8, 8.0)
    curriculum.episode_ended(8, 9.0)
    assert curriculum.horizon == 8  # 8.5 < 9
    curriculum.episode_ended(8, 9.0)
    assert curriculum.horizon == 5  # 9
    curriculum.episode_ended(5, -100.0)
    curriculum.episode_ended(5, 120.0)
    assert curriculum.horizon == 2  # 10; 2.5 rounds to even
    for value in (10.0, 10.0):
        curriculum.episode_ended(2, value)
    assert curriculum.horizon == 0
    for value in (10.0, 10.0, 10.0):
        curriculum.episode_ended(0, value)
    assert curriculum.horizon == 0
    negative = HorizonCurriculum(max_horizon=2, n_stages=2, tolerance=0.1, window=1)
    for value in (-100.0, -111.0):
        negative.episode_ended(negative.horizon, value)
    assert negative.horizon == 1
    negative.episode_ended(1, -109.0)
    assert negative.horizon == 0


def test_the_horizon_shrinks_to_none_while_returns_hold():
    env, logged = clocks(1, spaces.Discrete(5)), []

    class Logged(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            logged.append(self.logger.name_to_value["imitation/jump_start_horizon"])

    model = PPO("MlpPolicy", env, seed=0, n_steps=LENGTH, n_epochs=1, batch_size=LENGTH)
    model.set_logger(configure(None, []))
    model.learn(8 * LENGTH, callback=[JumpStart(6, Guide(4), n_stages=3, window=2, tolerance=1.0), Logged()])
    assert logged == [6, 4, 4, 2, 2, 0, 0, 0]
    executed = np.stack(env.executed).reshape(8, LENGTH)
    for row, horizon in zip(executed, [6, 6, 4, 4, 2, 2, 0, 0], strict=True):
        assert (row[:horizon] == 4).all()


def test_random_horizons_are_uniform_and_seeded():
    def horizons(seed):
        env = clocks(1)
        model = A2C("MlpPolicy", env, seed=seed, n_steps=60 * LENGTH)
        model.policy.action_net.bias.data[:] = th.tensor([50.0, 0, 0, 0, 0])  # the learner's action is 0
        model.learn(60 * LENGTH, callback=JumpStart(5, Guide(4), mode="random"))
        executed = np.stack(env.executed).reshape(60, LENGTH)
        assert (np.diff(executed, axis=1) <= 0).all()
        return (executed == 4).sum(axis=1).tolist()

    assert horizons(0) == horizons(0) != horizons(1)
    assert set(horizons(0)) == set(range(6))


def test_the_default_guide_is_the_policy_as_it_was():
    env = clocks(1, BOX)
    model = PPO("MlpPolicy", env, seed=0, device="cpu", learning_rate=0.1, **SMALL)

    class Changed(BaseCallback):  # as Pretrain would
        def _on_training_start(self):
            self.model.policy.action_net.bias.data[:] = th.tensor([0.7, 0.3])

        def _on_step(self):
            return True

    model.learn(160, callback=[JumpStart(LENGTH, window=1000), Changed()])
    executed = np.stack(env.executed)
    assert np.abs(executed - [0.7, 0.3]).max() < 0.2  # deterministic, at weights of 0.01: far from later policies
    np.testing.assert_array_equal(executed[0], executed[LENGTH * 7])


def test_guides_see_raw_observations_and_snapshots_normalised_ones():
    guide = Guide(3)
    model = PPO("MlpPolicy", VecNormalize(clocks(2)), seed=0, **SMALL)
    model.learn(32, callback=JumpStart(LENGTH, guide, window=1000))
    np.testing.assert_array_equal(np.stack(guide.seen)[:, :, 0], np.stack([np.arange(16) % LENGTH] * 2, axis=1))

    trained = PPO("MlpPolicy", VecNormalize(clocks(1)), seed=1, **SMALL).learn(64)
    shown = []
    trained.policy.register_forward_pre_hook(lambda *_: None)
    original = trained.policy.obs_to_tensor
    trained.policy.obs_to_tensor = lambda observation: shown.append(observation.copy()) or original(observation)
    model.learn(32, callback=JumpStart(LENGTH, trained, window=1000))
    statistics = trained.get_vec_normalize_env()
    expected = statistics.normalize_obs(np.arange(LENGTH, dtype=np.float32)[:, None])
    np.testing.assert_allclose(np.stack(shown)[:LENGTH, 0], expected, atol=1e-6)

    snapshot = JumpStart(LENGTH, window=1000)
    shown_to_learner = []

    class Watch(BaseCallback):
        def _on_step(self):
            shown_to_learner.append(self.locals["obs_tensor"].numpy().copy())
            assert snapshot._guide_observations() is self.model._last_obs
            return True

    model.learn(32, callback=[snapshot, Watch()])
    assert np.abs(np.concatenate(shown_to_learner)).max() < 3


def test_returns_are_those_before_vec_normalize():
    model = PPO("MlpPolicy", VecNormalize(clocks(1)), seed=0, n_steps=LENGTH, n_epochs=1, batch_size=LENGTH)
    callback = JumpStart(LENGTH, Guide(4), window=1)
    model.learn(LENGTH, callback=callback)
    assert callback._curriculum._best == 4.0 * LENGTH


def test_recurrent_learner_and_guide():
    env = clocks(2)
    model = RecurrentPPO("MlpLstmPolicy", env, seed=0, device="cpu", **SMALL)
    guide = RecurrentPPO("MlpLstmPolicy", clocks(1), seed=1, **SMALL)
    with th.no_grad():
        guide.policy.lstm_actor.weight_hh_l0.mul_(20.0)
        guide.policy.action_net.weight.mul_(1e4)
    model.learn(32, callback=JumpStart(5, guide, window=1000))
    observation, state = np.zeros((1, 1), np.float32), None
    for t in range(5):  # the guide alone, carrying its state
        actions, state = guide.predict(observation + t, state, np.array([t == 0]), deterministic=True)
        for begin in (0, LENGTH):
            assert (env.executed[begin + t] == actions).all()


def test_masks_reach_the_guide():
    env = Spied(DummyVecEnv([lambda: InvalidActionEnvDiscrete(dim=8, n_invalid_actions=4)]))
    model = MaskablePPO("MlpPolicy", env, seed=0, **SMALL)
    allowed, unwrapped = [], env.venv.envs[0].unwrapped

    class Masks(Spied):
        def step_async(self, actions):
            allowed.append(bool(unwrapped.action_masks()[int(actions[0])]))
            super().step_async(actions)

    model.set_env(Masks(env.venv))
    model.learn(64, callback=JumpStart(100, window=1000))  # a copy of an untrained policy: wrong without masks
    assert len(allowed) == 64
    assert all(allowed)


class Boom(BaseCallback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def _on_step(self):
        if self.at == "step" and self.n_calls > 3:
            raise ZeroDivisionError
        return True

    def _on_rollout_end(self):
        if self.at == "rollout end":
            raise ZeroDivisionError


@pytest.mark.parametrize("at", ["step", "rollout end"])
def test_an_interrupted_training_leaves_the_next_one_alone(at):
    env, guide = clocks(1), Guide(4)
    model = PPO("MlpPolicy", env, seed=0, **SMALL)
    before = model.env
    with pytest.raises(ZeroDivisionError):
        model.learn(32, callback=[JumpStart(LENGTH, guide, window=1000), Boom(at)])
    asked = len(guide.seen)
    evaluate_policy(model, model.get_env(), n_eval_episodes=1, warn=False)  # the learner's, whatever was interrupted
    assert len(guide.seen) == asked
    env.executed.clear()
    model.learn(32)
    assert len(guide.seen) == asked
    assert model.env is before
    assert not (np.stack(env.executed) == 4).all()
    model.learn(16, callback=JumpStart(LENGTH, guide, window=1000))  # once more
    assert (np.stack(env.executed)[-16:] == 4).all()
    assert model.env is before


def test_a_training_after_it_is_what_it_would_have_been():
    models = [PPO("MlpPolicy", clocks(1), seed=0, **SMALL) for _ in range(2)]
    models[0].learn(16, callback=JumpStart(3, Guide(1)))
    models[1].set_parameters(copy.deepcopy(models[0].get_parameters()))  # torch would share Adam's moments
    for model in models:
        model.set_random_seed(1)
        model.learn(32)
    for one, other in zip(models[0].policy.parameters(), models[1].policy.parameters(), strict=True):
        assert th.equal(one, other)


def test_other_callbacks_find_the_environment_as_it_was_made(tmp_path):
    """EvalCallback compares the wrappers of the two environments one by one."""
    model = PPO("MlpPolicy", VecNormalize(VecMonitor(DummyVecEnv([Clock]))), seed=0, **SMALL)
    evaluation = VecNormalize(VecMonitor(DummyVecEnv([Clock])), training=False)
    callback = EvalCallback(evaluation, eval_freq=5, n_eval_episodes=1, verbose=0)

    class Saved(BaseCallback):
        def _on_step(self):
            self.model.save(tmp_path / "model.zip")
            return True

    model.learn(32, callback=[JumpStart(3, window=1), callback, Saved()])
    assert np.isfinite(callback.last_mean_reward)
    PPO.load(tmp_path / "model.zip")


def test_a_continued_training_goes_on_and_a_new_one_starts_over():
    env = clocks(1)
    model = PPO("MlpPolicy", env, seed=0, n_steps=10, n_epochs=1, batch_size=10)
    callback = JumpStart(LENGTH, Guide(4), n_stages=LENGTH, window=1, tolerance=1.0)
    model.learn(10, callback=callback)  # one episode and three steps
    assert callback._curriculum.horizon == LENGTH - 1
    callback = pickle.loads(pickle.dumps(callback))
    env.executed.clear()
    model.policy.action_net.bias.data[0] = 50.0
    model.learn(10, callback=callback, reset_num_timesteps=False)
    assert (np.concatenate(env.executed)[:4] != 4).all()  # the running episode is the learner's
    assert (np.concatenate(env.executed)[4:10] == 4).all()
    assert callback._curriculum.horizon == LENGTH - 1  # its return does not count
    model.learn(2, callback=callback)
    assert callback._curriculum.horizon == LENGTH - 1
    assert model.num_timesteps == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_horizon": 0}, "max_horizon must be"),
        ({"guide": "expert"}, "guide must be"),
        ({"mode": "linear"}, "mode must be"),
        ({"n_stages": 0}, "n_stages must be"),
        ({"tolerance": -1.0}, "tolerance must be"),
        ({"window": 0}, "window must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        JumpStart(**{"max_horizon": 3, **arguments})


def test_algorithms_that_store_no_steps_are_refused():
    with pytest.raises(TypeError, match="JumpStart does not know what ARS"):
        ARS("LinearPolicy", "CartPole-v1").learn(10, callback=JumpStart(3))
