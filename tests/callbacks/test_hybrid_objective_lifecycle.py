"""The hybrid objective inside trainings that are interrupted, repeated, saved, and shared with others."""

import pickle

import pytest
import torch as th
from hybrid_objective_helpers import ALGORITHMS, build, demonstrations_by_environment, trained
from sb3_contrib import TRPO
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback, EveryNTimesteps
from stable_baselines3.common.env_util import make_vec_env

from gym_ilrl import Demonstrations
from gym_ilrl.callbacks import HybridObjective, KLAnchor


@pytest.fixture(scope="module")
def demonstrations() -> dict[str, Demonstrations]:
    return demonstrations_by_environment()


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
