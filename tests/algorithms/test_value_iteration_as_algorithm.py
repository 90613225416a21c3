"""What SB3 asks of an algorithm, asked of the planners."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common import callbacks
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecNormalize

from gym_ilrl import SoftValueIteration, TabularMDP, ValueIteration, collect
from gym_ilrl.planning import solve


@pytest.fixture(params=[ValueIteration, SoftValueIteration], ids=lambda algorithm: algorithm.__name__)
def algorithm(request):
    return request.param


@pytest.fixture
def make(algorithm):
    def build(env="FrozenLake-v1", **arguments):
        if algorithm is SoftValueIteration:
            arguments.setdefault("temperature", 0.05)
        return algorithm("TabularPolicy", env, **arguments)

    return build


ARGUMENTS = [{}, {"gamma": 0.95, "horizon": 8}, {"solver": "newton", "tolerance": 1e-8}]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_loaded_model_is_the_saved_one(make, algorithm, arguments, tmp_path):
    model = make(seed=1, **arguments).learn(60)
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=gym.make("FrozenLake-v1"))
    np.testing.assert_array_equal(loaded.policy.log_probabilities, model.policy.log_probabilities)
    np.testing.assert_array_equal(loaded.values, model.values)
    np.testing.assert_array_equal(loaded.q_values, model.q_values)
    np.testing.assert_array_equal(loaded.occupancy, model.occupancy)
    for name in ("temperature", "solver", "tolerance", "converged", "residual", "num_timesteps"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.solution.solver == model.solution.solver
    loaded.learn(60)
    assert loaded.converged
    np.testing.assert_allclose(loaded.values, model.values, atol=1e-12)


def test_loaded_model_goes_on_where_it_stopped(make, algorithm, tmp_path):
    model = make(solver="value_iteration", gamma=0.9).learn(40)
    assert not model.converged
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=gym.make("FrozenLake-v1"))
    loaded.learn(10_000, reset_num_timesteps=False)
    at_once = make(solver="value_iteration", gamma=0.9).learn(10_000)
    assert loaded.num_timesteps == at_once.num_timesteps > 40
    np.testing.assert_allclose(loaded.values, at_once.values, rtol=1e-13)


def test_loaded_without_environment_has_values_and_a_policy(make, algorithm, tmp_path):
    make().learn(100).save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model")
    assert loaded.values.shape == (16,)
    assert loaded.predict(14, deterministic=True)[0] == 1
    for attempt in (lambda: loaded.q_values, lambda: loaded.occupancy, lambda: loaded.learn(5)):
        with pytest.raises(ValueError, match="loaded without an environment"):
            attempt()


@pytest.mark.parametrize("arguments", [{}, {"horizon": 9}, {"gamma": 1.0}], ids=str)
def test_planning_for_another_environment_of_the_same_spaces(make, algorithm, arguments, tmp_path):
    """What was found for the old environment is a beginning at most, never the answer."""
    if arguments == {"gamma": 1.0}:
        lake = TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=1.0)
        ways = [lake.replace(rewards=-cost * np.ones((4, 16))) for cost in (1, 3)]
    else:
        ways = [gym.make("FrozenLake-v1", is_slippery=slippery) for slippery in (True, False)]
    old, new = ways
    expected = make(new, **arguments).learn(1000).solution
    model = make(old, **arguments).learn(1000)
    assert np.abs(model.values - expected.values).max() > 0.1
    model.save(tmp_path / "model")
    loaded = algorithm.load(tmp_path / "model", env=new)
    model.set_env(new)
    assert not model.converged
    for planner in (model, loaded):
        planner.learn(1000)
        assert planner.converged
        np.testing.assert_allclose(planner.values, expected.values, atol=1e-8)
        np.testing.assert_allclose(planner.solution.policy, expected.policy, atol=1e-6)


def test_second_learn_goes_on(make):
    model = make(solver="value_iteration").learn(10)
    first = model.values.copy()
    model.learn(10)
    assert model.num_timesteps == 10
    at_once = make(solver="value_iteration").learn(20)
    np.testing.assert_allclose(model.values, at_once.values, rtol=1e-13)
    assert np.abs(model.values - first).max() > 0
    model.learn(10, reset_num_timesteps=False)
    assert model.num_timesteps == 20


def test_one_timestep_is_one_sweep(make):
    model = make(solver="value_iteration")
    values = np.zeros(16)
    for _ in range(3):
        previous, values = values, next_values(model, values)
        model.learn(1)
        np.testing.assert_allclose(model.values, values, atol=1e-14)
        assert model.residual == pytest.approx(np.abs(values - previous).max())


def next_values(model, values):
    q = model.mdp.rewards + 0.99 * (model.mdp.transitions @ values).reshape(4, 16)
    if model.temperature == 0.0:
        return q.max(axis=0)
    return np.where(model.mdp.terminal, 0.0, model.temperature * np.log(np.exp(q / model.temperature).sum(axis=0)))


def test_converged_model_has_little_to_do(make):
    model = make().learn(100)
    before = model.values
    assert model.learn(100).num_timesteps <= 2
    np.testing.assert_allclose(model.values, before, atol=1e-9)


@pytest.mark.parametrize("arguments", [{}, {"horizon": 12}, {"solver": "newton"}], ids=str)
def test_callbacks_see_the_policy_of_the_moment(make, arguments):
    seen = []

    def look(locals_, globals_):
        model = locals_["self"]
        seen.append(model.num_timesteps)
        policy, values = model.solution.policy, model.values
        if model.horizon is None:
            q = model.mdp.rewards + 0.99 * (model.mdp.transitions @ values).reshape(4, 16)
            if model.temperature == 0.0:
                best = (q * policy).sum(axis=0)
                np.testing.assert_allclose(best, q.max(axis=0), atol=1e-8)
            else:
                weights = np.exp((q - q.max(axis=0)) / model.temperature)
                acting = ~model.mdp.terminal
                np.testing.assert_allclose(policy[:, acting], (weights / weights.sum(axis=0))[:, acting], atol=1e-9)
        else:
            done = 12 - len(seen)
            np.testing.assert_allclose(values[done:], solve(model.mdp, model.temperature).values[done:], atol=1e-12)
            np.testing.assert_allclose(policy[done:], solve(model.mdp, model.temperature).policy[done:], atol=1e-9)
        return True

    make(**arguments).learn(30, callback=look)
    assert len(seen) > 3


def test_evaluation_and_checkpoints(make, algorithm, tmp_path):
    check = callbacks.EvalCallback(
        make_vec_env("FrozenLake-v1", 2), n_eval_episodes=5, eval_freq=5, best_model_save_path=tmp_path, verbose=0
    )
    saving = callbacks.CheckpointCallback(save_freq=8, save_path=tmp_path, name_prefix="model")
    model = make(solver="value_iteration")
    model.learn(20, callback=[check, saving], progress_bar=True)
    assert check.n_calls == 20
    assert algorithm.load(tmp_path / "best_model").num_timesteps in (5, 10, 15, 20)
    halfway = algorithm.load(tmp_path / "model_8_steps", env=gym.make("FrozenLake-v1"))
    np.testing.assert_allclose(halfway.learn(12).values, model.values, rtol=1e-13)


def test_what_is_logged(make, tmp_path):
    model = make()
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(100, log_interval=1)
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    columns = dict(zip(header.split(","), zip(*(row.split(",") for row in rows), strict=True), strict=True))
    assert len(rows) == model.num_timesteps
    residual = np.array(columns["planning/residual"], dtype=float)
    assert residual[-1] < 1e-9 < residual[0]
    assert float(columns["planning/value_of_start"][-1]) == pytest.approx(model.mdp.initial @ model.values)
    assert [float(value) for value in columns["planning/converged"]] == [0.0] * (len(rows) - 1) + [1.0]


def test_tensorboard(make, algorithm, tmp_path):
    make(tensorboard_log=str(tmp_path)).learn(20)
    assert [path.name for path in tmp_path.iterdir()] == [f"{algorithm.__name__}_1"]


def test_many_environments_at_once(make):
    env = make_vec_env("FrozenLake-v1", 8, seed=0)
    model = make(env, solver="value_iteration", gamma=0.9).learn(100)
    assert model._n_updates == 100
    assert model.num_timesteps == 104
    alone = make(solver="value_iteration", gamma=0.9).learn(100)
    np.testing.assert_array_equal(model.values, alone.values)
    actions, state = model.predict(env.reset(), deterministic=True)
    assert (actions.shape, state) == ((8,), None)


def test_normalised_environment(make):
    with pytest.raises(ValueError, match="only"):  # SB3 says that Discrete observations cannot be normalised
        VecNormalize(make_vec_env("FrozenLake-v1", 2))
    env = VecNormalize(make_vec_env("FrozenLake-v1", 2, seed=0), norm_obs=False)
    model = make(env).learn(100)
    np.testing.assert_allclose(model.values, make().learn(100).values)  # in the environment's own rewards
    mean, _ = evaluate_policy(model, env, 20)
    assert 0.0 <= mean <= 1.0


def test_evaluate_policy_is_repeatable(make):
    runs = []
    for _ in range(2):
        model = make(seed=0).learn(100)
        env = make_vec_env("FrozenLake-v1", 4, seed=0)
        runs.append(evaluate_policy(model, env, 40, deterministic=False, return_episode_rewards=True))
    assert runs[0] == runs[1]
    demonstrations = [collect(make(seed=9).learn(50), "FrozenLake-v1", n_episodes=5, seed=1) for _ in range(2)]
    assert demonstrations[0] == demonstrations[1]


def test_copies_are_independent(make):
    model = make(solver="value_iteration").learn(5)
    clone, before = copy.deepcopy(model), model.values.copy()
    clone.learn(20)
    np.testing.assert_array_equal(model.values, before)
    assert np.abs(clone.values - before).max() > 0


def test_interrupted_run_keeps_what_it_has(make):
    def interrupt(locals_, globals_):
        if locals_["self"].num_timesteps == 6:
            raise KeyboardInterrupt
        return True

    model = make(solver="value_iteration")
    with pytest.raises(KeyboardInterrupt):
        model.learn(100, callback=interrupt)
    np.testing.assert_array_equal(model.values, make(solver="value_iteration").learn(6).values)
    model.learn(10_000)
    assert model.converged


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"solver": "sweeps"}, "solver must be one of auto, finite_horizon, value_iteration, newton, not 'sweeps'"),
        ({"solver": "finite_horizon"}, "solver must be another one, for the problem has no horizon"),
        (
            {"solver": "newton", "horizon": 5},
            "solver must be 'auto' or 'finite_horizon', for the problem has a horizon",
        ),
        ({"tolerance": 0.0}, "tolerance must be a positive number"),
        ({"tolerance": 10**400}, "tolerance must be a positive number"),
        ({"gamma": -0.1}, r"gamma must be in \[0, 1\]"),
    ],
)
def test_options_out_of_range_are_refused(make, arguments, words):
    with pytest.raises(ValueError, match=words):
        make(**arguments)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), "1"])
def test_temperatures_that_are_none_are_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be a positive number; with temperature 0 it is ValueIter"):
        SoftValueIteration(env="FrozenLake-v1", temperature=temperature)


def test_nothing_is_planned_before_learn(make):
    model = make()
    for attempt in (lambda: model.values, lambda: model.q_values, lambda: model.solution):
        with pytest.raises(ValueError, match=r"has not planned yet; call learn\(100\)"):
            attempt()
    np.testing.assert_allclose(model.policy.log_probabilities.exp(), 0.25)


def test_line_of_the_issue():
    env = gym.make("FrozenLake-v1", map_name="8x8")
    model = SoftValueIteration("TabularPolicy", env, temperature=0.1).learn(100)
    assert model.converged
    demonstrations = collect(model, env, n_episodes=200, seed=0)
    assert len(demonstrations) == 200


def test_converged_model_of_a_problem_with_a_goal_has_little_to_do():
    arguments = {"env": "Taxi-v4" if "Taxi-v4" in gym.registry else "Taxi-v3", "gamma": 1.0}
    for model in (ValueIteration(**arguments), SoftValueIteration(temperature=0.3, **arguments)):
        n_first = model.learn(100).num_timesteps
        before = model.values.copy()
        assert model.learn(100).num_timesteps == 2 <= n_first  # its values, and that they are the best
        np.testing.assert_allclose(model.values, before, atol=1e-9)


class CopyEveryStep(callbacks.BaseCallback):
    """Keeps a copy of the model as it was at every step."""

    def _on_training_start(self):
        self.copies = []

    def _on_step(self):
        self.copies.append(copy.deepcopy(self.model))
        return True


@pytest.mark.parametrize("arguments", [{}, {"solver": "newton"}, {"horizon": 9}, {"gamma": 1.0}], ids=str)
def test_copies_by_a_callback_go_on_by_themselves(make, arguments):
    """Newton steps hold a factor that cannot be copied: the copies do without."""
    if arguments == {"gamma": 1.0}:
        lake = TabularMDP.from_env(gym.make("FrozenLake-v1"), gamma=1.0)
        model = make(lake.replace(rewards=-3 * np.ones((4, 16))))
    else:
        model = make(**arguments)
    callback = CopyEveryStep()
    model.learn(100, callback=callback)
    assert model.converged
    assert len(callback.copies) == model.num_timesteps > 1
    for copied in (callback.copies[0], callback.copies[-1]):
        np.testing.assert_allclose(copied.learn(100).values, model.values, atol=1e-8)
