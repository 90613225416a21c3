"""FeatureMatchingIRL meets the features of the expert, and is an SB3 algorithm."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from inverse_rl_helpers import demonstrations_of_episodes, episodes_of, grid_mdp, soft_expert
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import gym_ilrl  # noqa: F401
from gym_ilrl import collect, expert
from gym_ilrl.algorithms.feature_matching_irl import FeatureMatchingIRL
from gym_ilrl.irl.features import features_of
from gym_ilrl.planning import DivergenceError, occupancy, solve
from gym_ilrl.policies.tabular import TabularPolicy
from gym_ilrl.wrappers import LearnedReward

METHODS = ["max_margin", "projection", "structured_max_margin"]


def features_by_hand(mdp, table, visits):
    """Features of all states of an episode, the last one included, from visits of shape (n_states, n_actions)."""
    ends = mdp.final_transitions.toarray().reshape(mdp.n_actions, mdp.n_states, mdp.n_states)
    return (visits.sum(axis=1) + mdp.gamma * np.einsum("sa,ast->t", visits, ends)) @ table


def setting(**arguments):
    mdp, features, weights = grid_mdp(**arguments)
    return mdp, features, weights, soft_expert(mdp, features_of(mdp, features, "states").rewards(weights))


@pytest.fixture(scope="module")
def maze():
    env = gym.make("ilrl/GridMaze-v0", size=4, slip=0.1)
    return env, collect(expert(env), env, n_episodes=20, seed=0)


@pytest.mark.parametrize("method", ["max_margin", "projection"])
@pytest.mark.parametrize("arguments", [{}, {"horizon": 6, "gamma": 1.0}, {"goal_ends": True}], ids=str)
def test_mixture_earns_what_the_expert_earns(method, arguments):
    mdp, features, weights, best = setting(**arguments)
    visits = occupancy(mdp, best.policy).T
    irl = FeatureMatchingIRL("TabularPolicy", mdp, visits, method, features, tolerance=5e-3).learn(100)
    assert irl.converged
    assert irl.num_timesteps <= 60
    wanted, met = (features_by_hand(mdp, features, each) for each in (visits, irl.occupancy))
    error = np.linalg.norm(wanted - met) / np.linalg.norm(wanted)
    assert irl.feature_error == pytest.approx(error, abs=1e-9)
    assert error <= 5e-3
    rewards = mdp.replace(rewards=features_of(mdp, features, "states").rewards(weights)).rewards
    lost = abs(np.vdot(rewards.T, visits - irl.occupancy))
    assert lost <= 5e-3 * np.linalg.norm(wanted) * np.linalg.norm(weights)


@pytest.mark.parametrize("horizon", [None, 6])
def test_deterministic_actions_are_best_for_the_reward(horizon):
    mdp, features, _, best = setting(goal_ends=True, horizon=horizon)
    visits = occupancy(mdp, best.policy).T
    irl = FeatureMatchingIRL("TabularPolicy", mdp, visits, "projection", features, tolerance=1e-3).learn(30)
    alone = occupancy(mdp, np.exp(irl.policy.log_probabilities.numpy().swapaxes(-1, -2)))
    rewards = features_of(mdp, features, "states").rewards(irl.weights)
    optimal = solve(mdp.replace(rewards=rewards)).values
    start = optimal if horizon is None else optimal[0]
    assert np.vdot(alone, rewards) == pytest.approx(mdp.initial @ start)
    wanted = features_by_hand(mdp, features, visits)
    distances = [
        np.linalg.norm(features_by_hand(mdp, features, occupancy(mdp, policy if horizon else policy[0]).T) - wanted)
        for policy in irl.policy.component_actions.numpy()
    ]
    closest = np.linalg.norm(features_by_hand(mdp, features, alone.T) - wanted)
    assert closest == pytest.approx(min(distances))


@pytest.mark.parametrize("horizon", [None, 7])
def test_mixture_that_is_executed_meets_the_same_features(horizon):
    mdp, features, _, best = setting(goal_ends=True, gamma=0.9, horizon=horizon)
    irl = FeatureMatchingIRL("TabularPolicy", mdp, occupancy(mdp, best.policy).T, features=features).learn(100)
    assert irl.policy.n_components > 1
    env = make_vec_env(mdp.to_env, n_envs=300, seed=1)
    th.manual_seed(1)
    observations, state, starts = env.reset(), None, np.ones(300, dtype=bool)
    alive, met = np.ones(300, dtype=bool), np.zeros((300, 3))
    for t in range(7 if horizon else 40):
        met += alive[:, None] * mdp.gamma**t * features[observations]
        actions, state = irl.predict(observations, state, starts)
        observations, _, starts, infos = env.step(actions)
        for i in np.flatnonzero(starts & alive):
            final = infos[i]["terminal_observation"]
            met[i] += mdp.gamma ** (t + 1) * features[final] * mdp.terminal[final]
        alive &= ~starts
    expected = features_by_hand(mdp, features, irl.occupancy)
    deviation = met.std(axis=0) / np.sqrt(300)
    np.testing.assert_array_less(np.abs(met.mean(axis=0) - expected), 4 * deviation)


@pytest.mark.parametrize("method", METHODS)
def test_demonstrations_of_an_expert(maze, method):
    env, demonstrations = maze
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, method, seed=0).learn(60)
    assert irl.feature_error < 0.1
    assert evaluate_policy(irl, env, 20, deterministic=False, warn=False)[0] > 0.9
    assert evaluate_policy(irl, env, 20, deterministic=True, warn=False)[0] > 0.9


def test_policies_start_where_the_demonstrations_do():
    mdp, features, _, best = setting(horizon=5)
    episodes = [each for each in episodes_of(mdp, best.policy, 300, 5) if each[0][0] == 5]
    assert mdp.initial[5] < 0.1
    irl = FeatureMatchingIRL(
        "TabularPolicy", mdp, demonstrations_of_episodes(mdp, episodes), features=features, tolerance=1e-3
    ).learn(100)
    assert irl.converged
    start = mdp.replace(initial=np.eye(16)[5])
    policies = irl.policy.component_actions.numpy()
    weights = irl.policy.component_weights.numpy()
    met = sum(w * occupancy(start, policy).sum(axis=0) @ features for w, policy in zip(weights, policies, strict=True))
    seen = np.mean([(mdp.gamma ** np.arange(5)) @ features[states[:-1]] for states, _, _ in episodes], axis=0)
    assert np.linalg.norm(met - seen) / np.linalg.norm(seen) == pytest.approx(irl.feature_error, abs=1e-9)


def test_structured_max_margin_finds_a_reward_that_explains_the_expert():
    mdp, features, weights = grid_mdp(slip=0.1)
    best = solve(mdp.replace(rewards=features_of(mdp, features, "states").rewards(weights)))
    visits = occupancy(mdp, best.actions).T
    irl = FeatureMatchingIRL("TabularPolicy", mdp, visits, "structured_max_margin", features, l2_coef=1e-4).learn(100)
    assert irl.converged
    assert irl.policy.n_components == 1
    np.testing.assert_allclose(irl.reward_table, features @ irl.weights)
    learned = solve(mdp.replace(rewards=np.tile(irl.reward_table, (4, 1))))
    np.testing.assert_array_equal(learned.actions, best.actions)
    np.testing.assert_array_equal(irl.predict(np.arange(16), deterministic=True)[0], best.actions)


@pytest.mark.parametrize("on", ["states", "actions", "transitions"])
def test_reward_is_linear_in_the_features(on):
    mdp, _, _, best = setting(goal_ends=True)
    generator = np.random.default_rng(0)
    tables = {"states": generator.normal(size=(16, 3)), "actions": generator.normal(size=(16, 4, 3))}
    steps = generator.normal(size=(16, 4, 16, 2))
    given = tables.get(on, lambda s, a, n: steps[s, a, n])
    irl = FeatureMatchingIRL("TabularPolicy", mdp, occupancy(mdp, best.policy).T, features=given, reward_on=on).learn(4)
    observations, actions, following = (
        np.array([[0, 3], [7, 14]]),
        np.array([[0, 3], [2, 2]]),
        np.array([[1, 2], [7, 15]]),
    )
    ended = following == 15
    if on == "states":
        table = tables[on] @ irl.weights
        np.testing.assert_allclose(irl.reward(observations), table[observations])
        arrived = table[observations] + ended * mdp.gamma * table[following]
        np.testing.assert_allclose(irl.reward(observations, actions, following, ended), arrived)
    elif on == "actions":
        np.testing.assert_allclose(irl.reward(observations, actions), (tables[on] @ irl.weights)[observations, actions])
    else:
        expected = steps[observations, actions, following] @ irl.weights
        np.testing.assert_allclose(irl.reward(observations, actions, following), expected)
        with pytest.raises(ValueError, match="one of transitions"):
            irl.reward(observations, actions)
    assert np.linalg.norm(irl.weights) == pytest.approx(1.0)


def test_features_of_actions_are_known_by_their_shape():
    mdp, _, _, best = setting()
    features = np.random.default_rng(0).normal(size=(16, 4, 3))
    irl = FeatureMatchingIRL("TabularPolicy", mdp, occupancy(mdp, best.policy).T, features=features)
    assert irl.reward_on == "actions"
    assert irl.reward_table.shape == (16, 4)


def test_features_that_the_environment_publishes():
    env = gym.make("ilrl/ObjectWorld-v0", size=6)
    irl = FeatureMatchingIRL("TabularPolicy", env, gamma=0.9)
    assert irl.weights.shape == env.unwrapped.features.shape[-1:]
    irl = FeatureMatchingIRL("TabularPolicy", env, gamma=0.9, reward_on="actions")
    assert irl.weights.shape == (36 * env.action_space.n,)


def test_states_alone_are_enough_for_features_of_states(maze):
    env, demonstrations = maze
    states = [np.asarray(episode.observations) for episode in demonstrations]
    irl = FeatureMatchingIRL("TabularPolicy", env, states).learn(60)
    assert evaluate_policy(irl, env, 20, deterministic=True, warn=False)[0] > 0.9
    with pytest.raises(ValueError, match="compares actions"):
        FeatureMatchingIRL("TabularPolicy", env, states, "structured_max_margin")
    with pytest.raises(ValueError, match="without the expert's actions"):
        FeatureMatchingIRL("TabularPolicy", env, states, reward_on="actions").learn(1)


def test_cut_off_demonstrations_are_warned_of():
    mdp, features, _, best = setting(gamma=0.9)
    demonstrations = demonstrations_of_episodes(mdp, episodes_of(mdp, best.policy, 5, 10))
    irl = FeatureMatchingIRL("TabularPolicy", mdp, demonstrations, features=features)
    with pytest.warns(UserWarning, match="cut off before 35% of the discounted time"):
        irl.learn(1)


def test_without_discount_and_horizon_features_have_to_be_costs():
    mdp, _, _ = grid_mdp(goal_ends=True, gamma=1.0)
    costs = np.random.default_rng(0).random((16, 3)) + 0.1
    best = solve(mdp.replace(rewards=features_of(mdp, costs, "states").rewards(-np.ones(3))))
    visits = occupancy(mdp, best.actions).T
    irl = FeatureMatchingIRL("TabularPolicy", mdp, visits, features=costs, features_are_costs=True).learn(50)
    assert irl.converged
    met, wanted = (features_by_hand(mdp, costs, each) for each in (irl.occupancy, visits))
    assert np.linalg.norm(np.maximum(met - wanted, 0.0)) <= 0.02 * np.linalg.norm(wanted)
    assert (irl.weights <= 0.0).all()
    with pytest.raises(DivergenceError, match="features_are_costs=True"):
        FeatureMatchingIRL("TabularPolicy", mdp, visits, features=costs).learn(50)
    with pytest.raises(ValueError, match="would never end"):
        FeatureMatchingIRL("TabularPolicy", mdp, visits, "structured_max_margin", costs)


@pytest.mark.parametrize("options", [{}, {"horizon": 20}, {"method": "structured_max_margin"}], ids=str)
def test_saved_and_loaded(maze, tmp_path, options):
    env, demonstrations = maze
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, seed=0, **options).learn(15)
    irl.save(tmp_path / "irl")
    alone = FeatureMatchingIRL.load(tmp_path / "irl")
    cells = np.arange(16)
    np.testing.assert_array_equal(alone.reward(cells), irl.reward(cells))
    np.testing.assert_array_equal(alone.weights, irl.weights)
    assert alone.feature_error == irl.feature_error
    for deterministic in (True, False):
        actions = []
        for model in (irl, alone):
            th.manual_seed(0)
            actions.append(model.predict(cells, deterministic=deterministic)[0])
        np.testing.assert_array_equal(*actions)
    with pytest.raises(ValueError, match="loaded without an environment"):
        alone.learn(1)
    going_on = FeatureMatchingIRL.load(tmp_path / "irl", env=env)
    with pytest.raises(ValueError, match="nothing to learn from"):
        going_on.learn(1, reset_num_timesteps=False)
    going_on.set_demonstrations(demonstrations)
    going_on.learn(15, reset_num_timesteps=False)
    assert going_on.num_timesteps == 2 * irl.num_timesteps
    np.testing.assert_allclose(going_on.weights, irl.weights)  # the search is deterministic, and begins anew


def test_learning_goes_on_where_it_stopped(maze):
    env, demonstrations = maze
    options = {"demonstrations": demonstrations, "tolerance": 1e-6}
    whole = FeatureMatchingIRL("TabularPolicy", env, **options).learn(12)
    parts = FeatureMatchingIRL("TabularPolicy", env, **options).learn(5).learn(7, reset_num_timesteps=False)
    assert parts.num_timesteps == 12
    assert parts.feature_error == whole.feature_error
    np.testing.assert_array_equal(parts.policy.component_actions, whole.policy.component_actions)


@pytest.mark.parametrize("method", METHODS)
def test_callbacks_see_the_policy_of_the_moment(maze, tmp_path, method):
    env, demonstrations = maze

    class Watch(BaseCallback):
        def __init__(self):
            super().__init__()
            self.errors = []

        def _on_step(self):
            visits = self.model.occupancy
            assert visits.sum() > 0.0
            self.errors.append(self.model.feature_error)
            return self.n_calls < 9

    watch = Watch()
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, method, tolerance=1e-9).learn(100, callback=watch)
    assert irl.num_timesteps == 9
    assert irl.feature_error == watch.errors[-1]
    if method != "structured_max_margin":
        assert (np.diff(watch.errors) <= 1e-12).all()
    evaluation = EvalCallback(Monitor(gym.make("ilrl/GridMaze-v0", size=4)), eval_freq=10, verbose=0)
    saving = CheckpointCallback(10, str(tmp_path))
    FeatureMatchingIRL("TabularPolicy", env, demonstrations, method, tolerance=1e-9).learn(20, [evaluation, saving])
    assert evaluation.best_mean_reward > 0.9
    assert len(list(tmp_path.glob("*.zip"))) == 2


def test_log(maze, tmp_path):
    env, demonstrations = maze
    for method, extra in (("max_margin", "irl/n_policies"), ("structured_max_margin", "irl/objective")):
        irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, method, tensorboard_log=str(tmp_path))
        recorded = {}

        class Look(BaseCallback):
            def _on_step(self, recorded=recorded):
                self.model._record()
                recorded.update(self.logger.name_to_value)
                return True

        irl.learn(3, callback=Look())
        assert {"irl/feature_error", "irl/margin", extra} <= recorded.keys()
        assert recorded["irl/feature_error"] == irl.feature_error
    assert len(list(tmp_path.rglob("events*"))) == 2


def test_several_environments_count_as_one_problem(maze):
    _, demonstrations = maze
    vec_env = make_vec_env("ilrl/GridMaze-v0", n_envs=3, env_kwargs={"size": 4})
    irl = FeatureMatchingIRL("TabularPolicy", vec_env, demonstrations, seed=0).learn(30)
    assert evaluate_policy(irl, vec_env, 12, deterministic=False)[0] > 0.9


def test_repeatable(maze):
    env, demonstrations = maze
    actions = []
    for _ in range(2):
        irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, seed=5, tolerance=1e-4).learn(20)
        actions.append(irl.predict(np.tile(np.arange(16), 20))[0])
    np.testing.assert_array_equal(*actions)


def test_another_environment(maze):
    env, demonstrations = maze
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations).learn(10)
    irl.set_env(gym.make("ilrl/GridMaze-v0", size=4, slip=0.3))
    irl.learn(10)
    assert np.isfinite(irl.feature_error)


def test_learned_reward_trains_another_agent(maze):
    env, demonstrations = maze
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, "structured_max_margin").learn(30)
    wrapped = LearnedReward(env, irl.reward)
    cell, _ = wrapped.reset(seed=0)
    following, reward, terminated, _, _ = wrapped.step(1)
    table = irl.reward_table
    assert reward == pytest.approx(table[cell] + 0.99 * terminated * table[following])
    assert np.ptp(table) > 0.0
    PPO("MlpPolicy", wrapped, n_steps=32, batch_size=32, n_epochs=1).learn(32)


def test_picture(maze):
    env, demonstrations = maze
    pytest.importorskip("matplotlib")
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations).learn(10)
    assert len(irl.plot().axes) >= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "qp"}, "method must be one of max_margin, projection"),
        ({"reward_on": "rows"}, "reward_on must be one of"),
        ({"tolerance": 0.0}, "tolerance must be a positive number"),
        ({"l2_coef": -1.0}, "l2_coef must be a positive number"),
        ({"features": np.zeros((3, 2))}, "the shape of features"),
        ({"features": np.zeros((16, 4, 2)), "reward_on": "states"}, "reward_on='actions'"),
        ({"reward_on": "transitions"}, "a function f"),
        ({"features_are_costs": "no"}, "features_are_costs must be True or False, not 'no'"),
        ({"policy": TabularPolicy}, "subclass of TabularMixturePolicy"),
        ({"policy": "MlpPolicy"}, "policy must be TabularPolicy"),
    ],
)
def test_options_out_of_range(maze, options, message):
    env, demonstrations = maze
    with pytest.raises(ValueError, match=message):
        FeatureMatchingIRL(**{"policy": "TabularPolicy", "env": env, "demonstrations": demonstrations, **options})


def test_demonstrations_of_another_environment(maze):
    env, _ = maze
    other = collect(expert("FrozenLake-v1"), "FrozenLake-v1", n_episodes=2, seed=0)
    with pytest.raises(ValueError, match="episode 0"):
        FeatureMatchingIRL("TabularPolicy", env, other)
    with pytest.raises(ValueError, match="nothing to learn from"):
        FeatureMatchingIRL("TabularPolicy", env).learn(1)


class CopyAtStepTwo(BaseCallback):
    """Keeps a copy of the model as it is after two steps."""

    def _on_step(self):
        if self.n_calls == 2:
            self.copied = copy.deepcopy(self.model)
        return True


@pytest.mark.parametrize("method", ["max_margin", "projection", "structured_max_margin"])
def test_copies_go_on_by_themselves(maze, method):
    env, demonstrations = maze
    callback = CopyAtStepTwo()
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations, method).learn(6, callback=callback)
    middle, end = callback.copied, copy.deepcopy(irl)
    np.testing.assert_array_equal(end.weights, irl.weights)
    np.testing.assert_allclose(middle.learn(4).weights, irl.weights, atol=1e-6)


def test_demonstrations_that_the_new_environment_makes_impossible_are_refused_by_set_env():
    env = gym.make("FrozenLake-v1")
    demonstrations = collect(expert(env), env, n_episodes=5, seed=0)
    irl = FeatureMatchingIRL("TabularPolicy", env, demonstrations)
    with pytest.raises(ValueError, match="is impossible in the model"):
        irl.set_env(gym.make("FrozenLake-v1", is_slippery=False))
