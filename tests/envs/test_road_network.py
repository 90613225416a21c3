"""RoadNetwork: its model, features and rewards against what the map says."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy

from gym_ilrl import TabularMDP, make_vec_env
from gym_ilrl.envs.road_network import RoadNetworkDynamics
from gym_ilrl.envs.road_network_costs import DEFAULT_PREFERENCES, FEATURE_NAMES

CONFIGURATIONS = [
    {"size": 4},
    {
        "size": 20,
        "layout_seed": 3,
        "preferences": {"street_km": 2.0, "u_turn": 1.0, "highway_km": 0.1, "main_road_km": 1},
    },
    {"size": 30, "n_destinations": 3, "layout_seed": 1, "preferences": np.arange(1.0, 9.0)},
]


def make(**kwargs):
    return gym.make("ilrl/RoadNetwork-v0", **kwargs).unwrapped


def features_by_hand(network, road, following):
    """What a driver meets who goes from one road into another."""
    middle, start, end = network.head[road], network.tail[road], network.head[following]
    (x, y), (u, v) = (network.junctions[b] - network.junctions[a] for a, b in ((start, middle), (middle, end)))
    turn = np.degrees(np.arctan2(x * v - y * u, x * u + y * v))
    found = dict.fromkeys(FEATURE_NAMES, 0.0)
    name = ("highway_km", "main_road_km", "street_km")[network.road_class[following]]
    found[name], found["minutes"] = np.hypot(u, v), network.minutes[following]
    if end == start:
        found["u_turn"] = 1.0
    elif abs(turn) > 120:
        found["sharp_turn"] = 1.0
    elif turn <= -30:
        found["left_turn"] = 1.0
    elif turn >= 30:
        found["right_turn"] = 1.0
    return found


@pytest.mark.parametrize("kwargs", CONFIGURATIONS)
def test_features_rewards_and_arrivals(kwargs):
    env = make(**kwargs)
    network, n_destinations = env.network, kwargs.get("n_destinations", 1)
    n_states = n_destinations * network.n_roads
    n_actions = int(env.action_space.n)
    assert env.observation_space.n == n_states == len(env.terminal) == len(env.positions)
    assert env.features.shape == (n_states, n_actions, len(FEATURE_NAMES)) == (n_states, n_actions, 8)
    assert env.feature_names == FEATURE_NAMES
    given = kwargs.get("preferences", DEFAULT_PREFERENCES)
    weights = given if isinstance(given, dict) else dict(zip(FEATURE_NAMES, given, strict=True))
    for state in range(n_states):
        destination, road = divmod(state, network.n_roads)
        assert env.terminal[state] == (network.head[road] == env.dynamics.destinations[destination])
        for action in range(n_actions):
            following = network.continuations[action, road]
            arrival = env.transition_matrix[action * n_states + state]
            assert env.available[action, state] == (following >= 0)
            if following < 0:
                assert (env.features[state, action] == 0.0).all()
                assert env.reward[action, state] == -10.0
                assert arrival.indices.tolist() == [state]
                continue
            expected = features_by_hand(network, road, following)
            np.testing.assert_allclose(env.features[state, action], list(expected.values()), rtol=1e-12)
            cost = sum(weights.get(name, 0.0) * value for name, value in expected.items())
            assert env.reward[action, state] == pytest.approx(-cost, rel=1e-12)
            assert (arrival.indices.tolist(), arrival.data.tolist()) == (
                [destination * network.n_roads + following],
                [1],
            )


@pytest.mark.parametrize("kwargs", CONFIGURATIONS)
def test_steps_follow_the_model(kwargs):
    """Every action in every state, those that do not exist included."""
    env = make(**kwargs)
    n_states, n_actions = int(env.observation_space.n), int(env.action_space.n)
    going = np.flatnonzero(~env.terminal)
    state, action = (array.ravel() for array in np.meshgrid(going, np.arange(n_actions)))
    dynamics = RoadNetworkDynamics(len(state), **kwargs)
    saved = dynamics.get_state()
    saved["state"] = state
    dynamics.set_state(range(len(state)), saved)
    rewards, terminated = dynamics.step(action)
    arrived = dynamics.observe()
    expected = env.transition_matrix[action * n_states + state].indices
    np.testing.assert_array_equal(arrived, expected)
    np.testing.assert_array_equal(rewards, env.reward[action, state])
    np.testing.assert_array_equal(terminated, env.terminal[expected])
    np.testing.assert_array_equal(dynamics.info()["is_success"], terminated)
    np.testing.assert_array_equal(dynamics.info()["action_mask"], env.available[:, expected].T)


def test_trips_begin_on_every_road_that_has_not_arrived():
    env = make(size=12, n_destinations=2)
    going = ~env.terminal
    np.testing.assert_allclose(env.initial_distribution, going / going.sum())
    dynamics = RoadNetworkDynamics(4000, size=12, n_destinations=2)
    dynamics.reset(range(4000), [np.random.default_rng(seed) for seed in range(4000)])
    assert set(dynamics.observe().tolist()) == set(np.flatnonzero(going).tolist())


def test_trips_begin_at_the_origin_if_one_is_given():
    env = make(size=30, n_destinations=3, origin=7)
    n_roads = env.network.n_roads
    assert np.flatnonzero(env.initial_distribution).tolist() == [7, n_roads + 7, 2 * n_roads + 7]
    assert {env.reset(seed=seed)[0] % n_roads for seed in range(20)} == {7}
    assert make(size=30, origin=7).initial_distribution[7] == 1.0


def test_destinations_are_junctions_drawn_by_the_seed():
    chosen = [tuple(make(size=40, n_destinations=5, layout_seed=seed).dynamics.destinations) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert all(len(set(some)) == 5 and min(some) >= 0 and max(some) < 40 for some in chosen)


def test_positions_are_the_middles_of_the_roads():
    env = make(size=10, n_destinations=2)
    network = env.network
    for state, place in enumerate(env.positions):
        road = state % network.n_roads
        ends = network.junctions[[network.tail[road], network.head[road]]]
        np.testing.assert_allclose(place, ends.mean(axis=0))
        np.testing.assert_allclose(env.segments[state], ends)


def test_the_model_is_read_only():
    env = make(size=10)
    for array in (env.features, env.available, env.reward, env.terminal, env.preferences):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_masks_agree_everywhere():
    env = gym.make("ilrl/RoadNetwork-v0")
    state, info = env.reset(seed=2)
    venv = make_vec_env("ilrl/RoadNetwork-v0", n_envs=3, seed=2)
    states = venv.reset()
    available = env.unwrapped.available
    np.testing.assert_array_equal(env.unwrapped.action_masks(), available[:, state])
    np.testing.assert_array_equal(info["action_mask"], available[:, state])
    np.testing.assert_array_equal(np.stack(venv.env_method("action_masks")), available[:, states].T)
    env.action_space.seed(0)
    for _ in range(50):
        state, _, terminated, _, info = env.step(env.action_space.sample(info["action_mask"]))
        np.testing.assert_array_equal(info["action_mask"], available[:, state])
        if terminated:
            break


def test_maskable_ppo_drives_without_waiting():
    venv = make_vec_env("ilrl/RoadNetwork-v0", n_envs=8, seed=0, env_kwargs={"size": 9})
    model = MaskablePPO("MlpPolicy", venv, n_steps=64, batch_size=128, n_epochs=2, seed=0, device="cpu")
    model.learn(2_048)
    env = gym.make("ilrl/RoadNetwork-v0", size=9)
    rewards = []
    evaluate_policy(
        model, env, n_eval_episodes=20, deterministic=False, warn=False,
        callback=lambda local, _: rewards.append(float(local["reward"])),
    )  # fmt: skip
    assert min(rewards) > -10.0  # what waiting costs
    assert len(rewards) > 20


def test_a_known_model_without_discount():
    env = gym.make("ilrl/RoadNetwork-v0", size=50)
    mdp = TabularMDP.from_env(env, gamma=1.0)
    assert mdp.is_goal_directed
    going = ~env.unwrapped.terminal
    np.testing.assert_array_equal(mdp.available[:, going], env.unwrapped.available[:, going])
    np.testing.assert_array_equal(mdp.rewards[mdp.available & going], env.unwrapped.reward[mdp.available & going])


def test_a_large_map_is_built_at_once():
    env = make(size=20_000, n_destinations=2)
    assert env.observation_space.n > 120_000
    assert env.action_space.n == 5


def test_the_spec_is_json():
    env = gym.make("ilrl/RoadNetwork-v0", size=15, preferences={"minutes": 2.0}, layout_seed=4)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_array_equal(env.unwrapped.reward, again.unwrapped.reward)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 3}, "size must be a whole number from 4 to 1000000, not 3"),
        ({"size": 2_000_000}, "size must be a whole number from 4"),
        ({"size": "large"}, "size must be a whole number"),
        ({"size": 10, "n_destinations": 10}, "n_destinations must be a whole number from 1 to 9"),
        ({"n_destinations": 0}, "n_destinations must be a whole number from 1 to 99"),
        ({"layout_seed": -1}, "layout_seed must be a whole number in"),
        ({"layout_seed": 2**63}, "layout_seed must be a whole number in"),
        ({"origin": 10_000}, "origin must be the number of a road, from 0 to 323, that ends at no destination"),
        ({"origin": 0.5}, "origin must be the number of a road"),
        ({"preferences": {"hours": 1.0}}, "preferences must be a dictionary of numbers by the names highway_km, main"),
        ({"preferences": {"minutes": "many"}}, "preferences must be a dictionary of numbers"),
        ({"preferences": [1.0, 2.0]}, "or an array of 8 in this order"),
        ({"preferences": {"minutes": float("nan")}}, "preferences must be a dictionary of numbers"),
        ({"preferences": {}}, "preferences must be such that every road costs more than 0"),
        ({"preferences": {"minutes": 1.0, "highway_km": -2.0}}, r"every road costs more than 0 \(one costs -"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make(**kwargs)


def test_an_origin_at_the_destination_is_refused():
    arrived = int(np.flatnonzero(make().terminal)[0])
    with pytest.raises(ValueError, match="that ends at no destination"):
        make(origin=arrived)
