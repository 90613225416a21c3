import gymnasium as gym
import numpy as np

from gym_ilrl.envs.road_network_viewer import draw_map, draw_trip


def make(**kwargs):
    env = gym.make("ilrl/RoadNetwork-v0", **kwargs).unwrapped
    env.reset(seed=3)
    return env


def in_picture(network, place):
    """The documented frame: 600 pixels for the longer side, 24 of border."""
    low = network.junctions.min(axis=0)
    x, y = 24 + (place - low) * 600 / np.ptp(network.junctions, axis=0).max()
    return int(y), int(x)


def test_roads_are_coloured_by_their_class():
    network = make(size=60).network
    picture = draw_map(network).astype(int)
    assert max(picture.shape[:2]) == 648
    colors = [set(), set(), set()]
    for road in range(network.n_roads):
        middle = 0.5 * (network.junctions[network.tail[road]] + network.junctions[network.head[road]])
        colors[network.road_class[road]].add(tuple(picture[in_picture(network, middle)]))
    assert [len(found) for found in colors] == [1, 1, 1]
    assert len(set.union(*colors)) == 3
    assert tuple(picture[2, 2]) not in set.union(*colors)


def test_route_car_and_destination_are_drawn_where_they_are():
    env = make(size=60, render_mode="rgb_array")
    network, n_roads = env.network, env.network.n_roads
    empty = draw_map(network)
    target = in_picture(network, network.junctions[env.dynamics.destinations[0]])
    driven = [int(env.observe()) % n_roads]
    driven += [int(env.step(0)[0]) % n_roads for _ in range(3)]
    picture = env.render()
    changed = (picture != empty).any(axis=2)
    assert changed[target]
    for road in driven:
        middle = 0.5 * (network.junctions[network.tail[road]] + network.junctions[network.head[road]])
        assert changed[in_picture(network, middle)]
    assert changed.mean() < 0.05
    np.testing.assert_array_equal(picture, draw_trip(empty, network, np.array(driven), env.dynamics.destinations[0]))
    np.testing.assert_array_equal(env.dynamics._map, empty)


def test_a_saved_state_begins_a_new_route():
    env, other = make(render_mode="rgb_array"), make(render_mode="rgb_array")
    env.step(0)
    env.step(0)
    other.set_state(env.get_state())
    network = env.network
    expected = draw_trip(
        draw_map(network), network, np.array([env.observe() % network.n_roads]), env.dynamics.destinations[0]
    )
    np.testing.assert_array_equal(other.render(), expected)
    assert (env.render() != expected).any()


def test_a_very_long_route_shows_its_last_roads():
    env = make(size=60, render_mode="rgb_array")
    env.step(0)
    driven = [int(env.step(env.action_masks().sum() - 1)[0]) for _ in range(601)]  # to and fro on one road
    assert len(set(driven)) == 2
    expected = draw_trip(draw_map(env.network), env.network, np.array(driven[-2:]), env.dynamics.destinations[0])
    np.testing.assert_array_equal(env.render(), expected)


def test_text_tells_where_each_action_leads():
    env = make(size=60, render_mode="ansi")
    network, road = env.network, int(env.observe())
    lines = env.render().splitlines()
    assert lines[0].startswith(f"road {road} (")
    assert f"junction {env.dynamics.destinations[0]}, the destination" in lines[0]
    exists = network.continuations[:, road] >= 0
    assert [line.split(":")[0] for line in lines[1:]] == [str(action) for action in np.flatnonzero(exists)]
    for line, following in zip(lines[1:], network.continuations[exists, road].tolist(), strict=True):
        assert f"into road {following} (" in line
    assert lines[-1].split(": ")[1].startswith("back into")
