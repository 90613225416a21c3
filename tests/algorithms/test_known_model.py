"""What every algorithm with a known model does, seen at one whose policy counts its updates."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common import callbacks
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

import gym_ilrl
from gym_ilrl import TabularMDP
from gym_ilrl.algorithms.known_model import KnownModel
from gym_ilrl.policies.tabular import TabularPolicy


class Counting(KnownModel):
    """The policy of its n-th update takes action ``n % 4`` everywhere; it has converged after ``enough`` of them."""

    enough = 10**9

    def _begin(self):
        self.events = ["begin"]

    def _update(self):
        table = np.full((4, self.mdp.n_states), -np.inf)
        table[(self._n_updates + 1) % 4] = 0.0
        self.policy.set_log_probabilities(table)
        self.converged = self._n_updates + 1 >= self.enough
        self.events.append(self._n_updates + 1)

    def _record(self):
        self.logger.record("counting/updates", self._n_updates)

    def _end(self):
        self.events.append("end")


def lake(**arguments):
    return gym.make("FrozenLake-v1", **arguments)


def test_model_is_read_from_the_environment():
    model = Counting(env="FrozenLake-v1")
    assert (model.mdp.n_states, model.mdp.n_actions, model.mdp.gamma, model.mdp.horizon) == (16, 4, 0.99, None)
    assert model.mdp is model.mdp
    model = Counting(env=lake(), gamma=0.9, horizon=7)
    assert (model.mdp.gamma, model.mdp.horizon, model.policy.horizon) == (0.9, 7, 7)


def test_model_of_a_vectorised_environment():
    small = TabularMDP.from_env(lake())
    for env in (
        make_vec_env("FrozenLake-v1", 3),
        VecNormalize(make_vec_env("FrozenLake-v1", 2), norm_obs=False),
        VecMonitor(DummyVecEnv([lake])),
    ):
        mdp = Counting(env=env).mdp
        assert (mdp.transitions != small.transitions).nnz == 0
        np.testing.assert_array_equal(mdp.rewards, small.rewards)  # what VecNormalize makes of them is no part of it
    native = gym_ilrl.make_vec_env("ilrl/GridMaze-v0", 3, env_kwargs={"size": 5})
    assert Counting(env=native).mdp.n_states == 25


def test_model_of_environments_in_other_processes():
    env = make_vec_env("FrozenLake-v1", 2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"})
    try:
        assert Counting(env=env).learn(6).mdp.n_states == 16
    finally:
        env.close()


def process(**arguments):
    return TabularMDP.from_env(lake(), **{"gamma": 0.8, "horizon": 12, **arguments})


def test_process_in_place_of_an_environment():
    mdp = process()
    model = Counting(env=mdp)
    assert model.mdp is mdp
    assert (model.gamma, model.horizon, model.policy.horizon) == (0.8, 12, 12)
    assert isinstance(model.get_env(), DummyVecEnv)
    other = Counting(env=mdp, gamma=0.5, horizon=3).mdp
    assert (other.gamma, other.horizon) == (0.5, 3)
    np.testing.assert_array_equal(other.rewards, mdp.rewards)
    assert (mdp.gamma, mdp.horizon) == (0.8, 12)
    model.set_env(process(gamma=0.1))  # the discount stays that of the algorithm
    assert model.mdp.gamma == 0.8


def test_new_environment_brings_its_model():
    model = Counting(env=lake())
    before = model.mdp
    model.set_env(lake(is_slippery=False))
    assert model.mdp is not before
    assert model.mdp.transitions.nnz < before.transitions.nnz
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        model.set_env(lake(map_name="8x8"))
    assert model.mdp.n_states == 16


class Relabelled(gym.ObservationWrapper):
    """Shows two states as one, so that the model of the environment is no longer that of what is observed."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = spaces.Discrete(8)

    def observation(self, observation):
        return observation // 2


class NoModel(gym.Env):
    observation_space, action_space = spaces.Discrete(3), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return 0, {}


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("CartPole-v1", "observation_space must be Discrete"),
        ("Blackjack-v1", "observation_space must be Discrete"),
        (NoModel, "NoModel publishes no model"),
        (lambda: Relabelled(lake()), "the model of the environment has 16 states and 4 actions, and its observation"),
        (lambda: None, "needs an environment whose model is known: give env="),
    ],
)
def test_environments_without_a_model_are_refused_at_construction(env, words):
    with pytest.raises(ValueError, match=words):
        Counting(env=env if isinstance(env, str) else env())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"policy": "MlpPolicy"}, "policy must be TabularPolicy, or a subclass of TabularPolicy, not 'MlpPolicy'"),
        ({"policy": int}, "policy must be 'TabularPolicy' or a subclass"),
        ({"gamma": 1.5}, r"gamma must be in \[0, 1\], not 1.5"),
        ({"gamma": float("nan")}, r"gamma must be in \[0, 1\]"),
        ({"horizon": 0}, "horizon must be a whole number of at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Counting(**{"env": "FrozenLake-v1", **arguments})


class Own(TabularPolicy):
    pass


def test_policies_of_ones_own():
    assert isinstance(Counting(Own, "FrozenLake-v1").policy, Own)
    model = Counting(env="FrozenLake-v1", policy_kwargs={"normalize_images": False})
    assert model.policy.normalize_images is False
    assert model.policy.device.type == "cpu"


class Witness(callbacks.BaseCallback):
    """Notes every event, and looks at what SB3's own callbacks look at."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.events, self.stop_at, self.actions = [], stop_at, []

    def _on_training_start(self):
        self.events.append("training_start")
        assert {"total_timesteps", "tb_log_name"} <= self.locals.keys()

    def _on_rollout_start(self):
        self.events.append("rollout_start")

    def _on_step(self):
        self.events.append("step")
        n_envs = self.training_env.num_envs
        assert {"new_obs", "rewards", "dones", "infos", "total_timesteps"} <= self.locals.keys()
        assert len(self.locals["rewards"]) == len(self.locals["dones"]) == len(self.locals["infos"]) == n_envs
        assert self.n_calls * n_envs == self.num_timesteps == self.model.num_timesteps
        self.actions.append(int(self.model.predict(0, deterministic=True)[0]))
        return self.n_calls != self.stop_at

    def _on_rollout_end(self):
        self.events.append("rollout_end")

    def _on_training_end(self):
        self.events.append("training_end")


def test_every_update_is_seen():
    witness = Witness()
    model = Counting(env="FrozenLake-v1").learn(10, callback=witness)
    assert witness.events == ["training_start", *["rollout_start", "step", "rollout_end"] * 10, "training_end"]
    assert witness.actions == [n % 4 for n in range(1, 11)]
    assert model.events == ["begin", *range(1, 11), "end"]
    assert model.num_timesteps == 10


def test_ticks_are_of_as_many_updates_as_there_are_environments():
    witness = Witness()
    model = Counting(env=make_vec_env("FrozenLake-v1", 4)).learn(10, callback=witness)
    assert witness.events.count("step") == 3
    assert model._n_updates == 10  # never more than asked for
    assert model.num_timesteps == 12  # as SB3 counts


def test_it_stops_when_it_has_converged_and_goes_on_when_asked_again():
    model = Counting(env="FrozenLake-v1")
    model.enough = 5
    model.learn(100)
    assert (model.num_timesteps, model.converged) == (5, True)
    model.enough = 8
    model.learn(100, reset_num_timesteps=False)
    assert (model.num_timesteps, model._n_updates) == (8, 8)
    model.enough = 100
    model.learn(7)
    assert (model.num_timesteps, model._n_updates, model.converged) == (7, 15, False)


@pytest.mark.parametrize("stop", [False, np.bool_(False)])
def test_callback_stops_the_run(stop):
    model = Counting(env="FrozenLake-v1")
    model.learn(100, callback=lambda locals_, globals_: True if locals_["self"].num_timesteps < 7 else stop)
    assert model.num_timesteps == 7
    assert model.events[-1] == "end"


def test_failure_of_a_callback_ends_the_run_in_order():
    def fail(locals_, globals_):
        raise ArithmeticError

    model = Counting(env="FrozenLake-v1")
    with pytest.raises(ArithmeticError):
        model.learn(10, callback=fail)
    assert model.events == ["begin", 1, "end"]


def test_callbacks_of_sb3_run_with_it(tmp_path):
    evaluation = make_vec_env("FrozenLake-v1", 2)
    check = callbacks.EvalCallback(evaluation, n_eval_episodes=2, eval_freq=10, log_path=tmp_path, verbose=0)
    saving = callbacks.CheckpointCallback(save_freq=16, save_path=tmp_path, name_prefix="model")
    rare = []
    counting = callbacks.ConvertCallback(lambda locals_, globals_: rare.append(locals_["self"].num_timesteps) is None)
    chain = [check, saving, callbacks.EveryNTimesteps(12, counting), callbacks.StopTrainingOnMaxEpisodes(99)]
    Counting(env="FrozenLake-v1").learn(32, callback=chain, progress_bar=True)
    assert check.evaluations_timesteps == [10, 20, 30]
    assert [path.name for path in sorted(tmp_path.glob("model_*"))] == ["model_16_steps.zip", "model_32_steps.zip"]
    loaded = Counting.load(tmp_path / "model_32_steps")
    assert loaded.num_timesteps == 32
    assert loaded.predict(3, deterministic=True)[0] == 32 % 4
    assert rare == [12, 24]


def test_reward_threshold_stops_it():
    env = make_vec_env(lambda: lake(is_slippery=False, desc=["SG"]), 1)
    stop = callbacks.StopTrainingOnRewardThreshold(reward_threshold=1.0)
    check = callbacks.EvalCallback(env, callback_on_new_best=stop, eval_freq=1, n_eval_episodes=1, verbose=0)
    model = Counting(env=lake(desc=["SG"])).learn(100, callback=check)
    assert model.num_timesteps == 2  # action 2, to the right


def test_log_is_written_at_its_interval_and_at_the_end(tmp_path):
    model = Counting(env="FrozenLake-v1")
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(25)
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    column = header.split(",").index("counting/updates")
    assert [int(row.split(",")[column]) for row in rows] == [10, 20, 25]
    assert {"time/fps", "time/total_timesteps"} <= set(header.split(","))


def test_log_interval_none_logs_nothing(tmp_path):
    model = Counting(env="FrozenLake-v1")
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(25, log_interval=None)
    assert (tmp_path / "progress.csv").read_text() == ""


def test_tensorboard_runs_are_numbered_and_continued(tmp_path):
    model = Counting(env="FrozenLake-v1", tensorboard_log=str(tmp_path))
    model.learn(16)
    model.learn(16)
    model.learn(16, reset_num_timesteps=False)
    model.learn(16, tb_log_name="other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Counting_1", "Counting_2", "other_1"]


def test_nothing_is_printed(capsys):
    Counting(env="FrozenLake-v1").learn(32)
    out = capsys.readouterr()
    assert out.out == out.err == ""


@pytest.mark.parametrize("arguments", [{}, {"gamma": 0.5, "horizon": 6}], ids=["unlimited", "horizon"])
def test_loaded_model_is_the_saved_one(arguments, tmp_path):
    model = Counting(env="FrozenLake-v1", seed=3, **arguments).learn(5)
    model.save(tmp_path / "model")
    loaded = Counting.load(tmp_path / "model", env=lake())
    np.testing.assert_array_equal(loaded.policy.log_probabilities, model.policy.log_probabilities)
    for name in ("gamma", "horizon", "num_timesteps", "_n_updates", "seed"):
        assert getattr(loaded, name) == getattr(model, name)
    assert (loaded.mdp.gamma, loaded.mdp.horizon) == (model.gamma, model.horizon)
    loaded.learn(5, reset_num_timesteps=False)
    assert loaded.num_timesteps == 10


def test_loaded_without_environment_it_predicts_and_says_what_it_needs(tmp_path):
    Counting(env=make_vec_env("FrozenLake-v1", 3)).learn(6).save(tmp_path / "model")
    loaded = Counting.load(tmp_path / "model")
    assert loaded.env is None
    assert (loaded.predict(np.arange(16), deterministic=True)[0] == 2).all()
    for attempt in (lambda: loaded.mdp, lambda: loaded.learn(10)):
        with pytest.raises(ValueError, match=r"loaded without an environment.*load\(path, env=env\), or call set_env"):
            attempt()
    loaded.set_env(make_vec_env("FrozenLake-v1", 3))
    assert loaded.learn(9).num_timesteps == 9


def test_loading_with_another_number_of_environments_or_a_process(tmp_path):
    Counting(env="FrozenLake-v1", gamma=0.7).learn(6).save(tmp_path / "model")
    loaded = Counting.load(tmp_path / "model", env=make_vec_env("FrozenLake-v1", 5))
    assert loaded.learn(10).n_envs == 5
    mdp = process(gamma=0.7, horizon=None)
    assert Counting.load(tmp_path / "model", env=mdp).mdp is mdp


def test_the_model_of_the_environment_is_not_in_the_file(tmp_path):
    sizes = []
    for mdp in (process(horizon=None), TabularMDP.from_arrays(np.ones((16, 4, 16)) / 16, np.zeros(16))):
        Counting(env=mdp).save(tmp_path / "model")
        sizes.append((tmp_path / "model.zip").stat().st_size)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_copies_are_independent():
    model = Counting(env=process()).learn(1)
    clone = copy.deepcopy(model)
    clone.learn(1)
    assert (model.predict(0, deterministic=True)[0], clone.predict(0, deterministic=True)[0]) == (1, 2)


def test_seed_makes_draws_repeatable():
    runs = []
    for _ in range(2):
        model = Counting(env="FrozenLake-v1", seed=5)
        runs.append([model.predict(np.arange(16))[0] for _ in range(5)])
    np.testing.assert_array_equal(*runs)


class Shifted(gym.Wrapper):
    """FrozenLake whose states begin at 10 and whose actions begin at -1."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = spaces.Discrete(16, start=10)
        self.action_space = spaces.Discrete(4, start=-1)

    def reset(self, **kwargs):
        observation, info = self.env.reset(**kwargs)
        return observation + 10, info

    def step(self, action):
        assert self.action_space.contains(action)
        observation, *rest = self.env.step(int(action) + 1)
        return (observation + 10, *rest)


def test_numbers_of_the_spaces_are_those_of_predict():
    model = Counting(env=Shifted(lake())).learn(6)
    assert (model.predict(np.arange(10, 26), deterministic=True)[0] == 6 % 4 - 1).all()
    demonstrations = gym_ilrl.collect(model, Shifted(lake()), n_episodes=3, seed=0)
    assert (demonstrations.actions == 1).all()
