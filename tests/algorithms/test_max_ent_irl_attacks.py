"""MaxEntIRL where it may go wrong: failures in the middle, other worlds, odd units, modules, few demonstrations."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from inverse_rl_helpers import demonstrations_of_episodes, episodes_of, grid_mdp, soft_expert
from scipy import optimize
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

import gym_ilrl  # noqa: F401
from gym_ilrl import SoftValueIteration, TabularMDP, collect, expert
from gym_ilrl.algorithms.max_ent_irl import MaxEntIRL
from gym_ilrl.algorithms.reward_fits import Progress
from gym_ilrl.irl.features import features_of
from gym_ilrl.irl.likelihood import ActionLikelihood
from gym_ilrl.planning import solve


@pytest.fixture(scope="module")
def maze():
    env = gym.make("ilrl/GridMaze-v0", size=4, slip=0.1)
    return env, collect(expert(env), env, n_episodes=20, seed=0)


def learner(maze, **options):
    return MaxEntIRL("TabularPolicy", maze[0], **{"demonstrations": maze[1], **options})


def log_policy_of_weights(irl):
    """The policy of the parameters as they are, planned anew."""
    table = irl.reward_model.tabulate(irl._features)
    return solve(irl.mdp.replace(rewards=irl._features.earned.rewards(table)), irl.temperature).log_policy


def assert_consistent(irl):
    """Parameters, table and policy belong together."""
    table = irl.reward_model.tabulate(irl._features)
    np.testing.assert_array_equal(table.T, irl.reward_table)
    np.testing.assert_allclose(irl.policy.log_probabilities.numpy().T, log_policy_of_weights(irl), atol=1e-8)


class Failing(BaseCallback):
    def __init__(self, error, path):
        super().__init__()
        self.error, self.path = error, path

    def _on_step(self):
        if self.n_calls == 6:
            assert_consistent(self.model)
            self.model.save(self.path)
            raise self.error
        return True


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": th.optim.Adam, "learning_rate": 0.1}, {"reward": "network"}], ids=str
)
@pytest.mark.parametrize("error", [RuntimeError("disk full"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_was_learned_is_kept_when_something_fails(maze, tmp_path, options, error):
    irl = learner(maze, seed=0, **options)
    with pytest.raises(type(error)):
        irl.learn(50, callback=Failing(error, tmp_path / "middle"))
    assert irl.num_timesteps == 6
    assert_consistent(irl)
    uniform = -np.log(4)
    assert irl.log_likelihood > uniform
    saved = MaxEntIRL.load(tmp_path / "middle", env=maze[0])
    assert_consistent(saved)
    assert saved.reward_table.any()


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_however_soon_it_ends_weights_and_policy_belong_together(maze, n):
    assert_consistent(learner(maze).learn(n))


class StopWhereWorse(BaseCallback):
    """Ends where an evaluation is worse than the one before it."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def _on_step(self):
        self.losses.append(self.model._latest.loss)
        return len(self.losses) < 2 or self.losses[-1] <= self.losses[-2]


def test_the_best_weights_are_kept_where_the_last_ones_are_worse():
    env = gym.make("FrozenLake-v1")
    demonstrations = collect(expert(env), env, n_episodes=10, seed=0)
    watch = StopWhereWorse()
    # without a prior the first step of the search is far too long
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, features=1e3 * np.eye(16), l2_coef=0.0)
    irl.learn(300, callback=watch)
    assert watch.losses[-1] > min(watch.losses)
    assert_consistent(irl)
    assert -irl.log_likelihood == pytest.approx(min(watch.losses))


def test_of_losses_that_are_equal_up_to_rounding_the_flatter_point_is_better(maze):
    irl = learner(maze).learn(2)
    fit = irl._fit
    fit.best = Progress(None, 1.0, 1e-3)
    assert fit._is_best(Progress(None, 1.0 + 1e-12, 1e-9))
    assert not fit._is_best(Progress(None, 1.0 - 1e-12, 1e-2))
    assert fit._is_best(Progress(None, 0.9, 1e-2))
    assert not fit._is_best(Progress(None, 1.1, 1e-9))


def test_learning_one_evaluation_at_a_time_gets_somewhere(maze):
    irl = learner(maze)
    losses = []
    for _ in range(6):
        irl.learn(1, reset_num_timesteps=False)
        losses.append(irl.log_likelihood)
    assert irl.num_timesteps == 6
    assert losses[-1] > losses[0] + 0.5


def test_the_minimum_is_that_of_a_trust_region_method(maze):
    irl = learner(maze, l2_coef=0.01, tolerance=1e-7).learn(300)
    assert irl.converged
    features, objective = irl._features, ActionLikelihood(irl.mdp, irl.expert)

    def loss(weights):
        evaluation = objective(features.rewards(weights))
        value = evaluation.loss + 0.005 * weights @ weights
        return value, features.adjoint(evaluation.gradient) + 0.01 * weights

    def hessian(weights):
        steps = 1e-5 * np.eye(16)
        rows = [(loss(weights + step)[1] - loss(weights - step)[1]) / 2e-5 for step in steps]
        return 0.5 * (np.array(rows) + np.array(rows).T)

    other = optimize.minimize(loss, np.zeros(16), jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-8})
    np.testing.assert_allclose(loss(irl.weights)[0], other.fun, rtol=1e-9)
    np.testing.assert_allclose(irl.weights, other.x, atol=1e-4)


def test_a_tolerance_below_rounding_ends_and_is_not_called_reached(maze):
    irl = learner(maze, tolerance=1e-18).learn(2000)
    assert not irl.converged
    assert irl.num_timesteps < 500
    assert_consistent(irl)
    reached = learner(maze, tolerance=1e-7).learn(2000)
    assert reached.converged
    np.testing.assert_allclose(irl.weights, reached.weights, atol=1e-4)


def test_converged_is_said_of_the_weights_that_are_kept(maze):
    irl = learner(maze).learn(300)
    evaluation = ActionLikelihood(irl.mdp, irl.expert)(irl._features.rewards(irl.weights))
    centre = np.where(irl.mdp.terminal, 0.0, -np.log(4))
    gradient = irl._features.adjoint(evaluation.gradient) + (irl.weights - centre) / irl.expert.n_steps
    largest = irl._features.adjoint(irl.expert.counts).max() / irl.expert.n_steps
    assert irl.converged
    assert np.abs(gradient).max() / largest <= irl.tolerance


def test_few_evaluations_where_many_states_are_seldom_met():
    env = gym.make("Taxi-v3" if gym.__version__.startswith("0.") else "Taxi-v4")
    demonstrator = SoftValueIteration("TabularPolicy", env, temperature=0.1).learn(500)
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=collect(demonstrator, env, n_episodes=5, seed=0)).learn(200)
    assert irl.converged
    assert irl.num_timesteps < 120
    # few demonstrations make the policy undecided, not one that avoids the end and with it the demonstrations
    assert irl.log_likelihood > -np.log(6)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_of_features_do_not_matter(unit):
    mdp, features, weights = grid_mdp()
    policy = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights)).policy
    demonstrations = demonstrations_of_episodes(mdp, episodes_of(mdp, policy, 50, 8))
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations, features=unit * features).learn(200)
    plain = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations, features=features).learn(200)
    assert irl.converged
    np.testing.assert_allclose(irl.weights * unit, plain.weights, rtol=1e-3)


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("options", [{}, {"horizon": 100}, {"horizon": 100, "causal": False}], ids=str)
def test_the_temperature_is_the_unit_of_rewards(options, temperature):
    env = gym.make("FrozenLake-v1")
    demonstrations = collect(expert(env), env, n_episodes=10, seed=0)
    one, other = (
        MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, temperature=each, **options).learn(500)
        for each in (1.0, temperature)
    )
    assert other.converged
    np.testing.assert_allclose(other.reward_table / temperature, one.reward_table, atol=5e-3)


@pytest.mark.parametrize("horizon", [None, 30])
def test_by_which_starts_were_drawn_does_not_matter(horizon):
    mdp, features, weights = grid_mdp(goal_ends=True, gamma=0.9, horizon=horizon)
    policy = soft_expert(mdp, features_of(mdp, features, "states").rewards(weights)).policy
    demonstrations = demonstrations_of_episodes(mdp, episodes_of(mdp, policy, 7, 200 if horizon is None else 30))
    options = {"demonstrations": demonstrations, "features": features, "objective": "dual", "l2_coef": 0.0}
    irl = MaxEntIRL("TabularPolicy", mdp, **options).learn(300)
    assert irl.converged
    assert irl.feature_error < 1e-5


def test_absolute_and_square_penalties_together(maze):
    penalties = {"l1_coef": 0.02, "l2_coef": 0.05}
    irl = learner(maze, tolerance=1e-8, **penalties).learn(500)
    evaluation = ActionLikelihood(irl.mdp, irl.expert)(irl._features.rewards(irl.weights))
    slope = irl._features.adjoint(evaluation.gradient) + 0.05 * irl.weights
    held = irl.weights == 0.0
    assert held.any()
    assert not held.all()
    assert (np.abs(slope[held]) <= 0.02 + 1e-6).all()
    np.testing.assert_allclose(slope[~held], -0.02 * np.sign(irl.weights[~held]), atol=1e-5)
    adam = learner(maze, optimizer=th.optim.Adam, learning_rate=lambda left: 0.05 * left, **penalties).learn(600)
    np.testing.assert_allclose(adam.weights, irl.weights, atol=0.02)


@pytest.mark.parametrize("options", [{}, {"horizon": 20}, {"horizon": 20, "causal": False}, {"gamma": 1.0}], ids=str)
def test_perfect_demonstrations_without_a_prior(options):
    env = gym.make("FrozenLake-v1", is_slippery=False)
    demonstrations = collect(expert(env), env, n_episodes=3, seed=0)
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, l2_coef=0.0, **options).learn(500)
    assert irl.converged  # there is no maximum: the gradient fades on the way to it
    assert irl.log_likelihood > -1e-3
    assert np.isfinite(irl.reward_table).all()
    assert_consistent(irl) if "horizon" not in options else None


def test_contradictory_demonstrations_make_it_undecided():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    there = [np.array([0, 1, 2, 6, 10, 14, 15]), np.array([0, 4, 8, 9, 13, 14, 15])]
    irl = MaxEntIRL("TabularPolicy", env, demonstrations=there, l2_coef=1e-4).learn(200)
    assert irl.converged
    left, down, right, up = np.exp(irl.policy.log_probabilities.numpy()[0])
    assert down == pytest.approx(0.5, abs=0.05)
    assert right == pytest.approx(0.5, abs=0.05)
    assert max(left, up) < 0.05


def test_undiscounted_roads_with_a_reward_for_each_state():
    env = gym.make("ilrl/RoadNetwork-v0")
    demonstrator = SoftValueIteration("TabularPolicy", env, temperature=0.5, gamma=1.0).learn(500)
    demonstrations = collect(demonstrator, env, n_episodes=30, seed=0)
    for options in ({}, {"reward": "tabular"}):
        irl = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, gamma=1.0, **options).learn(200)
        assert irl.converged
        assert irl.feature_error < 0.2
    elsewhere = gym.make("ilrl/RoadNetwork-v0", layout_seed=3)
    learned = MaxEntIRL("TabularPolicy", env, demonstrations=demonstrations, gamma=1.0).learn(200)
    there = learned.learned_mdp(elsewhere)
    expected = elsewhere.unwrapped.features @ learned.weights
    available = elsewhere.unwrapped.available
    acting = available & ~there.terminal
    np.testing.assert_allclose(there.rewards[acting], expected.T[acting])
    with pytest.raises(ValueError, match=r"each of 324 states.*not 'of each of 3"):
        irl.learned_mdp(elsewhere)


def test_steps_of_an_optimiser_to_where_values_are_infinite_are_shortened():
    mdp, _, _ = grid_mdp(slip=0.1, goal_ends=True, gamma=1.0)
    policy = soft_expert(mdp, np.full((4, 16), -2.0)).policy
    demonstrations = demonstrations_of_episodes(mdp, episodes_of(mdp, policy, 20, 200))
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=demonstrations, reward="network", learning_rate=1.0, seed=0)
    irl.learn(8)
    assert np.isfinite(irl.reward_table).all()
    assert_consistent(irl)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)),
        nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 1)),
        nn.Linear(16, 1).double(),
    ],
    ids=["batch norm", "dropout", "double precision"],
)
def test_modules_of_all_kinds(maze, module):
    irl = learner(maze, reward=module, learning_rate=0.1, seed=0).learn(30)
    assert irl.reward_model.learned is module
    assert_consistent(irl)


def test_double_precision_by_default(maze):
    before = th.get_default_dtype()
    try:
        th.set_default_dtype(th.float64)
        assert_consistent(learner(maze, reward="network", seed=0).learn(5))
        assert_consistent(learner(maze, reward=nn.Linear(16, 1), seed=0).learn(5))
    finally:
        th.set_default_dtype(before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": th.optim.LBFGS}, "'lbfgs' for tables and linear rewards"),
        ({"reward": nn.Linear(3, 1)}, "must take features of shape"),
        ({"reward": nn.Linear(16, 2)}, "the shape of the module's rewards"),
        ({"reward": nn.Identity()}, "parameters that require gradients"),
        ({"net_arch": 64}, "net_arch must be widths of hidden layers"),
        ({"demonstrations": np.zeros((16, 4), dtype=int)}, "floating-point numbers, as an occupancy, or a list"),
        ({"objective": "dual", "demonstrations": [np.array([0, 4])]}, "needs the expert's actions"),
        ({"objective": "dual", "horizon": 500}, None),
        ({"causal": False, "horizon": 500, "demonstrations": [np.array([0, 4])]}, "use causal=True"),
        ({"horizon": 500, "objective": "likelihood", "demonstrations": np.zeros((16, 4))}, "sum of occupancy"),
    ],
)
def test_refused_before_learning(maze, options, message):
    if message is None:
        learner(maze, **options)
        return
    with pytest.raises(ValueError, match=message):
        learner(maze, **options)


def test_linear_rewards_of_actions_are_not_made_tables_where_features_are_of_states():
    env = gym.make("ilrl/ObjectWorld-v0", size=5)
    with pytest.raises(ValueError, match="reward_on must be 'states', of which the environment publishes features"):
        MaxEntIRL("TabularPolicy", env, reward="linear", reward_on="actions")


def test_an_environment_that_does_not_fit_leaves_all_as_it_was(maze):
    cells = np.eye(16)[:, :3]
    irl = learner(maze, features=lambda states: cells[states]).learn(5)
    before = irl.mdp
    irl.features = lambda states: np.eye(16)[states]
    with pytest.raises(ValueError, match="3 features of states, as in the environment"):
        irl.set_env(gym.make("ilrl/GridMaze-v0", size=4))
    assert irl.mdp is before
    assert irl._features.n_features == 3


def test_rewards_of_transitions_are_checked(maze):
    def moved(states, actions, following):
        return np.column_stack([states == following, following == 15])

    irl = learner(maze, features=moved, reward_on="transitions").learn(20)
    column = np.array([[14], [0]])
    rewards = irl.reward(column, np.array([2, 0]), np.array([15, 0]))
    np.testing.assert_allclose(rewards, irl.weights[[[1], [0]]])
    with pytest.raises(ValueError, match="next_observations must be whole numbers"):
        irl.reward(3, 0, 99)


@pytest.mark.parametrize("options", [{"solver": "newton"}, {"reward": "network"}, {"horizon": 30}], ids=str)
def test_copies_go_on_alone_and_rewards_go_to_other_processes(maze, options):
    irl = learner(maze, verbose=1, seed=0, **options).learn(5)
    cells = np.arange(16)
    there = pickle.loads(pickle.dumps(copy.deepcopy(irl).reward_model))
    np.testing.assert_array_equal(there.table(cells), irl.reward(cells))
    clone, before = copy.deepcopy(irl), irl.reward_table
    clone.learn(5)
    np.testing.assert_array_equal(irl.reward_table, before)
    assert not np.array_equal(clone.reward_table, before)


def test_demonstrations_given_on_loading(maze, tmp_path):
    learner(maze).learn(3).save(tmp_path / "irl")
    irl = MaxEntIRL.load(tmp_path / "irl", env=maze[0], demonstrations=maze[1]).learn(100)
    assert irl.converged
    alone = MaxEntIRL.load(tmp_path / "irl")
    assert np.isnan(alone.log_likelihood)
    assert np.isnan(alone.feature_error)
    assert alone.learned_mdp(maze[0]).n_states == 16
    with pytest.raises(ValueError, match="loaded without an environment"):
        alone.plot()


def test_pictures_do_not_show_the_learner_as_the_expert(maze, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        "gym_ilrl.algorithms.reward_learner.plot_inverse_rl",
        lambda mdp, reward, policy, of_expert, of_learner, **more: shown.update(expert=of_expert),
    )
    irl = learner(maze, demonstrations=[np.array([0, 4, 8]), np.array([0, 4])], gamma=0.5).learn(3)
    irl.plot()
    np.testing.assert_allclose(shown["expert"][[0, 4, 8]], [1.0, 0.25, 0.0])
    irl.set_demonstrations(None)
    irl.plot()
    assert shown["expert"] is None


def test_states_alone_where_two_actions_do_the_same():
    # forth, the same once more, and back, on a ring; wind carries on now and then
    place = np.arange(5)
    ways = np.stack([place + 1, place + 1, place - 1], axis=1)
    ways = np.stack([ways % 5, np.tile(((place + 2) % 5)[:, None], 3)], axis=2)
    mdp = TabularMDP.from_successors(ways, np.broadcast_to([0.8, 0.2], ways.shape), np.zeros(5), gamma=0.9)
    reward = np.array([0.0, 1.0, -0.5, 0.3, 2.0])
    policy = soft_expert(mdp, np.tile(reward, (3, 1))).policy
    episodes = episodes_of(mdp, policy, 300, 20)
    irl = MaxEntIRL("TabularPolicy", mdp, demonstrations=[states for states, _, _ in episodes]).learn(200)
    assert irl.converged
    learned = np.exp(irl.policy.log_probabilities.numpy().T)
    np.testing.assert_allclose(learned[0], learned[1])  # nothing tells them apart
    np.testing.assert_allclose(learned[2], policy[2], atol=0.05)
